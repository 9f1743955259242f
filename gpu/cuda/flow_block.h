// A flow's embedding by one block. The convolution is a product of int8 tensor cores: the 16 filters of
// a dilation are the rows, eight taps of four channels the 32 values, eight steps the columns. A lane's
// words of a column are just two words of the flow, so nothing is rearranged.
// Device code: included by kernels.cu alone.
#pragma once

#include "gpu/cuda/bulk_launch.h"
#include "gpu/cuda/tensor.h"

namespace stillwatch::gpu {

struct FlowShared {
  uint32_t words[2 * kFlowPadWords + kFlowStepsMax];
  uint64_t squares[kFlowThreads / 32];
};

// The pooled instruction embedding: thread t has dimension t.
__device__ inline void PoolRows(const int8_t* rows, uint32_t row_count, FlowShared& shared,
                                FlowEmbedding* out) {
  const uint32_t t = threadIdx.x;
  int32_t sum = 0;
  for (uint32_t row = 0; row < row_count; ++row) {
    sum += rows[static_cast<uint64_t>(row) * kEmbeddingDims + t];
  }
  uint64_t squares = static_cast<uint64_t>(static_cast<int64_t>(sum) * sum);
  for (uint32_t step = 16; step > 0; step /= 2) {
    squares += __shfl_xor_sync(0xffffffffu, squares, step);
  }
  if (t % 32 == 0) shared.squares[t / 32] = squares;
  __syncthreads();
  squares = 0;
  for (uint32_t w = 0; w < kFlowThreads / 32; ++w) squares += shared.squares[w];
  out->content[t] = ScaleToInt8(sum, EmbeddingScaleOf(squares));
}

__device__ inline void LoadWords(const FlowStep* steps, uint32_t count, FlowShared& shared) {
  constexpr uint32_t kWords = sizeof(shared.words) / sizeof(shared.words[0]);
  for (uint32_t i = threadIdx.x; i < kWords; i += kFlowThreads) {
    uint32_t word = 0;
    if (i >= kFlowPadWords && i - kFlowPadWords < count) {
      const uint32_t* step = reinterpret_cast<const uint32_t*>(steps + (i - kFlowPadWords));
      word = StepWord(step[0], step[1], (step[2] & 0xff) != 0);
    }
    shared.words[i] = word;
  }
}

__device__ inline void ShapeOfSteps(const FlowFilters& filters, const FlowStep* steps,
                                    uint32_t step_count, FlowShared& shared, FlowEmbedding* out) {
  const uint32_t group = threadIdx.x / 32, lane = threadIdx.x % 32;
  const uint32_t count = step_count < kFlowStepsMax ? step_count : kFlowStepsMax;
  if (count == 0) {
    out->shape[threadIdx.x] = 0;
    return;
  }
  LoadWords(steps, count, shared);
#ifndef SW_SEED_BULK_MISSING_BARRIER
  __syncthreads();
#endif
  const uint32_t row = kFlowGroupFilters * group + lane / 4, tap = lane % 4;
  const uint32_t* weights = reinterpret_cast<const uint32_t*>(filters.weights);
  const uint32_t a0 = weights[row * kFlowTaps + tap], a1 = weights[(row + 8) * kFlowTaps + tap];
  const uint32_t a2 = weights[row * kFlowTaps + tap + 4],
                 a3 = weights[(row + 8) * kFlowTaps + tap + 4];
  const uint32_t* first = shared.words + kFlowPadWords + lane / 4 + TapOffset(group, tap);
  int32_t maxima[2] = {INT32_MIN, INT32_MIN}, totals[2] = {};
  for (uint32_t step = 0; step < count; step += 8) {
    int32_t sums[4] = {};
    MultiplyTile(a0, a1, a2, a3, first[step], first[step + (4u << group)], sums);
    for (uint32_t i = 0; i < 4; ++i) {
#ifdef SW_SEED_BULK_OFF_BY_ONE
      if (step + tap * 2 + i % 2 > count) continue;
#else
      if (step + tap * 2 + i % 2 >= count) continue;
#endif
      maxima[i / 2] = sums[i] > maxima[i / 2] ? sums[i] : maxima[i / 2];
      totals[i / 2] += sums[i];
    }
  }
  for (uint32_t half = 0; half < 2; ++half) {
    for (uint32_t step = 1; step < 4; step *= 2) {
      const int32_t other = __shfl_xor_sync(0xffffffffu, maxima[half], step);
      maxima[half] = other > maxima[half] ? other : maxima[half];
      totals[half] += __shfl_xor_sync(0xffffffffu, totals[half], step);
    }
    if (tap != 0) continue;
    out->shape[row + 8 * half] = PooledToInt8(maxima[half]);
    out->shape[kFlowFilters + row + 8 * half] =
        PooledToInt8(totals[half] / static_cast<int32_t>(count));
  }
}

}  // namespace stillwatch::gpu
