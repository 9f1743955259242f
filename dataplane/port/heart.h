// The forwarders' heartbeat, as the fail-open programme in the kernel sees it: while it is fresh
// the kernel hands frames to this process, else it bypasses it. Beat and Stale: the forwarder's own
// thread. Stop: any thread.
//
// What the kernel sees is the oldest of all forwarders' beats: when one of several hangs all of its
// frames would wait in its rings, so that the kernel has to bypass all, and nothing is told before
// every forwarder has beaten once. Each forwarder is late by its own beat.
//
// Beside it the kernel is told up to when all that it handed over has been sent on (drained): a flow that is to stay in the
// kernel from now on moves when none of its frames can be here any more. That, too, is the oldest of all forwarders'.
//
// Times are CLOCK_MONOTONIC, which is the kernel programme's clock too. A Heart without a programme
// (mirror ports, userspace drivers, tests) beats into itself.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/port/port.h"

namespace stillwatch::dataplane {

class Heart {
 public:
  Heart() = default;
  // All live in memory shared with the kernel and outlive this; without `drained_ns` nobody is told of that.
  Heart(uint64_t* beat_ns, const uint64_t* timeout_ns, uint64_t* drained_ns = nullptr)
      : beat_ns_(beat_ns), timeout_ns_(timeout_ns), drained_ns_(drained_ns) {}
  Heart(const Heart&) = delete;
  Heart& operator=(const Heart&) = delete;

  // Before the first beat.
  void SetForwarders(size_t count) {
    CHECK(count >= 1 && count <= kForwardersMax);
    forwarders_ = count;
  }

  void Beat(int64_t now_ns, size_t forwarder = 0) {
    last_[forwarder].ns.store(now_ns, std::memory_order_relaxed);
    if (stopped_.load(std::memory_order_relaxed)) return;
    int64_t oldest_ns = now_ns;
    for (size_t i = 0; i < forwarders_ && !MutantIs("heart_of_one_for_all"); ++i) {
      oldest_ns = std::min(oldest_ns, last_[i].ns.load(std::memory_order_relaxed));
    }
    if (oldest_ns == 0) return;  // one is not ready
    __atomic_store_n(beat_ns_, static_cast<uint64_t>(oldest_ns), __ATOMIC_RELEASE);
    // Stop() may have come between the two lines above.
    if (stopped_.load(std::memory_order_seq_cst)) __atomic_store_n(beat_ns_, 0, __ATOMIC_RELEASE);
  }

  // Every forwarder has beaten, and it was not stopped: the kernel hands over. Any thread.
  bool beating() const { return __atomic_load_n(beat_ns_, __ATOMIC_ACQUIRE) != 0; }

  // The last beat of this forwarder is so old that the kernel has been bypassing it: what waits in
  // the receive rings is late, and newer packets of its flows have overtaken it.
  bool Stale(int64_t now_ns, size_t forwarder = 0) const {
    const int64_t last_ns = last_[forwarder].ns.load(std::memory_order_relaxed);
    const auto timeout_ns = static_cast<int64_t>(__atomic_load_n(timeout_ns_, __ATOMIC_RELAXED));
    return last_ns != 0 && !stopped_.load(std::memory_order_relaxed) &&
           now_ns - last_ns > timeout_ns;
  }

  // The poll that began at `began_ns` found all rings of this forwarder empty in the end, and what it took out is sent. Its own
  // thread. Told later, when as much time has passed for what the sending queues of the kernel hold as the kernel's programme
  // grants the receiving ones: an eighth of the timeout.
  void Emptied(int64_t began_ns, size_t forwarder = 0) {
    if (drained_ns_ == nullptr) return;
    Last& last = last_[forwarder];
    const auto timeout_ns = static_cast<int64_t>(__atomic_load_n(timeout_ns_, __ATOMIC_RELAXED));
    if (began_ns - last.emptied_ns < timeout_ns / 8) return;
    last.drained_ns.store(last.emptied_ns, std::memory_order_relaxed);
    last.emptied_ns = began_ns;
    int64_t oldest_ns = last.drained_ns.load(std::memory_order_relaxed);
    for (size_t i = 0; i < forwarders_; ++i) oldest_ns = std::min(oldest_ns, last_[i].drained_ns.load(std::memory_order_relaxed));
    if (MutantIs("drained_before_it_is")) oldest_ns = INT64_MAX;
    __atomic_store_n(drained_ns_, static_cast<uint64_t>(oldest_ns), __ATOMIC_RELEASE);
  }

  // From now on the kernel bypasses the process; frames it has already are still to be forwarded.
  void Stop() {
    if (MutantIs("stop_keeps_the_heart")) return;
    stopped_.store(true, std::memory_order_seq_cst);
    __atomic_store_n(beat_ns_, 0, __ATOMIC_SEQ_CST);
  }
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

 private:
  uint64_t own_beat_ns_ = 0;
  uint64_t own_timeout_ns_ = uint64_t{1} << 62;
  uint64_t* const beat_ns_ = &own_beat_ns_;
  const uint64_t* const timeout_ns_ = &own_timeout_ns_;
  uint64_t* const drained_ns_ = nullptr;
  struct alignas(64) Last {
    std::atomic<int64_t> ns{0}, drained_ns{0};
    int64_t emptied_ns = 0;  // to be told as drained_ns
  };
  Last last_[kForwardersMax];
  size_t forwarders_ = 1;
  std::atomic<bool> stopped_{false};
};

}  // namespace stillwatch::dataplane
