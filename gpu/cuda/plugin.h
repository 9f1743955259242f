// Loads the plugin library (libstillwatch_cuda.so), which holds all that needs CUDA, and opens the
// GPU. Start-up only. The library stays loaded.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "gpu/cuda/device.h"

namespace stillwatch::gpu {

// Whether the library is there at all. Where it is not, nobody asked for a GPU.
bool CudaPluginInstalled(const std::string& path);

// path: empty for the one beside the running program. The message says what is missing: the
// library, a driver, a GPU.
Result<std::unique_ptr<Device>> OpenCudaDevice(const std::string& path);

}  // namespace stillwatch::gpu
