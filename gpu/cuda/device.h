// A GPU as the CUDA backend uses it: memory by address, copies, kernels by name. The real one is in
// the plugin library (cuda_device.cc); tests put one in its place that runs the kernels' PTX on the
// CPU, as late as the rules below allow, and fails where it is told to. One thread calls.
//
// Work is queued. One queue keeps its order; two queues pass one another as they like, and only
// Wait brings them together. A failure may show at any later call.
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

inline constexpr uint32_t kDeviceQueues = 2;

class Device {
 public:
  virtual ~Device() = default;

  virtual std::string Name() const = 0;
  virtual uint64_t FreeBytes() const = 0;  // of device memory, now

  // Device memory until the device goes. Aligned to 256 bytes, zeroed.
  virtual Result<uint64_t> Take(uint64_t bytes, const std::string& what) = 0;
  // Host memory until the device goes, pinned: queued copies take no other.
  virtual Result<void*> TakeHost(uint64_t bytes, const std::string& what) = 0;

  // The host's side of a queued copy stays as it is until Wait. Arguments of a kernel point at the
  // values, in the kernel's order; they are read at once.
  virtual Status QueueCopyIn(uint32_t queue, uint64_t to, const void* from, uint64_t bytes) = 0;
  virtual Status QueueCopyOut(uint32_t queue, void* to, uint64_t from, uint64_t bytes) = 0;
  virtual Status QueueLaunch(uint32_t queue, const char* kernel, LaunchShape shape,
                             std::span<const void* const> arguments) = 0;
  // Until all that the queue was given is done.
  virtual Status Wait(uint32_t queue) = 0;

  // A graph: launches on queue 0 between the two calls are not run but kept, to be queued later by
  // one call and as often as wanted. A kernel in it must have run before.
  virtual Status BeginGraph() = 0;
  virtual Result<uint64_t> EndGraph() = 0;
  virtual Status QueueGraph(uint32_t queue, uint64_t graph) = 0;

  // Queue 0, host memory of any kind; both wait.
  virtual Status CopyIn(uint64_t to, const void* from, uint64_t bytes) = 0;
  virtual Status CopyOut(void* to, uint64_t from, uint64_t bytes) = 0;
  Status Launch(const char* kernel, LaunchShape shape, std::span<const void* const> arguments) {
    return QueueLaunch(0, kernel, shape, arguments);
  }
};

// What the plugin library exports, by this name: the first device, or null and why not.
inline constexpr char kOpenDeviceSymbol[] = "stillwatch_cuda_open_2";
using OpenDevice = Device* (*)(std::string* why_not);

}  // namespace stillwatch::gpu
