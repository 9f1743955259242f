#include "pipeline/evidence/edge_sums.h"

#include <algorithm>

#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

void EdgeSums::Add(const RequestRef& x, const RequestRef& y, int32_t nats, std::span<const uint32_t> anchors) {
  const AccountId& of_x = profiles_[x.account].id;
  const AccountId& of_y = profiles_[y.account].id;
  const std::pair<AccountId, AccountId> key = std::minmax(of_x, of_y);
  const auto [at, fresh] = edges_.try_emplace(key);
  EdgeRecord& edge = at->second;
  if (fresh) {
    edge.a = key.first, edge.b = key.second;
    edge.layer = layer_;
    edge.first_s = UINT32_MAX;
  }
  edge.weight = SaturateQ8(int64_t{edge.weight} + nats);
  edge.count += 2;
  for (uint32_t anchor : anchors) {
    const auto end = edge.cores + edge.cores_count;
    if (edge.cores_count == kEdgeCores || std::find(edge.cores, end, anchor) != end) continue;
    edge.cores[edge.cores_count++] = anchor;
    ++edge.shared_cores;
  }
  for (const RequestRef* ref : {&x, &y}) {
    edge.first_s = std::min(edge.first_s, ref->request->time_s);
    edge.last_s = std::max(edge.last_s, ref->request->time_s);
  }
}

std::vector<EdgeRecord> EdgeSums::Take(int32_t nats_max) {
  std::vector<EdgeRecord> result;
  for (auto& [key, edge] : edges_) {
    edge.weight = std::clamp(edge.weight, 1, nats_max);
    result.push_back(edge);
  }
  edges_.clear();
  return result;
}

}  // namespace stillwatch::pipeline
