#include "dataplane/flow/flow_table.h"

#include <bit>

namespace stillwatch::dataplane {

FlowTable::FlowTable(uint32_t flows_max)
    : mask_(std::bit_ceil(uint64_t{flows_max} * 2) - 1), buckets_(mask_ + 1),
      pool_(std::make_unique_for_overwrite<Flow[]>(flows_max)) {
  free_.reserve(flows_max);
  for (uint32_t i = flows_max; i > 0; --i) free_.push_back(&pool_[i - 1]);
}

Flow* FlowTable::Find(const FlowKey& key, uint64_t hash) {
  for (Flow* flow = buckets_[hash & mask_]; flow != nullptr; flow = flow->chain) {
    if (flow->hash == hash && flow->key == key) return flow;
  }
  return nullptr;
}

Flow* FlowTable::Add(const FlowKey& key, uint64_t hash, int64_t now_ns) {
  if (free_.empty()) return nullptr;
  Flow* flow = free_.back();
  free_.pop_back();
  *flow = Flow{};
  flow->key = key;
  flow->hash = hash;
  flow->first_ns = flow->last_ns = now_ns;
  flow->phase = FlowPhase::kOpening;
  flow->chain = buckets_[hash & mask_];
  buckets_[hash & mask_] = flow;
  Link(flow);
  ++size_;
  return flow;
}

void FlowTable::Remove(Flow* flow) {
  Unlink(flow);
  Flow** link = &buckets_[flow->hash & mask_];
  while (*link != flow) link = &(*link)->chain;
  *link = flow->chain;
  flow->http.reset();
  flow->record.reset();
  free_.push_back(flow);
  --size_;
}

void FlowTable::Move(Flow* flow, FlowPhase phase) {
  if (flow->phase == phase && flow->newer == nullptr) return;
  Unlink(flow);
  flow->phase = phase;
  Link(flow);
}

void FlowTable::Unlink(Flow* flow) {
  List& list = lists_[static_cast<size_t>(flow->phase)];
  (flow->older != nullptr ? flow->older->newer : list.oldest) = flow->newer;
  (flow->newer != nullptr ? flow->newer->older : list.newest) = flow->older;
  flow->older = flow->newer = nullptr;
}

void FlowTable::Link(Flow* flow) {
  List& list = lists_[static_cast<size_t>(flow->phase)];
  flow->older = list.newest;
  flow->newer = nullptr;
  (list.newest != nullptr ? list.newest->newer : list.oldest) = flow;
  list.newest = flow;
}

}  // namespace stillwatch::dataplane
