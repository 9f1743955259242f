// One node's next label by one warp. Votes are counted in an open-addressed table that never fills, by
// additions whose order cannot change a sum, and the best is a maximum: so the result is exact whatever
// the lanes' order, and a node of any degree has room.
// Device code: included by kernels.cu alone.
#pragma once

#include "base/hash.h"
#include "gpu/cuda/bulk_launch.h"

namespace stillwatch::gpu {

struct LabelShared {
  VoteSlot slots[kLabelThreads / 32][kLabelSharedSlots];
};

__device__ inline uint32_t EndOfEdges(const LabelArguments& graph, uint32_t node) {
#ifdef SW_SEED_BULK_OFF_BY_ONE
  return graph.offsets[node + 1] + 1;
#else
  return graph.offsets[node + 1];
#endif
}

__device__ inline uint32_t LeastAround(const LabelArguments& graph, uint32_t node) {
  const uint32_t lane = threadIdx.x % 32, own = graph.labels[node];
  uint32_t least = own < graph.labels[own] ? own : graph.labels[own];
  const uint32_t end = EndOfEdges(graph, node);
  for (uint32_t edge = graph.offsets[node] + lane; edge < end; edge += 32) {
    if (graph.weights[edge] < graph.weight_min) continue;
    const uint32_t label = graph.labels[graph.neighbours[edge]];
    least = label < least ? label : least;
  }
  for (uint32_t step = 16; step > 0; step /= 2) {
    const uint32_t other = __shfl_xor_sync(0xffffffffu, least, step);
    least = other < least ? other : least;
  }
  return least;
}

__device__ inline void Vote(VoteSlot* slots, uint32_t size, uint32_t label, uint32_t votes) {
  uint32_t at = __umulhi(Mix32(label), size);
  while (true) {
    const uint32_t seen = atomicCAS(&slots[at].label, kNoLabel, label);
    if (seen == kNoLabel || seen == label) break;
    at = at + 1 == size ? 0 : at + 1;
  }
  atomicAdd(&slots[at].votes, votes);
}

__device__ inline uint64_t BestVote(const LabelArguments& graph, uint32_t node, uint32_t own_vote,
                                    VoteSlot* slots, uint32_t size) {
  const uint32_t lane = threadIdx.x % 32;
  for (uint32_t i = lane; i < size; i += 32) slots[i] = {kNoLabel, 0};
  __syncwarp();
  if (lane == 0) Vote(slots, size, graph.labels[node], own_vote);
  const uint32_t end = EndOfEdges(graph, node);
  for (uint32_t edge = graph.offsets[node] + lane; edge < end; edge += 32) {
    if (graph.weights[edge] < graph.weight_min) continue;
    Vote(slots, size, graph.labels[graph.neighbours[edge]], graph.weights[edge]);
  }
#ifndef SW_SEED_BULK_MISSING_BARRIER
  __syncwarp();
#endif
  uint64_t best = 0;
  for (uint32_t i = lane; i < size; i += 32) {
    const uint64_t key = slots[i].label == kNoLabel ? 0 : VoteKey(slots[i].votes, slots[i].label);
    best = key > best ? key : best;
  }
  return best;
}

__device__ inline uint32_t HeaviestAround(const LabelArguments& graph, uint32_t node,
                                          LabelShared& shared) {
  const uint32_t lane = threadIdx.x % 32, begin = graph.offsets[node];
  uint32_t own_vote = 0;
  const uint32_t end = EndOfEdges(graph, node);
  for (uint32_t edge = begin + lane; edge < end; edge += 32) {
    const uint32_t weight = graph.weights[edge];
    if (weight >= graph.weight_min && weight > own_vote) own_vote = weight;
  }
  for (uint32_t step = 16; step > 0; step /= 2) {
    const uint32_t other = __shfl_xor_sync(0xffffffffu, own_vote, step);
    own_vote = other > own_vote ? other : own_vote;
  }
  const uint32_t size = 2 * (graph.offsets[node + 1] - begin + 1);
  uint64_t best =
      size <= kLabelSharedSlots
          ? BestVote(graph, node, own_vote, shared.slots[threadIdx.x / 32], kLabelSharedSlots)
          : BestVote(graph, node, own_vote, graph.slots + 2 * (static_cast<uint64_t>(begin) + node),
                     size);
  for (uint32_t step = 16; step > 0; step /= 2) {
    const uint64_t other = __shfl_xor_sync(0xffffffffu, best, step);
    best = other > best ? other : best;
  }
  return LabelOfVote(best);
}

__device__ inline void StoreLabel(const LabelArguments& graph, uint32_t node, uint32_t label) {
  if (threadIdx.x % 32 != 0) return;
  graph.next[node] = label;
  if (label != graph.labels[node]) atomicAdd(graph.changed, 1u);
}

}  // namespace stillwatch::gpu
