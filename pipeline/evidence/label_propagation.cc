#include "pipeline/evidence/label_propagation.h"

#include <algorithm>
#include <numeric>

namespace stillwatch::pipeline {

std::vector<uint32_t> PropagateLabels(uint32_t nodes, std::span<const WeightedEdge> edges) {
  constexpr int kRounds = 20;
  struct Neighbour {
    uint32_t node;
    int32_t weight;
  };
  std::vector<uint32_t> start(nodes + 1, 0);
  for (const WeightedEdge& edge : edges) ++start[edge.a + 1], ++start[edge.b + 1];
  std::partial_sum(start.begin(), start.end(), start.begin());
  std::vector<Neighbour> neighbours(edges.size() * 2);
  std::vector<uint32_t> fill(start.begin(), start.end() - 1);
  for (const WeightedEdge& edge : edges) {
    neighbours[fill[edge.a]++] = {edge.b, edge.weight};
    neighbours[fill[edge.b]++] = {edge.a, edge.weight};
  }

  std::vector<uint32_t> label(nodes);
  std::iota(label.begin(), label.end(), 0);
  std::vector<std::pair<uint32_t, int64_t>> votes;
  for (int round = 0; round < kRounds; ++round) {
    bool changed = false;
    for (uint32_t node = 0; node < nodes; ++node) {
      votes.clear();
      for (uint32_t i = start[node]; i < start[node + 1]; ++i) {
        votes.push_back({label[neighbours[i].node], neighbours[i].weight});
      }
      if (votes.empty()) continue;
      std::sort(votes.begin(), votes.end());
      uint32_t best = label[node];
      int64_t best_weight = -1;
      for (size_t i = 0; i < votes.size();) {
        int64_t weight = 0;
        const uint32_t candidate = votes[i].first;
        for (; i < votes.size() && votes[i].first == candidate; ++i) weight += votes[i].second;
        if (weight > best_weight) best = candidate, best_weight = weight;
      }
      changed |= best != label[node];
      label[node] = best;
    }
    if (!changed) break;
  }
  return label;
}

}  // namespace stillwatch::pipeline
