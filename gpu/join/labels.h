// One synchronous step of labels over a graph (docs/sketches.md, "Labels of a graph"): connected
// components by the least label, or label propagation (Raghavan, Albert, Kumara 2007) made
// deterministic. Kernel bodies, and the loop on the CPU. Sums of weights stay below 2^32, since a
// node's weights are below 2^31 together (CheckGraph) and its own vote is one of them.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "gpu/backend.h"
#include "gpu/host_device.h"

namespace stillwatch::gpu {

// Of two labels with votes the better: more votes, of equals the lesser label. As one number, so that
// the best of many is a maximum.
SW_HOST_DEVICE inline uint64_t VoteKey(uint32_t votes, uint32_t label) {
  return static_cast<uint64_t>(votes) << 32 | (0xffffffffu - label);
}
SW_HOST_DEVICE inline uint32_t LabelOfVote(uint64_t key) {
  return 0xffffffffu - static_cast<uint32_t>(key);
}

// The message when lists do not agree, or a neighbour or label is no node, or weights are too large.
Status CheckGraph(const LabelGraph& graph, std::span<const uint32_t> labels);

// The CPU twin. Its memory, 8 bytes a node, is taken at construction.
class LabelStepper {
 public:
  explicit LabelStepper(uint32_t nodes_max) : next_(nodes_max), votes_(nodes_max) {}

  // Backend::PropagateLabels; refuses graphs of more than nodes_max nodes.
  Result<uint32_t> Run(const LabelGraph& graph, LabelRule rule, uint32_t weight_min,
                       uint32_t steps_max, std::span<uint32_t> labels);
  uint64_t memory_bytes() const { return 2 * sizeof(uint32_t) * next_.size(); }

 private:
  uint32_t Least(const LabelGraph& graph, uint32_t node, uint32_t weight_min,
                 std::span<const uint32_t> labels) const;
  uint32_t Heaviest(const LabelGraph& graph, uint32_t node, uint32_t weight_min,
                    std::span<const uint32_t> labels);

  std::vector<uint32_t> next_;
  std::vector<uint32_t> votes_;  // by label; all zero between nodes
};

}  // namespace stillwatch::gpu
