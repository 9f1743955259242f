#include "dataplane/engine/lane.h"

#include <algorithm>

#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

const SystemClock kSystemClock;

}  // namespace

Lane::Lane(const Options& options, const WorkerFactory& factory, std::span<const SentUpTo> sent,
           const std::atomic<bool>* abandoned)
    : first_(options.first),
      lossless_(options.lossless),
      clock_(options.clock != nullptr ? options.clock : &kSystemClock),
      output_(options.ring_bytes, options.lossless, abandoned),
      worker_(factory(options.index, &output_)),
      sent_(sent) {
  CHECK(worker_ != nullptr);
  CHECK(!sent.empty() && sent.size() <= kForwardersMax);
  for (size_t i = 0; i < sent.size(); ++i) sources_.push_back(std::make_unique<Source>(options.ring_frames));
}

void Lane::End(uint64_t packet, int64_t time_ns, uint64_t sequence, size_t from) {
  Source& source = *sources_[from];
  source.end_packet = packet;
  source.end_time_ns = time_ns;
  source.end_sequence = sequence;
  source.end.store(true, std::memory_order_release);
}

// Pops items of one forwarder. Returns up to where none but these is still to come.
uint64_t Lane::Refill(size_t from, std::span<StreamItem> items, size_t* count) {
  Source& source = *sources_[from];
  // Read before the ring: what was sent up to here and is not in the ring was looked at.
  const bool end = source.end.load(std::memory_order_acquire);
  const uint64_t sent = sent_[from].sequence.load(std::memory_order_acquire);
  *count = source.in.Pop(items);
  return end ? kSequenceEnd : sent;
}

// The next burst, of several forwarders, by sequence.
void Lane::TakeInOrder() {
  item_count_ = 0;
  while (item_count_ < items_.size()) {
    Source* best = nullptr;
    size_t best_from = 0;
    uint64_t silent_passed = kSequenceEnd;  // of those that have nothing to give
    for (size_t from = 0; from < sources_.size(); ++from) {
      Source& source = *sources_[from];
      if (source.next == source.count) {
        source.next = 0;
        source.passed = Refill(from, source.held, &source.count);
      }
      if (source.next == source.count) {
        silent_passed = std::min(silent_passed, source.passed);
      } else if (best == nullptr || source.held[source.next].sequence < best->held[best->next].sequence) {
        best = &source;
        best_from = from;
      }
    }
    passed_ = silent_passed;
    if (best == nullptr) return;
    const uint64_t sequence = best->held[best->next].sequence;
    if (sequence <= silent_passed || MutantIs("queues_in_any_order")) {
      waits_since_ns_ = 0;
    } else if (!lossless_ && WaitedEnough()) {
      output_.counters().Add(LaneCounter::kOrderSkipped);
    } else {
      return;
    }
    item_from_[item_count_] = static_cast<uint8_t>(best_from);
    items_[item_count_++] = best->held[best->next++];
  }
}

bool Lane::WaitedEnough() {
  const int64_t now_ns = clock_->MonotonicNs();
  if (waits_since_ns_ == 0) waits_since_ns_ = now_ns;
  return now_ns - waits_since_ns_ > kOrderWaitNs;
}

// There is nothing to look at.
bool Lane::Idle() {
  if (finished()) return false;
  if (passed_ != kSequenceEnd) {
    if (passed_ > progress()) Publish(passed_);
    return false;
  }
  uint64_t packet = 0, sequence = sequence_;
  int64_t time_ns = now_ns_;
  for (const auto& source : sources_) {
    packet = std::max(packet, source->end_packet);
    sequence = std::max(sequence, source->end_sequence);
    time_ns = std::max(time_ns, source->end_time_ns);
  }
  output_.BeginItem(sequence);
  worker_->Finish(packet, time_ns);
  if (first_) output_.PutWatermark(packet, time_ns);
  Publish(kSequenceEnd);
  return true;
}

bool Lane::Step() {
  if (item_next_ == item_count_) {
    item_next_ = 0;
    if (sources_.size() == 1) {
      passed_ = Refill(0, items_, &item_count_);
    } else {
      TakeInOrder();
    }
    if (item_count_ == 0) return Idle();
    for (size_t i = 0; i < item_count_; ++i) {
      if (!items_[i].tick) worker_->Expect(items_[i].frame);
    }
  }
  while (item_next_ < item_count_) {
    if (unfinished_) {
      unfinished_ = worker_->Continue() == LookResult::kMore;
    } else {
      Begin(&items_[item_next_]);
    }
    if (unfinished_) break;
    Complete(items_[item_next_]);
  }
  for (const auto& source : sources_) source->done.store(source->frames_done, std::memory_order_release);
  return true;
}

void Lane::Begin(StreamItem* item) {
  // Of forwarders that were not waited for, and whose clocks' readings crossed.
  sequence_ = std::max(sequence_, item->sequence);
  item->frame.time_ns = now_ns_ = std::max(now_ns_, item->frame.time_ns);
  output_.BeginItem(sequence_);
  if (item->tick) {
    worker_->Tick(item->frame.number, item->frame.time_ns);
    if (first_) output_.PutWatermark(item->frame.number, item->frame.time_ns);
    return;
  }
  output_.counters().Add(LaneCounter::kLooked);
  unfinished_ = worker_->Look(item->frame) == LookResult::kMore;
}

void Lane::Complete(const StreamItem& item) {
  if (!item.tick) ++sources_[item_from_[item_next_]]->frames_done;
  ++item_next_;
  Publish(sequence_);
}

}  // namespace stillwatch::dataplane
