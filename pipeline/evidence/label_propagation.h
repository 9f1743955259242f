// Communities of a weighted graph by label propagation (Raghavan et al. 2007), made deterministic: nodes
// in index order, each takes the label of greatest total weight among its neighbours, ties by the smallest
// label; at most 20 rounds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace stillwatch::pipeline {

struct WeightedEdge {
  uint32_t a, b;
  int32_t weight;  // > 0
};

// One label a node; a label is the index of one of the nodes that bear it or bore it.
std::vector<uint32_t> PropagateLabels(uint32_t nodes, std::span<const WeightedEdge> edges);

}  // namespace stillwatch::pipeline
