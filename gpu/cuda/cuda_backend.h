// The CUDA backend: sketches, window and top-k on a device, bit for bit what the CPU twin gives.
// Plain C++: the device comes as an interface (device.h).
//
// Sketches go in trips through two lanes, each a queue with pinned and device memory of its own: one
// lane's copies run beside the other's kernel.
//
// When the device fails (memory, copy, launch: at any operation), the twin's window is brought to
// where the device's was (window_keeper.h) and the backend is degraded from then on: the batch at
// work and all later ones are computed by the CPU twin, so every exchange is still sketched and every
// answer is the same. Joins beyond what the CPU can do are skipped and counted (join_budget.h). It
// never goes back to a device that failed.
#pragma once

#include <memory>

#include "base/result.h"
#include "gpu/backend.h"
#include "gpu/cuda/device.h"

namespace stillwatch::gpu {

// Fails when the tables do not load, and when the device has less memory than is needed; the
// message then says what would fit.
Result<std::unique_ptr<Backend>> MakeCudaBackend(const BackendOptions& options,
                                                 std::unique_ptr<Device> device);

}  // namespace stillwatch::gpu
