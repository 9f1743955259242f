// Which configuration generation each thread has seen. A thread that owns a slot stores the published
// generation once each loop, when it holds nothing of the old one (a quiescent point). The reloading
// thread publishes, then waits until every slot has followed. Slots are made before threads start.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/clock.h"

namespace stillwatch {

class Quiescent {
 public:
  struct alignas(64) Slot {
    std::string thread;        // "forwarder-0", "worker-2", ...
    bool forwarder = false;    // one that misses the deadline undoes the reload; another thread follows late
    std::atomic<uint64_t> seen{1};
  };

  // Before threads start; the slot lives as long as this object.
  Slot* AddSlot(std::string thread, bool forwarder) {
    Slot& slot = slots_.emplace_back();
    slot.thread = std::move(thread);
    slot.forwarder = forwarder;
    return &slot;
  }

  // A looping thread, at its quiescent point.
  void Pass(Slot* slot) const { Pass(slot, published()); }
  // The same for a thread that takes over what was handed to it before `generation` was published.
  void Pass(Slot* slot, uint64_t generation) const { slot->seen.store(generation, std::memory_order_release); }

  // The reloading thread.
  void Publish(uint64_t generation) { published_.store(generation, std::memory_order_release); }
  uint64_t published() const { return published_.load(std::memory_order_acquire); }

  // Slots that have not seen `generation`.
  std::vector<const Slot*> Behind(uint64_t generation) const {
    std::vector<const Slot*> behind;
    for (const Slot& slot : slots_) {
      if (slot.seen.load(std::memory_order_acquire) < generation) behind.push_back(&slot);
    }
    return behind;
  }
  const std::deque<Slot>& slots() const { return slots_; }

 private:
  std::atomic<uint64_t> published_{1};
  std::deque<Slot> slots_;
};

}  // namespace stillwatch
