// One worker with its rings: frames in from each forwarder, records out to the merger. Step() runs
// on the worker's thread (or the forwarder's, when one thread holds both roles); Offer and done()
// on that forwarder's; progress() on the merger's. Bounded by the rings; nothing is allocated
// after construction.
//
// Frames of several forwarders are looked at in the order of their sequences, which follow the time at
// which they were received: the two directions of a flow may come by two queues, and an answer must not
// be looked at before its request. A forwarder that stands still is waited for kOrderWaitNs, no longer.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/spsc_ring.h"
#include "dataplane/engine/lane_output.h"
#include "dataplane/engine/stream_item.h"
#include "dataplane/worker.h"

namespace stillwatch::dataplane {

// A thread that holds both roles polls its ports again after so many frames.
inline constexpr size_t kLookBurst = 8;
inline constexpr int64_t kOrderWaitNs = 2 * kNsPerMs;

// Makes the worker of lane `index`; its records go to `output`, which outlives it.
using WorkerFactory = std::function<std::unique_ptr<Worker>(size_t index, WorkerOutput* output)>;

class Lane {
 public:
  struct Options {
    size_t index = 0;
    size_t ring_frames = 4096;    // of each forwarder; a power of two
    size_t ring_bytes = 1 << 20;  // of records; a power of two
    bool lossless = false;
    bool first = false;  // this lane speaks the watermarks for all
    const Clock* clock = nullptr;  // for waiting; null: the system's
  };
  // `sent`: of each forwarder.
  Lane(const Options& options, const WorkerFactory& factory, std::span<const SentUpTo> sent,
       const std::atomic<bool>* abandoned);

  // Forwarder `from`. False when the ring is full.
  bool Offer(const StreamItem& item, size_t from = 0) { return sources_[from]->in.Push(item); }
  size_t room(size_t from = 0) const { return sources_[from]->in.capacity() - sources_[from]->in.size(); }
  // Frames (not ticks) of it that the worker is through with.
  uint64_t done(size_t from = 0) const { return sources_[from]->done.load(std::memory_order_acquire); }
  // No item of it follows. The worker drains its rings, then finishes at the last such packet and time.
  void End(uint64_t packet, int64_t time_ns, uint64_t sequence, size_t from = 0);

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
  // What comes from one forwarder.
  struct Source {
    explicit Source(size_t ring_frames) : in(ring_frames) {}
    SpscRing<StreamItem> in;
    std::array<StreamItem, kLookBurst> held;  // popped, and not yet in turn
    size_t next = 0, count = 0;
    uint64_t passed = 0;       // no item up to here is still to come, but those held
    uint64_t frames_done = 0;
    uint64_t end_packet = 0, end_sequence = 0;
    int64_t end_time_ns = 0;
    std::atomic<bool> end{false};
    alignas(64) std::atomic<uint64_t> done{0};
  };

  uint64_t Refill(size_t from, std::span<StreamItem> items, size_t* count);
  void TakeInOrder();
  bool WaitedEnough();
  bool Idle();
  void Begin(StreamItem* item);
  void Complete(const StreamItem& item);
  void Publish(uint64_t sequence) { progress_.store(sequence, std::memory_order_release); }

  const bool first_, lossless_;
  const Clock* const clock_;
  std::vector<std::unique_ptr<Source>> sources_;
  LaneOutput output_;
  std::unique_ptr<Worker> worker_;
  const std::span<const SentUpTo> sent_;

  // What was popped and waits for its look.
  std::array<StreamItem, kLookBurst> items_;
  std::array<uint8_t, kLookBurst> item_from_{};
  size_t item_next_ = 0, item_count_ = 0;
  bool unfinished_ = false;  // items_[item_next_] wants Continue()
  uint64_t passed_ = 0;      // no item up to here is still to come
  uint64_t sequence_ = 0;    // of the latest item in turn
  int64_t now_ns_ = 0;
  int64_t waits_since_ns_ = 0;  // for a forwarder that stands still; 0: for none

  alignas(64) std::atomic<uint64_t> progress_{0};
};

}  // namespace stillwatch::dataplane
