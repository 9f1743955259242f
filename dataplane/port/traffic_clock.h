// Traffic time: the largest packet timestamp seen. One wrong timestamp must not carry every flow
// past its timeout, so a forward jump of more than an hour is held until 64 later packets in a row
// agree with it (each within an hour of the jump). Owned by whoever stamps frames; one thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"
#include "base/mutant.h"

namespace stillwatch::dataplane {

// Stamps live frames by the wall clock. While that is set back by more than a second time goes on with the monotonic clock,
// so that no timeout waits for the wall clock to come again. One thread.
class LiveTime {
 public:
  int64_t Of(int64_t unix_ns, int64_t monotonic_ns) {
    const int64_t ahead_ns = unix_ns - monotonic_ns;
    if (!started_ || ahead_ns > ahead_ns_ - kNsPerSecond || MutantIs("clock.set_back_stops_time")) ahead_ns_ = ahead_ns;
    started_ = true;
    return monotonic_ns + ahead_ns_;
  }

 private:
  bool started_ = false;
  int64_t ahead_ns_ = 0;  // of the wall clock before the monotonic one
};

class TrafficClock {
 public:
  static constexpr int64_t kJumpNs = kNsPerHour;
  static constexpr int kAgreeing = 64;

  // Takes a packet's own timestamp, returns traffic time. Never steps back. The first packet sets
  // it.
  int64_t Observe(int64_t packet_ns) {
    if (!started_) {
      started_ = true;
      now_ns_ = packet_ns;
    } else if (packet_ns - kJumpNs <= now_ns_) [[likely]] {
      now_ns_ = std::max(now_ns_, packet_ns);
      agreeing_ = -1;
    } else {
      Hold(packet_ns);
    }
    return now_ns_;
  }

  int64_t now_ns() const { return now_ns_; }
  bool started() const { return started_; }
  bool holding() const { return agreeing_ >= 0; }
  // How often packets carried time over such a jump.
  uint64_t jumps() const { return jumps_; }

 private:
  void Hold(int64_t packet_ns) {
    if (agreeing_ < 0 || packet_ns - kJumpNs > held_ns_ || packet_ns + kJumpNs < held_ns_) {
      held_ns_ = packet_ns;  // the first of its kind, or one that agrees with neither
      agreeing_ = 0;
      return;
    }
    held_ns_ = std::max(held_ns_, packet_ns);
    if (++agreeing_ < kAgreeing) return;
    now_ns_ = held_ns_;
    agreeing_ = -1;
    ++jumps_;
  }

  bool started_ = false;
  int64_t now_ns_ = 0;
  int64_t held_ns_ = 0;
  int agreeing_ = -1;  // packets that agree with held_ns_; -1: nothing is held
  uint64_t jumps_ = 0;
};

}  // namespace stillwatch::dataplane
