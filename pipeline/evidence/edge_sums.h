// Adds up what pairs of accounts share into one edge a pair. For layers that find pairs of requests; bounded by what
// they add (a few neighbours for each request).
#pragma once

#include <map>
#include <span>
#include <utility>
#include <vector>

#include "pipeline/evidence/core_finder.h"
#include "pipeline/evidence/edge.h"

namespace stillwatch::pipeline {

class EdgeSums {
 public:
  EdgeSums(Layer layer, std::span<const Profile> profiles) : layer_(layer), profiles_(profiles) {}

  // One request of each account belongs together: `nats` in 1/256, `anchors`: of the cores that carry them.
  void Add(const RequestRef& x, const RequestRef& y, int32_t nats, std::span<const uint32_t> anchors);
  // The edges so far, sorted by accounts; no edge weighs more than `nats_max`.
  std::vector<EdgeRecord> Take(int32_t nats_max);

 private:
  const Layer layer_;
  const std::span<const Profile> profiles_;
  std::map<std::pair<AccountId, AccountId>, EdgeRecord> edges_;
};

}  // namespace stillwatch::pipeline
