// Layer 3 as edges: crossing. Two unrelated accounts got the same payload under different prompts: what a dealer does
// who sweeps one list of items with several templates, and what people who share one prompt do not do. Edges propose;
// whether the work of a group is dealt out is judged on the whole group (work_division.h).
#pragma once

#include <vector>

#include "pipeline/evidence/core_look.h"
#include "pipeline/evidence/edge.h"

namespace stillwatch::pipeline {

// `bundle_of_core`: cores that go together (template_layer.h), UINT32_MAX: in none. Sorted by (a, b).
std::vector<EdgeRecord> FindWorkEdges(const CoreLook& look, std::span<const uint32_t> bundle_of_core, const Tunables& tunables);

}  // namespace stillwatch::pipeline
