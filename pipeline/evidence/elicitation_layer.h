// Layer 5 as edges: two unrelated accounts ask for reasoning, rubrics, candidates or schemas in the words of one prompt.
// One core is enough here, so that a campaign of a single template is proposed at all; it is judged like any other.
#pragma once

#include <vector>

#include "pipeline/evidence/core_look.h"
#include "pipeline/evidence/edge.h"

namespace stillwatch::pipeline {

// Between owners next to each other in a fixed order, of each core that is not public and whose owners mostly ask with
// it. Sorted by (a, b).
std::vector<EdgeRecord> FindElicitationEdges(const CoreLook& look, const Tunables& tunables);

}  // namespace stillwatch::pipeline
