// Graphs for tests of labels.
#pragma once

#include <cstdint>
#include <random>
#include <tuple>
#include <vector>

#include "gpu/backend.h"

namespace stillwatch::gpu {

// Owns what a LabelGraph points at.
struct Graph {
  std::vector<uint32_t> offsets, neighbours, weights, labels;

  LabelGraph view() const { return {offsets, neighbours, weights}; }
  uint32_t nodes() const { return static_cast<uint32_t>(labels.size()); }
};

using Edge = std::tuple<uint32_t, uint32_t, uint32_t>;  // two ends and a weight

// Every node starts with its own number.
inline Graph GraphOf(uint32_t nodes, const std::vector<Edge>& edges) {
  std::vector<std::vector<std::pair<uint32_t, uint32_t>>> lists(nodes);
  for (const auto& [a, b, weight] : edges) {
    lists[a].emplace_back(b, weight);
    lists[b].emplace_back(a, weight);
  }
  Graph graph;
  graph.offsets.push_back(0);
  for (uint32_t node = 0; node < nodes; ++node) {
    for (const auto& [neighbour, weight] : lists[node]) {
      graph.neighbours.push_back(neighbour);
      graph.weights.push_back(weight);
    }
    graph.offsets.push_back(static_cast<uint32_t>(graph.neighbours.size()));
    graph.labels.push_back(node);
  }
  return graph;
}

inline Graph RandomGraph(std::mt19937_64& random, uint32_t nodes, uint32_t edges, uint32_t weight_max) {
  std::vector<Edge> list;
  for (uint32_t i = 0; i < edges; ++i) {
    list.emplace_back(random() % nodes, random() % nodes, random() % (weight_max + 1));
  }
  return GraphOf(nodes, list);
}

// A node that all others are linked to, which are linked in a ring; far more than a warp's table.
inline Graph Wheel(uint32_t rim) {
  std::vector<Edge> edges;
  for (uint32_t i = 0; i < rim; ++i) {
    edges.emplace_back(rim, i, 1 + i % 3);
    edges.emplace_back(i, (i + 1) % rim, 2);
  }
  return GraphOf(rim + 1, edges);
}

}  // namespace stillwatch::gpu
