#include "gpu/flow/flow_embedding.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <string>

#include "base/mutant.h"
#include "gpu/flow/flow_x86.h"
#include "gpu/sketch/seeds.h"

namespace stillwatch::gpu {
namespace {

void PlainConvolve(const uint32_t* words, uint32_t count, const FlowFilters& filters,
                   int32_t* maxima, int32_t* totals) {
  for (uint32_t f = 0; f < kFlowFilters; ++f) {
    maxima[f] = INT32_MIN;
    totals[f] = 0;
    for (uint32_t step = 0; step < count; ++step) {
      int32_t sum = 0;
      for (uint32_t tap = 0; tap < kFlowTaps; ++tap) {
        const uint32_t word =
            words[static_cast<int32_t>(step) + TapOffset(f / kFlowGroupFilters, tap)];
        for (uint32_t c = 0; c < kFlowChannels; ++c) {
          sum += filters.weights[f][tap][c] * static_cast<int32_t>(word >> 8 * c & 0xff);
        }
      }
      maxima[f] = std::max(maxima[f], sum);
      totals[f] += sum;
    }
  }
}

void PoolInstructions(std::span<const int8_t> rows, int8_t* out) {
  int32_t sums[kEmbeddingDims] = {};
  for (size_t row = 0; row < rows.size(); row += kEmbeddingDims) {
    for (uint32_t d = 0; d < kEmbeddingDims; ++d) sums[d] += rows[row + d];
  }
  uint64_t squares = 0;
  for (const int32_t sum : sums) squares += static_cast<uint64_t>(int64_t{sum} * sum);
  const EmbeddingScale scale = EmbeddingScaleOf(squares);
  for (uint32_t d = 0; d < kEmbeddingDims; ++d) out[d] = ScaleToInt8(sums[d], scale);
}

Status CheckOffsets(std::span<const uint32_t> offsets, size_t rows, size_t values_each,
                    size_t values, const char* what) {
  if (offsets.size() != rows + 1) {
    return Error{"flow batch: " + std::to_string(rows) + " flows and " +
                 std::to_string(offsets.size()) + " offsets of " + what + " do not agree"};
  }
  for (size_t row = 0; row < rows; ++row) {
    if (offsets[row] > offsets[row + 1] || offsets[row + 1] > values / values_each) {
      return Error{"flow batch: " + std::string(what) + " of flow " + std::to_string(row) +
                   " are out of order"};
    }
  }
  return {};
}

}  // namespace

FlowFilters MakeFlowFilters(Salt salt) {
  FlowFilters filters;
  const uint64_t start = SeedAt(salt.value, 5);
  for (uint32_t f = 0; f < kFlowFilters; ++f) {
    for (uint32_t tap = 0; tap < kFlowTaps; ++tap) {
      const uint64_t random = SeedAt(start, f * kFlowTaps + tap + 1);
      for (uint32_t c = 0; c < kFlowChannels; ++c) {
        filters.weights[f][tap][c] = static_cast<int8_t>(2 * static_cast<int>(random >> 8 * c & 7) - 7);
      }
    }
  }
  return filters;
}

FlowKernel FlowKernelFor(const CpuFeatures& features) {
  const FlowKernel fast = FlowKernelX86(features);
  return fast.convolve != nullptr ? fast : FlowKernel{"scalar", PlainConvolve};
}

void EmbedFlow(const FlowFilters& filters, FlowConvolve convolve, std::span<const FlowStep> steps,
               std::span<const int8_t> instructions, FlowEmbedding* out) {
  PoolInstructions(instructions, out->content);
  std::memset(out->shape, 0, sizeof out->shape);
  const uint32_t looked_at = MutantIs("gpu.flow_steps") ? kFlowStepsMax - 1 : kFlowStepsMax;
  const uint32_t count = static_cast<uint32_t>(std::min<size_t>(steps.size(), looked_at));
  if (count == 0) return;
  alignas(64) uint32_t words[2 * kFlowPadWords + kFlowStepsMax + 16];
  uint32_t* first = words + kFlowPadWords;
  std::fill(words, first, 0u);
  for (uint32_t i = 0; i < count; ++i) {
    first[i] = StepWord(steps[i].size_bytes, steps[i].gap_us, steps[i].from_client != 0);
  }
  std::fill(first + count, std::end(words), 0u);
  alignas(64) int32_t maxima[kFlowFilters], totals[kFlowFilters];
  convolve(first, count, filters, maxima, totals);
  for (uint32_t f = 0; f < kFlowFilters; ++f) {
    out->shape[f] = PooledToInt8(maxima[f]);
    out->shape[kFlowFilters + f] = PooledToInt8(totals[f] / static_cast<int32_t>(count));
  }
}

Status CheckFlows(const FlowBatch& batch, size_t out_size) {
  if (Status steps = CheckOffsets(batch.step_offsets, out_size, 1, batch.steps.size(), "steps");
      !steps.ok()) {
    return steps;
  }
  if (Status rows = CheckOffsets(batch.instruction_offsets, out_size, kEmbeddingDims,
                                 batch.instructions.size(), "instructions");
      !rows.ok()) {
    return rows;
  }
  for (size_t row = 0; row < out_size; ++row) {
    const uint32_t rows = batch.instruction_offsets[row + 1] - batch.instruction_offsets[row];
    if (rows > kFlowInstructionsMax) {
      return Error{"flow batch: flow " + std::to_string(row) + " has " + std::to_string(rows) +
                   " instructions, at most 4096 are allowed"};
    }
  }
  return {};
}

}  // namespace stillwatch::gpu
