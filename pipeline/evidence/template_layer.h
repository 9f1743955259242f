// Layer 1: template collision. Accounts are linked when they hold the same cores, and when those cores go
// together: over the accounts, and through different requests, more often than independent use explains.
// (Asking two shared cores of every pair of accounts loses slow fleets; see docs/detection.md.) Cores
// that go together form a bundle; an account belongs to a bundle that it holds at least two cores of
// through different requests; accounts of a bundle that share a core get an edge.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/evidence/core_look.h"
#include "pipeline/evidence/edge.h"
#include "pipeline/policy/tunables.h"

namespace stillwatch::pipeline {

struct TemplateLayerResult {
  std::vector<EdgeRecord> edges;  // sorted by (a, b)
  std::vector<uint32_t> bundle_of_core;  // UINT32_MAX: linked to no other core
  uint32_t links = 0;             // of cores
  uint32_t bundles = 0;           // with edges
};

TemplateLayerResult FindTemplateEdges(const CoreLook& look, const Tunables& tunables);

}  // namespace stillwatch::pipeline
