// What the kernels for flows, account pairs and labels and the host code that launches them agree on.
#pragma once

#include <cstdint>

#include "gpu/cuda/launch.h"
#include "gpu/flow/flow_embedding.h"
#include "gpu/join/labels.h"

namespace stillwatch::gpu {

// EmbedFlows: one block a flow; warp w has the 16 filters of dilation 2^w, thread t pools dimension t.
inline constexpr uint32_t kFlowThreads = 128;
static_assert(kFlowThreads == kEmbeddingDims && kFlowThreads / 32 == kFlowGroups);

// ComponentStep, LabelStep: one warp a node.
inline constexpr uint32_t kLabelThreads = 128;

// Votes of a node's labels are counted in a table with twice as many slots as it may hold labels: in
// shared memory when this many slots are enough, else in the node's own part of `slots`.
inline constexpr uint32_t kLabelSharedSlots = 128;
inline constexpr uint32_t kNoLabel = 0xffffffffu;
struct VoteSlot {
  uint32_t label, votes;
};
// 2 * (edges + nodes) slots in all: those of a node begin at 2 * (offsets[node] + node).
struct LabelArguments {
  const uint32_t* offsets;
  const uint32_t* neighbours;
  const uint32_t* weights;
  const uint32_t* labels;
  uint32_t* next;
  VoteSlot* slots;
  uint32_t* changed;  // labels that differ from before are added
  uint32_t nodes;
  uint32_t weight_min;
};

}  // namespace stillwatch::gpu
