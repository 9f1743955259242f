#include "gpu/join/labels.h"

#include <algorithm>
#include <string>

#include "base/mutant.h"

namespace stillwatch::gpu {

Status CheckGraph(const LabelGraph& graph, std::span<const uint32_t> labels) {
  const auto& offsets = graph.offsets;
  if (offsets.size() != labels.size() + 1 || graph.neighbours.size() != graph.weights.size() ||
      offsets.front() != 0 || offsets.back() != graph.neighbours.size()) {
    return Error{"graph: " + std::to_string(labels.size()) + " labels, " +
                 std::to_string(offsets.size()) + " offsets, " +
                 std::to_string(graph.neighbours.size()) + " neighbours and " +
                 std::to_string(graph.weights.size()) + " weights do not agree"};
  }
  for (size_t node = 0; node < labels.size(); ++node) {
    const auto wrong = [node](const char* what) {
      return Error{"graph: node " + std::to_string(node) + " has " + what};
    };
    if (labels[node] >= labels.size()) return wrong("a label that is no node");
    if (offsets[node] > offsets[node + 1] || offsets[node + 1] > graph.neighbours.size()) {
      return wrong("offsets out of order");
    }
    uint64_t weights = 0;
    for (uint32_t edge = offsets[node]; edge < offsets[node + 1]; ++edge) {
      if (graph.neighbours[edge] >= labels.size()) return wrong("a neighbour that is no node");
      weights += graph.weights[edge];
    }
    if (weights >> 31 != 0) return wrong("weights of 2^31 or more");
  }
  return {};
}

uint32_t LabelStepper::Least(const LabelGraph& graph, uint32_t node, uint32_t weight_min,
                             std::span<const uint32_t> labels) const {
  uint32_t least = std::min(labels[node], labels[labels[node]]);
  for (uint32_t edge = graph.offsets[node]; edge < graph.offsets[node + 1]; ++edge) {
    if (graph.weights[edge] >= weight_min) least = std::min(least, labels[graph.neighbours[edge]]);
  }
  return least;
}

uint32_t LabelStepper::Heaviest(const LabelGraph& graph, uint32_t node, uint32_t weight_min,
                                std::span<const uint32_t> labels) {
  uint32_t own_vote = 0;
  for (uint32_t edge = graph.offsets[node]; edge < graph.offsets[node + 1]; ++edge) {
    if (graph.weights[edge] < weight_min) continue;
    votes_[labels[graph.neighbours[edge]]] += graph.weights[edge];
    own_vote = std::max(own_vote, graph.weights[edge]);
  }
  votes_[labels[node]] += own_vote;
  uint64_t best = VoteKey(votes_[labels[node]], labels[node]);
  for (uint32_t edge = graph.offsets[node]; edge < graph.offsets[node + 1]; ++edge) {
    if (graph.weights[edge] < weight_min) continue;
    const uint32_t label = labels[graph.neighbours[edge]];
    const bool better = MutantIs("gpu.label_ties") ? votes_[label] >= best >> 32
                                                   : VoteKey(votes_[label], label) > best;
    if (better) best = VoteKey(votes_[label], label);
  }
  votes_[labels[node]] = 0;
  for (uint32_t edge = graph.offsets[node]; edge < graph.offsets[node + 1]; ++edge) {
    votes_[labels[graph.neighbours[edge]]] = 0;
  }
  return LabelOfVote(best);
}

Result<uint32_t> LabelStepper::Run(const LabelGraph& graph, LabelRule rule, uint32_t weight_min,
                                   uint32_t steps_max, std::span<uint32_t> labels) {
  if (labels.size() > next_.size()) {
    return Error{std::to_string(labels.size()) + " nodes; graph_nodes_max is " +
                 std::to_string(next_.size())};
  }
  if (Status good = CheckGraph(graph, labels); !good.ok()) return Error{good.message()};
  for (uint32_t step = 0; step < steps_max; ++step) {
    const uint32_t nodes = static_cast<uint32_t>(labels.size());
    for (uint32_t node = 0; node < nodes; ++node) {
      next_[node] = rule == LabelRule::kComponents ? Least(graph, node, weight_min, labels)
                                                   : Heaviest(graph, node, weight_min, labels);
    }
    if (std::equal(labels.begin(), labels.end(), next_.begin())) return step + 1;
    std::copy(next_.begin(), next_.begin() + nodes, labels.begin());
  }
  return steps_max;
}

}  // namespace stillwatch::gpu
