// One worker with its rings: frames in from the forwarder, records out to the merger. Step() runs
// on the worker's thread (or the forwarder's, when one thread holds both roles); Offer and done()
// on the forwarder's; progress() on the merger's. Bounded by the two rings; nothing is allocated
// after construction.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>

#include "base/spsc_ring.h"
#include "dataplane/engine/lane_output.h"
#include "dataplane/engine/stream_item.h"
#include "dataplane/worker.h"

namespace stillwatch::dataplane {

// A thread that holds both roles polls its ports again after so many frames.
inline constexpr size_t kLookBurst = 8;

// Makes the worker of lane `index`; its records go to `output`, which outlives it.
using WorkerFactory = std::function<std::unique_ptr<Worker>(size_t index, WorkerOutput* output)>;

class Lane {
 public:
  struct Options {
    size_t index = 0;
    size_t ring_frames = 4096;    // a power of two
    size_t ring_bytes = 1 << 20;  // of records; a power of two
    bool lossless = false;
    bool first = false;  // this lane speaks the watermarks for all
  };
  // `sent` is the forwarder's: sequence up to which every item has been offered.
  Lane(const Options& options, const WorkerFactory& factory, const std::atomic<uint64_t>* sent,
       const std::atomic<bool>* abandoned);

  // Forwarder. False when the ring is full.
  bool Offer(const StreamItem& item) { return in_.Push(item); }
  size_t room() const { return in_.capacity() - in_.size(); }
  // Frames (not ticks) that the worker is through with.
  uint64_t done() const { return done_.load(std::memory_order_acquire); }
  // No item follows. The worker drains its ring, then finishes at this packet and time.
  void End(uint64_t packet, int64_t time_ns, uint64_t sequence);

  // Worker. Up to kLookBurst frames, or until the worker asks to be continued. True when there was
  // work.
  bool Step();
  bool finished() const { return progress() == kSequenceEnd; }

  // Merger. No record of an item up to this sequence will still be put into the ring.
  uint64_t progress() const { return progress_.load(std::memory_order_acquire); }
  LaneOutput& output() { return output_; }
  Worker& worker() { return *worker_; }
  void RegisterCounters(CounterRegistry* registry) {
    registry->Register(output_.counters());
    worker_->RegisterCounters(registry);
  }

 private:
  void Begin(const StreamItem& item);
  void Complete(const StreamItem& item);
  void Publish(uint64_t sequence) { progress_.store(sequence, std::memory_order_release); }

  const bool first_;
  SpscRing<StreamItem> in_;
  LaneOutput output_;
  std::unique_ptr<Worker> worker_;
  const std::atomic<uint64_t>* sent_;

  // What was popped and waits for its look.
  std::array<StreamItem, kLookBurst> items_;
  size_t item_next_ = 0, item_count_ = 0;
  bool unfinished_ = false;  // items_[item_next_] wants Continue()
  uint64_t frames_done_ = 0;

  uint64_t end_packet_ = 0, end_sequence_ = 0;
  int64_t end_time_ns_ = 0;
  std::atomic<bool> end_{false};
  alignas(64) std::atomic<uint64_t> progress_{0};
  std::atomic<uint64_t> done_{0};
};

}  // namespace stillwatch::dataplane
