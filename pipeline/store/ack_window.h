// Which positions of the outbox were acknowledged, where acknowledgements come in any order. Only
// the contiguous prefix may be trimmed: what lies behind an unacknowledged event stays, so that a
// resend from there gives every key's events in their order again. Not thread safe. Memory: one
// interval for each gap between acknowledged positions, so at most one for each event in flight.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace stillwatch::pipeline {

class AckWindow {
 public:
  // Everything up to and including `prefix` counts as acknowledged.
  explicit AckWindow(uint64_t prefix = 0) : prefix_(prefix) {}

  // Again, or below the prefix: no effect.
  void Acknowledge(uint64_t position) {
    if (position <= prefix_) return;
    auto after = islands_.upper_bound(position);
    auto before = after;
    if (before != islands_.begin() && (--before)->second >= position) return;
    const bool joins_before = before != after && before->second + 1 == position;
    const bool joins_after = after != islands_.end() && after->first == position + 1;
    if (joins_before && joins_after) {
      before->second = after->second;
      islands_.erase(after);
    } else if (joins_before) {
      before->second = position;
    } else if (joins_after) {
      const uint64_t last = after->second;
      islands_.erase(after);
      islands_.emplace(position, last);
    } else {
      islands_.emplace(position, position);
    }
    const auto front = islands_.begin();
    if (front->first == prefix_ + 1) {
      prefix_ = front->second;
      islands_.erase(front);
    }
  }

  // All positions up to this one are acknowledged.
  uint64_t prefix() const { return prefix_; }
  size_t islands() const { return islands_.size(); }

 private:
  uint64_t prefix_;
  std::map<uint64_t, uint64_t>
      islands_;  // first -> last, disjoint, not touching, all above the prefix
};

}  // namespace stillwatch::pipeline
