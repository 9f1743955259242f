// The flow embedding (docs/sketches.md, "Flow embedding"): what a connection carried, its instruction
// embeddings pooled, and how it moved, random convolutions over its first 256 records (size, gap,
// direction) after Dempster, Petitjean and Webb's ROCKET (2020). Integers only: kernel bodies that the
// CPU calls in loops and a CUDA kernel with its place in the grid, and the CPU's loops. Pure functions
// of their arguments; a record of any size and any gap is good.
#pragma once

#include <cstdint>
#include <span>

#include "gpu/backend.h"
#include "gpu/cpu/features.h"
#include "gpu/embed/embedding.h"
#include "gpu/host_device.h"

namespace stillwatch::gpu {

inline constexpr uint32_t kFlowFilters = 64;
inline constexpr uint32_t kFlowTaps = 8;
inline constexpr uint32_t kFlowGroupFilters = 16;  // of one dilation: 1, 2, 4, 8
inline constexpr uint32_t kFlowGroups = kFlowFilters / kFlowGroupFilters;
inline constexpr uint32_t kFlowChannels = 4;  // of a step, and so weights of a tap: one 32-bit word
inline constexpr uint32_t kFlowShift = 6;     // from a pooled sum to int8
// Zero words that stand before and after a flow's words: the furthest tap reaches 4 * 8 back.
inline constexpr uint32_t kFlowPadWords = kFlowTaps / 2 << (kFlowGroups - 1);
static_assert(2 * kFlowFilters == kEmbeddingDims);

// weights[f][t][c] of channel c, tap t: odd, -7 .. 7.
struct alignas(64) FlowFilters {
  int8_t weights[kFlowFilters][kFlowTaps][kFlowChannels];
};
FlowFilters MakeFlowFilters(Salt salt);

// The bit length of x + 1 in quarters, 0 .. 127: 4 * floor(log2(x + 1)), and the next two bits.
SW_HOST_DEVICE inline uint32_t LogCode(uint32_t x) {
  x += x != 0xffffffffu;
#if defined(__CUDA_ARCH__)
  const uint32_t zeros = static_cast<uint32_t>(__clz(static_cast<int>(x)));
#else
  const uint32_t zeros = static_cast<uint32_t>(__builtin_clz(x));
#endif
  return 4 * (31 - zeros) + (x << zeros >> 29 & 3);
}

// A step's four channels, each 0 .. 127, the first in the lowest byte: size from the client, size from
// the server, gap, direction.
SW_HOST_DEVICE inline uint32_t StepWord(uint32_t size_bytes, uint32_t gap_us, bool from_client) {
  const uint32_t size = LogCode(size_bytes);
  return (from_client ? size : size << 8) | LogCode(gap_us) << 16 | (from_client ? 96u : 32u) << 24;
}

// Where tap t of a filter of group g looks, from the step at hand.
SW_HOST_DEVICE constexpr int32_t TapOffset(uint32_t group, uint32_t tap) {
  return (static_cast<int32_t>(tap) - static_cast<int32_t>(kFlowTaps / 2)) * (1 << group);
}

// A maximum or a mean as it is kept.
SW_HOST_DEVICE constexpr int8_t PooledToInt8(int32_t pooled) {
  const int32_t shifted = pooled >> kFlowShift;
  return static_cast<int8_t>(shifted < -127 ? -127 : shifted > 127 ? 127 : shifted);
}

// The convolution on the CPU: of `count` words (1 .. 256), which stand between kFlowPadWords zeros and
// as many zeros again and 16 more, the greatest sum and the sum of sums of each filter.
using FlowConvolve = void (*)(const uint32_t* words, uint32_t count, const FlowFilters& filters,
                              int32_t* maxima, int32_t* totals);
struct FlowKernel {
  const char* name;
  FlowConvolve convolve;
};
// The fastest that a processor with these features runs; with none, the plain loop.
FlowKernel FlowKernelFor(const CpuFeatures& features);

// One flow. steps: those after the first 256 are not looked at. instructions: rows of kEmbeddingDims.
void EmbedFlow(const FlowFilters& filters, FlowConvolve convolve, std::span<const FlowStep> steps,
               std::span<const int8_t> instructions, FlowEmbedding* out);

// The message when spans and offsets do not agree or a flow has more than kFlowInstructionsMax rows.
Status CheckFlows(const FlowBatch& batch, size_t out_size);

}  // namespace stillwatch::gpu
