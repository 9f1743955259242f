#include "dataplane/bypass/overload.h"

#include <algorithm>

#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

bool Exceeds(uint64_t part, uint64_t rest, uint64_t frames_min, uint32_t percent) {
  const uint64_t all = part + rest;
  return all >= frames_min && part * 100 > all * percent;
}

}  // namespace

const char* NameOf(Overload overload) {
  switch (overload) {
    case Overload::kForwarding: return "forwarding";
    case Overload::kLooking: return "looking";
    case Overload::kNone: break;
  }
  return "none";
}

Overload OverloadGuard::Observe(const OverloadSample& sample) {
  const OverloadSample before = last_;
  last_ = sample;
  const bool first = !started_;
  started_ = true;
  // While the kernel forwards there is nothing to judge; and what was lost before belongs to the time before.
  if (first || sample.time_ns < raised_until_ns_ || !sample.ports_up) {
    lost_in_a_row_ = unseen_in_a_row_ = 0;
    return Overload::kNone;
  }
  const bool losing = Exceeds(sample.lost - before.lost, sample.forwarded - before.forwarded,
                              options_.frames_min, options_.lost_percent);
  const bool blind = Exceeds(sample.unseen - before.unseen, sample.looked_at - before.looked_at,
                             options_.frames_min, options_.unseen_percent);
  lost_in_a_row_ = losing ? lost_in_a_row_ + 1 : 0;
  unseen_in_a_row_ = blind ? unseen_in_a_row_ + 1 : 0;
  if (MutantIs("overload_at_once") && losing) lost_in_a_row_ = options_.lost_windows;
  if (lost_in_a_row_ >= options_.lost_windows) return Raise(Overload::kForwarding, sample.time_ns);
  if (unseen_in_a_row_ >= options_.unseen_windows) return Raise(Overload::kLooking, sample.time_ns);
  return Overload::kNone;
}

Overload OverloadGuard::Raise(Overload overload, int64_t now_ns) {
  const bool again = hold_ns_ != 0 && now_ns - raised_until_ns_ < options_.calm_ns;
  hold_ns_ = again ? std::min(2 * hold_ns_, options_.hold_max_ns) : options_.hold_ns;
  raised_until_ns_ = now_ns + hold_ns_;
  lost_in_a_row_ = unseen_in_a_row_ = 0;
  return overload;
}

}  // namespace stillwatch::dataplane
