#include "base/log.h"
#include "gpu/backend.h"
#include "gpu/cuda/cuda_backend.h"
#include "gpu/cuda/plugin.h"

namespace stillwatch::gpu {

Result<std::unique_ptr<Backend>> MakeBackend(const BackendOptions& options, BackendChoice choice) {
  if (choice == BackendChoice::kCpu) return MakeCpuBackend(options);
  if (Status budget = CheckDeviceBudget(options); !budget.ok()) return Error{budget.message()};
  if (choice == BackendChoice::kAuto && !CudaPluginInstalled(options.cuda_plugin_path))
    return MakeCpuBackend(options);
  Result<std::unique_ptr<Device>> device = OpenCudaDevice(options.cuda_plugin_path);
  Result<std::unique_ptr<Backend>> backend =
      device.ok() ? MakeCudaBackend(options, std::move(device).value()) : device.error();
  if (backend.ok()) return backend;
  if (choice == BackendChoice::kCuda) {
    return Error{"no GPU: " + backend.message() + "; sketch.gpu = \"auto\" starts without one"};
  }
  Log(LogLevel::kInfo, "no GPU, the CPU computes sketches: " + backend.message());
  return MakeCpuBackend(options);
}

}  // namespace stillwatch::gpu
