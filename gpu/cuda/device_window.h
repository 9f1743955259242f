// The LSH window on a device: the same answers as gpu/window's, whose header has the rules, and the
// same bytes in buckets and ring. One thread; blocking, on queue 0; device memory and pinned memory
// are taken at Make.
#pragma once

#include <array>
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

  // Device memory that such a window takes, its batch included.
  static uint64_t DeviceBytesFor(const WindowOptions& options);

  // As LshWindow::ProbeAndInsert. After a device's failure the window is in no known state.
  Status ProbeAndInsert(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                        std::vector<Candidate>* candidates);
  void AdvanceEpoch() { place_.epochs.Advance(); }

  LshWindow::Shape shape() const { return shape_; }
  const LshWindow::Place& place() const { return place_; }
  uint64_t device_bytes() const { return device_bytes_; }
  uint64_t host_bytes() const { return host_bytes_; }
  // All buckets, and the newest texts of the ring, oldest first. Waits.
  Status CopyState(Bucket* buckets, std::span<WindowText> texts, std::span<uint64_t> ids);

 private:
  // Pinned, one batch's.
  struct Staging {
    Sketch* sketches;
    uint64_t* ids;
    uint32_t* row_of;
    uint32_t* zeros;   // kWindowCounts
    uint32_t* counts;  // kWindowCounts, back from the device
    WindowFound* found;
  };
  // How the sorts of batches of one padded size are launched: by a graph from the second time on.
  struct SortGraph {
    bool ran = false, made = false;
    uint64_t graph = 0;
  };

  struct Part {
    uint64_t bytes;
    uint64_t address = 0;
  };

  DeviceWindow() = default;
  static std::array<Part, 12> PartsOf(const WindowOptions& options);
  Status TakeMemory();
  Status Queue(const WindowBatch& batch, std::span<const Sketch> sketches,
               std::span<const uint64_t> ids);
  Status Sort(const WindowBatch& batch);
  Status SortSteps(uint64_t keys, uint32_t count);
  Status Collect(const WindowBatch& batch);
  void Join(std::vector<Candidate>* candidates);
  Status LaunchFor(const char* kernel, const WindowBatch& batch, uint32_t threads);

  WindowOptions options_;
  Device* device_ = nullptr;
  CounterBlock<GpuCounter>* counters_ = nullptr;
  LshWindow::Shape shape_ = {};
  LshWindow::Place place_;
  uint64_t device_bytes_ = 0, host_bytes_ = 0;
  Staging staging_ = {};
  SortGraph sort_graphs_[32];  // by the logarithm of the padded size
  WindowBatch memory_ = {};  // its addresses are those of every batch
  uint64_t found_at_ = 0;
  std::vector<WindowFound> found_;  // of all texts of the batch
  uint32_t evicted_ = 0, popular_ = 0;  // of the batch
};

}  // namespace stillwatch::gpu
