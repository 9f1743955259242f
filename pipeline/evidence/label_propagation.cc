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
  std::vector<int64_t> votes(nodes, 0);  // by label, of the node that is looked at
  std::vector<uint32_t> voted;
  std::vector<uint8_t> stirred(nodes, 1);  // a neighbour moved since the node was looked at: else it would stay
  for (int round = 0; round < kRounds; ++round) {
    bool changed = false;
    for (uint32_t node = 0; node < nodes; ++node) {
      if (!stirred[node]) continue;
      stirred[node] = 0;
      const std::span<const Neighbour> mine(neighbours.data() + start[node], start[node + 1] - start[node]);
      if (mine.empty()) continue;
      voted.clear();
      for (const Neighbour& neighbour : mine) {
        voted.push_back(label[neighbour.node]);
        votes[voted.back()] += neighbour.weight;
      }
      uint32_t best = label[node];
      int64_t best_weight = -1;
      for (uint32_t candidate : voted) {  // the heaviest, of equal ones the smallest
        const int64_t weight = votes[candidate];
        if (weight > best_weight || (weight == best_weight && candidate < best)) best = candidate, best_weight = weight;
      }
      for (uint32_t candidate : voted) votes[candidate] = 0;
      if (best == label[node]) continue;
      changed = true;
      label[node] = best;
      for (const Neighbour& neighbour : mine) stirred[neighbour.node] = 1;
    }
    if (!changed) break;
  }
  return label;
}

}  // namespace stillwatch::pipeline
