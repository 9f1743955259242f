// The bounded flow table of one worker: open hashing over a preallocated pool, three lists by age. Single owner,
// no allocation after construction except the pools named in worker.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/flow/reassembly.h"
#include "dataplane/http/http_connection.h"
#include "dataplane/llm/flow_record.h"
#include "dataplane/packet/flow_hash.h"

namespace stillwatch::dataplane {

enum class FlowPhase : uint8_t {
  kOpening,  // no payload so far
  kActive,
  kQuiet,    // no packet for a while: its flow record is out
  kReset,    // a RST was seen; ends soon unless it was forged and data goes on
  kClosed,   // over; kept a little so that late copies do not look like a new flow
};
inline constexpr size_t kFlowPhases = 5;

enum class Protocol : uint8_t { kUndecided, kHttp, kTls, kOther };

inline constexpr uint8_t kSniffBytes = 24;

struct Direction {
  Reassembly stream;
  int64_t early_since_ns = 0;
  uint32_t isn = 0;  // of the SYN
  uint32_t fin_seq = 0;
  bool syn_seen = false, fin_seen = false, ended = false;
  uint8_t sniff_size = 0;
  uint8_t sniff[kSniffBytes];  // first bytes while they are too few to tell the protocol
};

struct Flow {
  FlowKey key;
  uint64_t hash;
  uint64_t id;
  Flow* chain;          // same bucket
  Flow *older, *newer;  // same phase
  FlowPhase phase;
  Protocol protocol;
  bool client_is_low;
  bool client_known;
  int64_t first_ns, last_ns;
  int64_t syn_ns, syn_ack_ns;
  uint32_t rtt_us;
  uint8_t address_length;
  Direction direction[2];  // [0]: from the client
  std::unique_ptr<HttpConnection> http;
  std::unique_ptr<FlowRecord> record;
  int64_t last_step_ns;
};
static_assert(sizeof(Flow) <= 512, "an idle flow costs at most 512 bytes");

class FlowTable {
 public:
  explicit FlowTable(uint32_t flows_max);

  Flow* Find(const FlowKey& key, uint64_t hash);
  // A fresh flow in phase kOpening; nullptr when full (evict with Oldest and Remove first).
  Flow* Add(const FlowKey& key, uint64_t hash, int64_t now_ns);
  void Remove(Flow* flow);
  // Moves the flow to the young end of `phase`. A packet of it came at last_ns, which the caller sets.
  void Move(Flow* flow, FlowPhase phase);
  Flow* Oldest(FlowPhase phase) { return lists_[static_cast<size_t>(phase)].oldest; }
  void Prefetch(uint64_t hash) const { __builtin_prefetch(&buckets_[hash & mask_]); }
  size_t size() const { return size_; }

 private:
  struct List {
    Flow *oldest = nullptr, *newest = nullptr;
  };
  void Unlink(Flow* flow);
  void Link(Flow* flow);

  uint64_t mask_;
  std::vector<Flow*> buckets_;
  std::unique_ptr<Flow[]> pool_;
  std::vector<Flow*> free_;
  List lists_[kFlowPhases];
  size_t size_ = 0;
};

}  // namespace stillwatch::dataplane
