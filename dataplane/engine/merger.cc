#include "dataplane/engine/merger.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

struct MergeKey {
  uint64_t sequence;
  OrderKey order;
  auto operator<=>(const MergeKey&) const = default;
};

// Every kind of record begins with its order key.
static_assert(offsetof(ExchangeHeader, order) == 0 && offsetof(FlowRecord, order) == 0 &&
              offsetof(Watermark, order) == 0 && offsetof(ConnectionNote, order) == 0);

MergeKey KeyOf(Bytes record) {
  MergeKey key;
  RecordHead head;
  std::memcpy(&head, record.data(), sizeof head);
  key.sequence = head.sequence;
  std::memcpy(&key.order, record.data() + sizeof head, sizeof key.order);
  return key;
}

}  // namespace

// The lane whose oldest record is next of all; null when it is not known yet.
Lane* Merger::Next() {
  Lane* best = nullptr;
  MergeKey best_key{};
  uint64_t silent_progress = kSequenceEnd;  // of the lanes that have nothing to give
  for (const auto& lane : lanes_) {
    // Read before the ring: a record of an item up to here is in the ring, if there is one.
    const uint64_t progress = lane->progress();
    const Bytes front = lane->output().ring().Front();
    if (front.empty()) {
      silent_progress = std::min(silent_progress, progress);
      continue;
    }
    const MergeKey key = KeyOf(front);
    if (best == nullptr || key < best_key) {
      best = lane.get();
      best_key = key;
    }
  }
  if (MutantIs("merger_ignores_progress")) return best;
  return best != nullptr && best_key.sequence <= silent_progress ? best : nullptr;
}

size_t Merger::Poll(ExchangeConsumer* consumer, size_t records_max) {
  size_t count = 0;
  while (count < records_max) {
    Lane* lane = Next();
    if (lane == nullptr) break;
    SpscByteRing& ring = lane->output().ring();
    Deliver(ring.Front(), consumer);
    ring.PopFront();
    ++count;
  }
  return count;
}

void Merger::Join(std::span<uint8_t> exchange) {
  uint64_t lost = 0;
  for (const auto& lane : lanes_) lost += lane->output().counters().Get(LaneCounter::kConnectionNoteDropped);
  if (lost != notes_lost_) joiner_->Forget();
  notes_lost_ = lost;
  joiner_->OnExchange(reinterpret_cast<ExchangeHeader*>(exchange.data()));
}

void Merger::Deliver(std::span<uint8_t> record, ExchangeConsumer* consumer) {
  RecordHead head;
  std::memcpy(&head, record.data(), sizeof head);
  const std::span<uint8_t> body = record.subspan(sizeof head);
  switch (head.kind) {
    case RecordKind::kExchange:
      if (joiner_ != nullptr) Join(body);
      consumer->OnExchange(ExchangeView(body));
      break;
    case RecordKind::kFlowRecord:
      // Unused steps are zero, whatever the record before had there.
      std::fill_n(flow_record_.steps, flow_record_.steps_count, FlowStep{});
      std::memcpy(&flow_record_, body.data(), body.size());
      if (joiner_ != nullptr) joiner_->OnFlowRecord(&flow_record_);
      consumer->OnFlowRecord(flow_record_);
      break;
    case RecordKind::kWatermark: {
      Watermark watermark;
      std::memcpy(&watermark, body.data(), sizeof watermark);
      if (joiner_ != nullptr) joiner_->OnTime(watermark.time_ns);
      consumer->OnWatermark(watermark.order.packet, watermark.time_ns);
      break;
    }
    case RecordKind::kConnection: {
      ConnectionNote note;
      std::memcpy(&note, body.data(), sizeof note);
      if (joiner_ != nullptr) joiner_->OnNote(note);
      break;
    }
  }
}

bool Merger::at_end() {
  return std::all_of(lanes_.begin(), lanes_.end(), [](const auto& lane) {
    return lane->finished() && lane->output().ring().Front().empty();
  });
}

}  // namespace stillwatch::dataplane
