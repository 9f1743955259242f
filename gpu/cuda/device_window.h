// The LSH window on a device: the same answers as gpu/window's, whose header has the rules. Not
// used by the CUDA backend yet: when a device fails, the CPU twin's window must be rebuilt first
// (docs/gpu.md). One thread; blocking; device memory is taken at Make.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "gpu/cuda/device.h"
#include "gpu/cuda/window_launch.h"
#include "gpu/window/epochs.h"

namespace stillwatch::gpu {

class DeviceWindow {
 public:
  // Fails where LshWindow::Make does, and when the device has too little memory: the message then
  // says how many window bytes would fit.
  static Result<std::unique_ptr<DeviceWindow>> Make(const WindowOptions& options, Device* device,
                                                    CounterBlock<GpuCounter>* counters);

  // As LshWindow::ProbeAndInsert. After a device's failure the window is in no known state.
  Status ProbeAndInsert(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                        std::vector<Candidate>* candidates);
  void AdvanceEpoch() { epochs_.Advance(); }

 private:
  DeviceWindow() = default;
  Status TakeMemory();
  Status Sort(uint64_t keys, uint32_t count);
  Status Collect(const WindowBatch& batch);
  Status LaunchFor(const char* kernel, const WindowBatch& batch, uint32_t threads);

  WindowOptions options_;
  Device* device_ = nullptr;
  CounterBlock<GpuCounter>* counters_ = nullptr;
  LshWindow::Shape shape_ = {};
  WindowEpochs epochs_;
  uint64_t head_slot_ = 0;
  uint64_t sweep_ = 0;
  WindowBatch memory_ = {};  // its addresses are those of every batch
  uint64_t found_at_ = 0;
  std::vector<uint32_t> row_of_;
  std::vector<WindowFound> found_;
};

}  // namespace stillwatch::gpu
