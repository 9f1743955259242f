#include "dataplane/flow/flow_table.h"

#include <bit>
#include <tuple>

namespace stillwatch::dataplane {

namespace {

constexpr int kVictimSample = 16;

// Larger: rather given up.
auto Expendable(const Flow& flow) {
  return std::tuple(flow.phase == FlowPhase::kClosed, flow.phase == FlowPhase::kOpening, -flow.last_ns);
}

}  // namespace

FlowTable::FlowTable(uint32_t flows_max)
    : mask_(std::bit_ceil(uint64_t{flows_max} * 2) - 1), buckets_(mask_ + 1), slab_(flows_max) {}

FlowTable::~FlowTable() {
  for (Flow* bucket : buckets_) {
    while (bucket != nullptr) {
      Flow* const next = bucket->chain;
      slab_.Give(bucket);
      bucket = next;
    }
  }
}

Flow* FlowTable::Add(const FlowKey& key, uint64_t hash, int64_t now_ns) {
  Flow* const flow = slab_.Take();
  if (flow == nullptr) return nullptr;
  flow->key = key;
  flow->hash = hash;
  flow->last_ns = now_ns;
  flow->chain = buckets_[hash & mask_];
  buckets_[hash & mask_] = flow;
  return flow;
}

void FlowTable::Remove(Flow* flow) {
  Flow** link = &buckets_[flow->hash & mask_];
  while (*link != flow) link = &(*link)->chain;
  *link = flow->chain;
  slab_.Give(flow);
}

Flow* FlowTable::Victim() {
  if (size() == 0) return nullptr;
  Flow* victim = nullptr;
  for (int seen = 0; seen < kVictimSample || victim == nullptr; hand_ = (hand_ + 1) & mask_) {
    ++seen;  // an empty bucket counts too: the work is bounded once there is a victim
    for (Flow* flow = buckets_[hand_]; flow != nullptr; flow = flow->chain) {
      if (victim == nullptr || Expendable(*flow) > Expendable(*victim)) victim = flow;
    }
  }
  return victim;
}

}  // namespace stillwatch::dataplane
