// The bounded flow table of one worker: open hashing over a preallocated pool. One thread; nothing is allocated
// after construction.
#pragma once

#include <vector>

#include "dataplane/flow/flow.h"

namespace stillwatch::dataplane {

class FlowTable {
 public:
  explicit FlowTable(uint32_t flows_max);
  ~FlowTable();

  Flow* Find(const FlowKey& key, uint64_t hash) const {
    for (Flow* flow = buckets_[hash & mask_]; flow != nullptr; flow = flow->chain) {
      if (flow->hash == hash && flow->key == key) return flow;
    }
    return nullptr;
  }
  // A fresh flow in phase kOpening with key, hash and last_ns; nullptr when full: remove Victim() first.
  Flow* Add(const FlowKey& key, uint64_t hash, int64_t now_ns);
  // The caller has given back what the flow held and taken it off the timer wheel.
  void Remove(Flow* flow);

  // The best to give up of a sample of flows, walking on through the table at each call: closed before opening
  // before active, then the one silent for longest. nullptr when the table is empty.
  Flow* Victim();

  void Prefetch(uint64_t hash) const { __builtin_prefetch(&buckets_[hash & mask_]); }
  // The first flow of the bucket; nullptr when it is empty.
  Flow* Bucket(uint64_t hash) const { return buckets_[hash & mask_]; }
  size_t size() const { return slab_.taken(); }
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (Flow* bucket : buckets_) {
      for (Flow* flow = bucket; flow != nullptr; flow = flow->chain) visit(flow);
    }
  }

 private:
  const uint64_t mask_;
  std::vector<Flow*> buckets_;
  Slab<Flow> slab_;
  uint64_t hand_ = 0;  // bucket from which Victim goes on
};

}  // namespace stillwatch::dataplane
