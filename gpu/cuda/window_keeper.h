// What rebuilds a device's window on the host when the device fails. The twin is the CPU's window,
// which stands where the device stood at the last checkpoint; the journal holds the batches since.
// The kept epochs' sketches alone would not do: which entry a full bucket gave up depends on what
// was live then, so a bucket remembers more than the window keeps.
//
// A checkpoint copies the device's buckets, and the ring's newest texts, into spare memory, and only
// when all is there the twin takes it over: a device that fails meanwhile leaves the twin as it was.
// It is due when the journal is full, every KeptTexts texts at the most.
//
// Memory is taken at Make (BytesFor). One thread.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "gpu/cuda/device_window.h"

namespace stillwatch::gpu {

class WindowKeeper {
 public:
  // The twin outlives the keeper, is made with the same options and has seen nothing.
  static Result<std::unique_ptr<WindowKeeper>> Make(const WindowOptions& options, LshWindow* twin);
  // Host memory that a window of so many bytes needs besides the twin.
  static uint64_t BytesFor(const WindowOptions& options);
  uint64_t memory_bytes() const { return buckets_.size() + texts_memory_.size(); }

  // Whether so many more texts need a checkpoint first.
  bool Full(size_t texts) const { return kept_ + texts > kept_max_; }
  Status Checkpoint(DeviceWindow& window);
  // In the order of the device: a batch once the device has answered it, and epochs.
  void KeepBatch(std::span<const Sketch> sketches, std::span<const uint64_t> ids);
  void KeepEpoch() { ++epochs_; }
  // Brings the twin to where the device was after the last batch that was kept. Once.
  void Rebuild();

 private:
  // What the window reads of a sketch.
  struct KeptText {
    uint32_t bands[kBands];
    uint8_t oph[kOphBins / 2];
    uint64_t simhash[kSimHashWords];
  };
  struct Batch {
    uint32_t epochs;  // that began before it
    uint32_t texts;
  };

  WindowKeeper() = default;
  static uint64_t KeptTexts(const WindowOptions& options);

  LshWindow* twin_ = nullptr;
  MemoryBlock buckets_;       // spare
  MemoryBlock texts_memory_;  // the journal, then spare texts of the ring
  KeptText* kept_texts_ = nullptr;
  uint64_t* kept_ids_ = nullptr;
  WindowText* ring_texts_ = nullptr;
  uint64_t* ring_ids_ = nullptr;
  uint64_t kept_max_ = 0, kept_ = 0;
  std::vector<Batch> batches_;
  uint32_t epochs_ = 0;  // since the last batch
};

}  // namespace stillwatch::gpu
