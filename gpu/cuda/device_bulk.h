// Flow embeddings, account pairs and labels on a device, for the CUDA backend, the proof and their
// tests. All device memory is taken at Make. Every error is the device's: callers check their batches
// first and then let the CPU compute. Blocking; one thread; the device outlives it.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "gpu/backend.h"
#include "gpu/cuda/device.h"

namespace stillwatch::gpu {

class DeviceBulk {
 public:
  // Of device memory that Make will take.
  static uint64_t BytesOf(const BackendOptions& options);
  static Result<DeviceBulk> Make(const BackendOptions& options, Device* device);

  // CheckFlows found the batch good.
  Status EmbedFlows(const FlowBatch& batch, std::span<FlowEmbedding> out);
  // Sizes agree, at most pairs_rows_max rows.
  Status AllPairs(std::span<const int8_t> rows, uint32_t k, int32_t threshold,
                  std::span<RepresentativeMatch> out);
  // CheckGraph found the graph good, and it fits.
  Result<uint32_t> PropagateLabels(const LabelGraph& graph, LabelRule rule, uint32_t weight_min,
                                   uint32_t steps_max, std::span<uint32_t> labels);

  // The launches alone, over what is on the device already: for measuring.
  Status LaunchFlows(uint32_t flows);
  Status LaunchPairs(uint32_t rows, uint32_t first, uint32_t count, uint32_t k, int32_t threshold);
  Status LaunchLabels(LabelRule rule, uint32_t nodes, uint32_t weight_min, bool odd_step);

 private:
  DeviceBulk() = default;
  Status FlowTrip(const FlowBatch& batch, uint32_t begin, uint32_t* end, std::span<FlowEmbedding> out);

  Device* device_ = nullptr;
  // Device addresses; 0 where nothing is possible.
  uint64_t filters_ = 0, steps_ = 0, step_offsets_ = 0, instructions_ = 0, instruction_offsets_ = 0,
           flows_ = 0;
  uint64_t rows_ = 0, lists_ = 0, matches_ = 0;
  uint64_t offsets_ = 0, neighbours_ = 0, weights_ = 0, labels_[2] = {}, slots_ = 0, changed_ = 0;
  // Of one trip, on the host.
  std::vector<FlowStep> trip_steps_;
  std::vector<uint32_t> trip_step_offsets_, trip_instruction_offsets_;
};

}  // namespace stillwatch::gpu
