#include "pipeline/campaign/kin.h"

#include <algorithm>
#include <utility>

namespace stillwatch::pipeline {

Kin::Kin(std::span<const EdgeRecord> edges, const ProfileTable& profiles) {
  std::vector<std::pair<uint32_t, uint32_t>> pairs;
  for (const EdgeRecord& edge : edges) {
    if (edge.layer != Layer::kMigration) continue;
    const Profile* const a = profiles.Find(edge.a);
    const Profile* const b = profiles.Find(edge.b);
    if (a == nullptr || b == nullptr) continue;
    pairs.push_back({profiles.IndexOf(a), profiles.IndexOf(b)});
    pairs.push_back({profiles.IndexOf(b), profiles.IndexOf(a)});
  }
  if (pairs.empty()) return;
  std::sort(pairs.begin(), pairs.end());
  start_.assign(profiles.size() + 1, 0);
  for (const auto& [account, other] : pairs) ++start_[account + 1], others_.push_back(other);
  for (size_t i = 1; i < start_.size(); ++i) start_[i] += start_[i - 1];
}

std::vector<std::vector<uint32_t>> Kin::Pools() const {
  std::vector<std::vector<uint32_t>> pools;
  std::vector<bool> seen(start_.empty() ? 0 : start_.size() - 1, false);
  for (uint32_t first = 0; first < seen.size(); ++first) {
    if (seen[first] || Of(first).empty()) continue;
    std::vector<uint32_t>& pool = pools.emplace_back(1, first);
    seen[first] = true;
    for (size_t i = 0; i < pool.size(); ++i) {
      for (uint32_t other : Of(pool[i])) {
        if (!seen[other]) seen[other] = true, pool.push_back(other);
      }
    }
    std::sort(pool.begin(), pool.end());
  }
  return pools;
}

}  // namespace stillwatch::pipeline
