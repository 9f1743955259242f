// What tools/gpu-proof runs on a machine with a GPU: every kernel against the plain CPU loop, and
// how long each takes. Needs no library but the C++ one, so that it builds on a bare machine. The
// tests run the equality part with the kernels' PTX in the GPU's place.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gpu/cuda/device.h"

namespace stillwatch::gpu {

struct EqualityResult {
  std::string name;
  uint64_t cases = 0;      // texts, or query rows
  uint64_t different = 0;  // of them
  std::string error;       // of the device; empty: none
};
// rounds: how much; 1 takes seconds under compute-sanitizer.
std::vector<EqualityResult> ProveEquality(Device& device, uint32_t rounds);

// Time of one launch, the mean of several that queue behind one another. What it moves and computes
// is counted by formula, for the roof.
struct KernelTime {
  std::string name;
  double seconds = 0;
  double items = 0;            // texts, queries, bytes
  double bytes_memory = 0;     // that must come from or go to HBM once
  double bytes_cache = 0;      // that are read through L2
  double int8_operations = 0;  // multiplications and additions of the tensor cores
  std::string error;
};
std::vector<KernelTime> MeasureKernels(Device& device);

}  // namespace stillwatch::gpu
