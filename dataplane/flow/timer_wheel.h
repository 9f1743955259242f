// When to look at a flow that may have gone silent: a wheel of one-second slots in traffic time. A flow is in at
// most one slot and need not be moved for each packet: whoever takes it out asks the flow what is due and arms it
// again. One thread; owns nothing, allocates nothing.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "dataplane/flow/flow.h"

namespace stillwatch::dataplane {

class TimerWheel {
 public:
  static constexpr uint32_t kSlots = 128;

  // The flow will be taken out at the first Advance to `deadline_ns` or later, at the latest about two minutes
  // of traffic time from now. Replaces an earlier arming.
  void Arm(Flow* flow, int64_t deadline_ns, int64_t now_ns) {
    if (second_ == 0) second_ = SecondOf(now_ns);
    Disarm(flow);
    const uint32_t wanted = SecondOf(deadline_ns) + (deadline_ns % kNsPerSecond != 0 ? 1 : 0);
    flow->timer_second = std::clamp(wanted, second_ + 1, second_ + kSlots - 1);
    Flow*& slot = slots_[flow->timer_second % kSlots];
    flow->timer_before = nullptr;
    flow->timer_next = slot;
    if (slot != nullptr) slot->timer_before = flow;
    slot = flow;
  }
  void Disarm(Flow* flow) {
    if (flow->timer_second == 0) return;
    (flow->timer_before != nullptr ? flow->timer_before->timer_next
                                   : slots_[flow->timer_second % kSlots]) = flow->timer_next;
    if (flow->timer_next != nullptr) flow->timer_next->timer_before = flow->timer_before;
    flow->timer_second = 0;
  }
  // Whether it would be taken out at `deadline_ns` (rounded up to a second) or before.
  static bool ArmedBy(const Flow& flow, int64_t deadline_ns) {
    return flow.timer_second != 0 && flow.timer_second <= SecondOf(deadline_ns) + 1;
  }

  // Takes out all whose time has come and adds them to `due`, in no particular order.
  void Advance(int64_t now_ns, std::vector<Flow*>* due) {
    const uint32_t now = SecondOf(now_ns);
    if (second_ == 0 || now <= second_) return;
    const uint32_t steps = std::min(now - second_, kSlots);
    for (uint32_t i = 1; i <= steps; ++i) {
      Flow*& slot = slots_[(second_ + i) % kSlots];
      while (slot != nullptr) {
        due->push_back(slot);
        Disarm(slot);
      }
    }
    second_ = now;
  }

 private:
  // Seconds since the epoch, at least 1: 0 stands for none. Past 2105 all times are one.
  static uint32_t SecondOf(int64_t ns) {
    return static_cast<uint32_t>(std::clamp<int64_t>(ns / kNsPerSecond, 1, UINT32_MAX - 2 * kSlots));
  }

  std::array<Flow*, kSlots> slots_{};
  uint32_t second_ = 0;  // the last slot taken out; 0: not started
};

}  // namespace stillwatch::dataplane
