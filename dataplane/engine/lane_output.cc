#include "dataplane/engine/lane_output.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "dataplane/engine/rest.h"

namespace stillwatch::dataplane {

namespace {

constexpr int64_t kFullNapNs = 50'000;

}  // namespace

void LaneOutput::OnExchange(const ExchangeView& exchange) {
  NoteOrder(exchange.header().order);
  if (Put(RecordKind::kExchange, exchange.block(), LaneCounter::kExchangeDropped)) {
    counters_.Add(LaneCounter::kExchanges);
  }
}

void LaneOutput::OnFlowRecord(const FlowRecord& record) {
  NoteOrder(record.order);
  CHECK(record.steps_count <= kFlowRecordSteps);
  const size_t size = offsetof(FlowRecord, steps) + record.steps_count * sizeof(FlowStep);
  if (Put(RecordKind::kFlowRecord, {reinterpret_cast<const uint8_t*>(&record), size},
          LaneCounter::kFlowRecordDropped)) {
    counters_.Add(LaneCounter::kFlowRecords);
  }
}

// Its place among the records of its own flow does not matter, so it is not held against their order.
void LaneOutput::OnConnection(const ConnectionNote& note) {
  Put(RecordKind::kConnection, {reinterpret_cast<const uint8_t*>(&note), sizeof note}, LaneCounter::kConnectionNoteDropped);
}

bool LaneOutput::OnUninteresting(const FlowEnds& ends, int64_t time_ns) {
  const int64_t behind_ns = std::max<int64_t>(clock_.UnixNs() - time_ns, 0);
  const bool taken = uninteresting_.Push({ends, clock_.MonotonicNs() - behind_ns});
  if (!taken) counters_.Add(LaneCounter::kPassRingFull);
  return taken;
}

void LaneOutput::PutWatermark(uint64_t packet, int64_t time_ns) {
  const Watermark watermark{{packet, ~0ull, ~0ull}, time_ns};
  // On a full live ring it is left out: the next one says more.
  Put(RecordKind::kWatermark, {reinterpret_cast<const uint8_t*>(&watermark), sizeof watermark},
      LaneCounter::kCount);
}

bool LaneOutput::Put(RecordKind kind, Bytes record, LaneCounter dropped) {
  const size_t size = sizeof(RecordHead) + record.size();
  if (size > ring_.record_max()) {
    counters_.Add(LaneCounter::kRecordTooLarge);
    return false;
  }
  std::span<uint8_t> room = ring_.Reserve(size);
  Rest rest(kFullNapNs);
  while (room.empty()) {
    if (!lossless_ || abandoned_->load(std::memory_order_relaxed)) {
      if (dropped != LaneCounter::kCount) counters_.Add(dropped);
      return false;
    }
    rest.After(false);
    room = ring_.Reserve(size);
  }
  const RecordHead head{sequence_, kind};
  std::memcpy(room.data(), &head, sizeof head);
  std::memcpy(room.data() + sizeof head, record.data(), record.size());
  ring_.Commit();
  return true;
}

void LaneOutput::NoteOrder(const OrderKey& order) {
  if (order < last_order_) counters_.Add(LaneCounter::kOutOfOrder);
  last_order_ = order;
}

}  // namespace stillwatch::dataplane
