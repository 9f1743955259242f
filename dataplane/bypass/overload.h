// Whether the process keeps up with its ports, judged from running totals that a watch thread reads five times a
// second. When forwarding loses frames, or looking misses nearly all, the watch thread has the kernel forward for a
// while (FailOpen::SetOverload); then the process tries again.
//
// Raised only after several bad windows in a row, so that one pause of the processor does not do it; held longer each
// time that the trouble comes back soon, so that it does not flap: while the kernel forwards nothing says whether
// the load has gone. Plain arithmetic on one thread; allocates nothing.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace stillwatch::dataplane {

// Running totals since start.
struct OverloadSample {
  int64_t time_ns = 0;     // CLOCK_MONOTONIC
  uint64_t forwarded = 0;  // frames sent on by the process
  uint64_t lost = 0;       // frames that it had to send on and did not: missed, late, refused by the other port
  uint64_t looked_at = 0;  // frames that a worker took
  uint64_t unseen = 0;     // frames forwarded that no worker had room for
  bool ports_up = true;    // a frame lost to a cable that was pulled is no overload
};

enum class Overload { kNone, kForwarding, kLooking };
const char* NameOf(Overload overload);  // "none", "forwarding", "looking"

struct OverloadOptions {
  uint32_t lost_percent = 2;      // of a window's frames: more are overload of forwarding
  uint32_t unseen_percent = 90;   // more are overload of looking
  uint64_t frames_min = 100;      // a window with fewer says nothing
  int lost_windows = 5;           // bad ones in a row: 1 s
  int unseen_windows = 25;        // 5 s
  int64_t hold_ns = 10 * kNsPerSecond;       // first bypass
  int64_t hold_max_ns = 300 * kNsPerSecond;  // doubled up to this
  int64_t calm_ns = 60 * kNsPerSecond;       // so long without trouble after one: the next is a first one again
};

inline constexpr int64_t kOverloadWindowNs = 200 * kNsPerMs;

class OverloadGuard {
 public:
  explicit OverloadGuard(const OverloadOptions& options = {}) : options_(options) {}

  // One sample a window. What is overloaded now: bypass is to be raised until raised_until_ns(). kNone: nothing new.
  Overload Observe(const OverloadSample& sample);
  int64_t raised_until_ns() const { return raised_until_ns_; }

 private:
  Overload Raise(Overload overload, int64_t now_ns);

  const OverloadOptions options_;
  OverloadSample last_;
  bool started_ = false;
  int lost_in_a_row_ = 0, unseen_in_a_row_ = 0;
  int64_t raised_until_ns_ = 0;
  int64_t hold_ns_ = 0;
};

}  // namespace stillwatch::dataplane
