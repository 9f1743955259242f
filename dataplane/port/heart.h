// The forwarder's heartbeat, as the fail-open programme in the kernel sees it: while it is fresh
// the kernel hands frames to this process, else it bypasses it. Beat and Stale: forwarder's thread.
// Stop: any thread.
//
// Times are CLOCK_MONOTONIC, which is the kernel programme's clock too. A Heart without a programme
// (mirror ports, userspace drivers, tests) beats into itself.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/mutant.h"

namespace stillwatch::dataplane {

class Heart {
 public:
  Heart() = default;
  // Both live in memory shared with the kernel and outlive this.
  Heart(uint64_t* beat_ns, const uint64_t* timeout_ns)
      : beat_ns_(beat_ns), timeout_ns_(timeout_ns) {}
  Heart(const Heart&) = delete;
  Heart& operator=(const Heart&) = delete;

  void Beat(int64_t now_ns) {
    last_ns_ = now_ns;
    if (stopped_.load(std::memory_order_relaxed)) return;
    __atomic_store_n(beat_ns_, static_cast<uint64_t>(now_ns), __ATOMIC_RELEASE);
    // Stop() may have come between the two lines above.
    if (stopped_.load(std::memory_order_seq_cst)) __atomic_store_n(beat_ns_, 0, __ATOMIC_RELEASE);
  }

  // The last beat of this process is so old that the kernel has been bypassing it: what waits in
  // the receive rings is late, and newer packets of its flows have overtaken it.
  bool Stale(int64_t now_ns) const {
    const auto timeout_ns = static_cast<int64_t>(__atomic_load_n(timeout_ns_, __ATOMIC_RELAXED));
    return last_ns_ != 0 && !stopped_.load(std::memory_order_relaxed) &&
           now_ns - last_ns_ > timeout_ns;
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
  int64_t last_ns_ = 0;
  std::atomic<bool> stopped_{false};
};

}  // namespace stillwatch::dataplane
