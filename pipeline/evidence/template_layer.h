// Layer 1: template collision. Accounts are linked when they hold the same cores, and when those cores go
// together: over the accounts, and through different requests, more often than independent use explains.
// (Asking two shared cores of every pair of accounts loses slow fleets; see docs/detection.md.) Cores
// that go together form a bundle; an account belongs to a bundle that it holds at least two cores of
// through different requests; accounts of a bundle that share a core get an edge.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/evidence/core_finder.h"
#include "pipeline/evidence/edge.h"
#include "pipeline/policy/tunables.h"

namespace stillwatch::pipeline {

struct TemplateLayerResult {
  std::vector<EdgeRecord> edges;  // sorted by (a, b)
  uint32_t cores = 0;             // found in the population
  uint32_t public_cores = 0;      // of these; they link nobody
  uint32_t links = 0;             // of cores
  uint32_t bundles = 0;
  uint32_t sampled_one_in = 1;
};

// Dense owner indexes for profiles: equal owners, equal index. Ordered by first appearance.
std::vector<uint32_t> OwnerIndexes(std::span<const Profile> profiles, uint32_t* owners);

// Every remembered request, sorted by owner index.
std::vector<RequestRef> AllRequests(std::span<const Profile> profiles, std::span<const uint32_t> owners);

TemplateLayerResult FindTemplateEdges(std::span<const Profile> profiles, const Tunables& tunables);

}  // namespace stillwatch::pipeline
