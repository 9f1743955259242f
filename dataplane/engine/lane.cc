#include "dataplane/engine/lane.h"

namespace stillwatch::dataplane {

Lane::Lane(const Options& options, const WorkerFactory& factory, const std::atomic<uint64_t>* sent,
           const std::atomic<bool>* abandoned)
    : first_(options.first),
      in_(options.ring_frames),
      output_(options.ring_bytes, options.lossless, abandoned),
      worker_(factory(options.index, &output_)),
      sent_(sent) {
  CHECK(worker_ != nullptr);
}

void Lane::End(uint64_t packet, int64_t time_ns, uint64_t sequence) {
  end_packet_ = packet;
  end_time_ns_ = time_ns;
  end_sequence_ = sequence;
  end_.store(true, std::memory_order_release);
}

bool Lane::Step() {
  if (item_next_ == item_count_) {
    // Read before the ring: what was sent up to here and is not in the ring was looked at.
    const bool end = end_.load(std::memory_order_acquire);
    const uint64_t sent = sent_->load(std::memory_order_acquire);
    item_next_ = 0;
    item_count_ = in_.Pop(items_);
    for (size_t i = 0; i < item_count_; ++i) {
      if (!items_[i].tick) worker_->Expect(items_[i].frame);
    }
    if (item_count_ == 0) {
      if (finished()) return false;
      if (end) {
        output_.BeginItem(end_sequence_);
        worker_->Finish(end_packet_, end_time_ns_);
        if (first_) output_.PutWatermark(end_packet_, end_time_ns_);
        Publish(kSequenceEnd);
        return true;
      }
      if (sent > progress()) Publish(sent);
      return false;
    }
  }
  while (item_next_ < item_count_) {
    const StreamItem& item = items_[item_next_];
    if (unfinished_) {
      unfinished_ = worker_->Continue() == LookResult::kMore;
    } else {
      Begin(item);
    }
    if (unfinished_) break;
    Complete(item);
  }
  done_.store(frames_done_, std::memory_order_release);
  return true;
}

void Lane::Begin(const StreamItem& item) {
  output_.BeginItem(item.sequence);
  if (item.tick) {
    worker_->Tick(item.frame.number, item.frame.time_ns);
    if (first_) output_.PutWatermark(item.frame.number, item.frame.time_ns);
    return;
  }
  output_.counters().Add(LaneCounter::kLooked);
  unfinished_ = worker_->Look(item.frame) == LookResult::kMore;
}

void Lane::Complete(const StreamItem& item) {
  if (!item.tick) ++frames_done_;
  ++item_next_;
  Publish(item.sequence);
}

}  // namespace stillwatch::dataplane
