// Where one worker's records go: a byte ring to the merging thread, in the worker's own order.
// Written by the worker's thread, read by the Merger. Bounded in bytes. Full: a wire drops the
// record and counts it; a capture waits for room (until abandoned).
//
// A worker gives its records in OrderKey order within one item; the merger rests on it. A record
// that does not keep it is delivered all the same and counted.
#pragma once

#include <atomic>

#include "base/clock.h"
#include "base/counters.h"
#include "base/spsc_byte_ring.h"
#include "base/spsc_ring.h"
#include "dataplane/worker_output.h"

namespace stillwatch::dataplane {

enum class LaneCounter {
  kLooked,             // frames given to the worker
  kExchanges,          // exchanges put into the ring
  kFlowRecords,        // flow records put into the ring
  kExchangeDropped,    // exchanges lost because detection does not keep up (ring full);
                       // raise threads.exchange_ring_mib
  kFlowRecordDropped,  // flow records lost for the same reason
  kRecordTooLarge,     // a record larger than half the ring: never fits
  kOutOfOrder,         // records that a worker gave against the order key's order
  kOrderSkipped,       // frames looked at out of turn, because another forwarder stood still for more than 2 ms; pin
                       // the forwarders (threads.cpus)
  kConnectionNoteDropped,  // words of connections lost because the ring was full: sides of a terminator are joined anew from then on;
                       // raise threads.exchange_ring_mib
  kPassRingFull,       // flows of no interest that stayed with the process for now because too many came at one time
  kCount
};
inline constexpr CounterNames<LaneCounter> kLaneCounterNames{
    "engine.looked",           "engine.exchanges",           "engine.flow_records",
    "engine.exchange_dropped", "engine.flow_record_dropped", "engine.record_too_large",
    "engine.out_of_order",     "engine.order_skipped",      "engine.connection_note_dropped",
    "engine.pass_ring_full"};

enum class RecordKind : uint32_t { kExchange, kFlowRecord, kWatermark, kConnection };

// Before each record in the ring. The record's bytes follow: an exchange block; a FlowRecord
// without its unused steps; a Watermark; or a ConnectionNote.
struct RecordHead {
  uint64_t sequence;
  RecordKind kind;
  uint32_t reserved = 0;
};
struct Watermark {
  OrderKey order;
  int64_t time_ns;
};
static_assert(sizeof(RecordHead) % 8 == 0);

// A flow that may stay in the kernel from now on.
struct UninterestingFlow {
  FlowEnds ends;
  int64_t looked_ns;  // CLOCK_MONOTONIC: when the latest frame that was looked at was received
};

class LaneOutput final : public WorkerOutput {
 public:
  // Capacity: a power of two of bytes. `abandoned` outlives this: when it turns true nothing waits
  // any more.
  LaneOutput(size_t ring_bytes, bool lossless, const std::atomic<bool>* abandoned)
      : ring_(ring_bytes), lossless_(lossless), abandoned_(abandoned) {}

  // Worker's thread.
  void OnExchange(const ExchangeView& exchange) override;
  void OnFlowRecord(const FlowRecord& record) override;
  void OnConnection(const ConnectionNote& note) override;
  bool OnUninteresting(const FlowEnds& ends, int64_t time_ns) override;
  // What follows belongs to the item with this sequence.
  void BeginItem(uint64_t sequence) {
    sequence_ = sequence;
    last_order_ = OrderKey{};
  }
  void PutWatermark(uint64_t packet, int64_t time_ns);
  CounterBlock<LaneCounter>& counters() { return counters_; }

  // Merger's thread.
  SpscByteRing& ring() { return ring_; }
  // The thread that tells the kernel.
  SpscRing<UninterestingFlow>& uninteresting() { return uninteresting_; }

 private:
  // False: not put, counted as `dropped`.
  bool Put(RecordKind kind, Bytes record, LaneCounter dropped);
  void NoteOrder(const OrderKey& order);

  SpscByteRing ring_;
  SpscRing<UninterestingFlow> uninteresting_{1024};
  const SystemClock clock_;
  const bool lossless_;
  const std::atomic<bool>* abandoned_;
  uint64_t sequence_ = 0;
  OrderKey last_order_;
  CounterBlock<LaneCounter> counters_{kLaneCounterNames};
};

}  // namespace stillwatch::dataplane
