// A GPU as the CUDA backend uses it: memory by address, copies, kernels by name. The real one is in
// the plugin library (cuda_device.cc); tests put one in its place that runs the kernels' PTX on the
// CPU and fails where it is told to. All calls block or queue in order; one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace stillwatch::gpu {

struct LaunchShape {
  uint32_t blocks_x = 1;
  uint32_t blocks_y = 1;
  uint32_t threads = 1;
};

class Device {
 public:
  virtual ~Device() = default;

  virtual std::string Name() const = 0;
  virtual uint64_t FreeBytes() const = 0;  // of device memory, now

  // Device memory until the device goes. Aligned to 256 bytes, zeroed.
  virtual Result<uint64_t> Take(uint64_t bytes, const std::string& what) = 0;
  virtual Status CopyIn(uint64_t to, const void* from, uint64_t bytes) = 0;
  // Waits for all that was queued before.
  virtual Status CopyOut(void* to, uint64_t from, uint64_t bytes) = 0;
  // `arguments` point at the values, in the kernel's order.
  virtual Status Launch(const char* kernel, LaunchShape shape,
                        std::span<const void* const> arguments) = 0;
};

// What the plugin library exports, by this name: the first device, or null and why not.
inline constexpr char kOpenDeviceSymbol[] = "stillwatch_cuda_open_1";
using OpenDevice = Device* (*)(std::string* why_not);

}  // namespace stillwatch::gpu
