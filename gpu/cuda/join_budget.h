// How much joining the CPU can do once the GPU is gone. What it can do is measured as it works: joins
// may take a quarter of the batch thread's wall time, so that sketching, profiles and judging, which
// are never skipped, keep the rest. Below that no join is skipped. Without a clock there is no
// bound: a replay joins everything. One thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace stillwatch::gpu {

class JoinBudget {
 public:
  static constexpr int64_t kShare = 4;  // one part of so many
  // Saved up in quiet times, for a burst.
  static constexpr int64_t kSavedMaxNs = kNsPerSecond / 2;

  explicit JoinBudget(const Clock* clock)
      : clock_(clock), last_ns_(NowNs()), balance_ns_(kSavedMaxNs) {}

  int64_t NowNs() const { return clock_ != nullptr ? clock_->MonotonicNs() : 0; }
  // Whether a join may start. It may run over what is left, once.
  bool Admits() {
    if (clock_ == nullptr) return true;
    const int64_t now_ns = NowNs();
    balance_ns_ = std::min(balance_ns_ + (now_ns - last_ns_) / kShare, kSavedMaxNs);
    last_ns_ = now_ns;
    return balance_ns_ > 0;
  }
  void Spend(int64_t took_ns) { balance_ns_ -= took_ns; }

 private:
  const Clock* clock_;
  int64_t last_ns_;
  int64_t balance_ns_;
};

}  // namespace stillwatch::gpu
