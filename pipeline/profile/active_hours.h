// In which hours an account was active: one bit an hour of traffic time over the last 56 days, 168 bytes. What layer 6
// (synchrony) compares. Plain data, part of a profile; batch thread only. Older hours fall out as newer ones come.
#pragma once

#include <cstdint>
#include <vector>

namespace stillwatch::pipeline {

struct ActiveHours {
  static constexpr uint32_t kHours = 56 * 24;
  uint32_t bits[kHours / 32];  // hour h since 1970 at bit h % kHours
  uint32_t newest;             // the newest active hour; 0: none yet

  void Note(int64_t time_s);
  // Appends the active hours, in no order.
  void List(std::vector<uint32_t>* out) const;
};
static_assert(ActiveHours::kHours % 32 == 0);

// The networks (/24, /48) that an account comes from, by salted 16-bit hash: the four it uses most (Misra and Gries's
// frequent items), so that one that moves about forgets the old ones.
struct HomeNetworks {
  static constexpr uint32_t kKept = 4;
  uint16_t networks[kKept];
  uint8_t weights[kKept];  // 0: free

  void Note(uint16_t network);
  // The one used most; 0: unknown.
  uint16_t Most() const;
};

}  // namespace stillwatch::pipeline
