// The CUDA backend: sketches and top-k on a device, bit for bit what the CPU twin gives; the window
// stays on the CPU twin. Plain C++: the device comes as an interface (device.h).
//
// When the device fails (memory, copy, launch: at any batch), the backend is degraded from then on:
// the batch at work and all later ones are computed by the CPU twin, so every exchange is still
// sketched and every answer is the same. It never goes back to a device that failed.
#pragma once

#include <memory>

#include "base/result.h"
#include "gpu/backend.h"
#include "gpu/cuda/device.h"

namespace stillwatch::gpu {

// Fails when the tables do not load, and when the device has less memory than is needed; the
// message then says how many representatives would fit.
Result<std::unique_ptr<Backend>> MakeCudaBackend(const BackendOptions& options,
                                                 std::unique_ptr<Device> device);

}  // namespace stillwatch::gpu
