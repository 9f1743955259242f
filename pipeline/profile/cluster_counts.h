// In which semantic clusters (evidence/semantic_clusters.h) an account's requests fell: the twelve that tell most, 36 bytes of
// its profile. A cluster that no other owner uses goes first, then the one used least, then the one used longest ago.
// Of the time only the period of eight days is kept, so it goes with the period in which its expiry lies. Batch thread only.
#pragma once

#include <cstdint>
#include <vector>

namespace stillwatch::pipeline {

struct ClusterCounts {
  static constexpr uint32_t kKept = 12;
  static constexpr uint32_t kUsesMax = 15;   // more say no more: requests of one account are not independent
  static constexpr uint32_t kPeriodDays = 8;
  static constexpr uint32_t kPeriodsKept = 9;

  uint16_t clusters[kKept];  // in order of last use, the newest last; free places at the end
  uint8_t uses[kKept];       // low half: requests, 0: free; high half: period of the last use, of 16

  // One more request in `cluster` on `day` (days since 1970). `is_shared(c)`: whether another owner uses cluster c.
  template <typename IsShared>
  void Note(uint16_t cluster, uint32_t day, IsShared is_shared) {
    uint32_t at = 0, count = Size();
    while (at < count && clusters[at] != cluster) ++at;
    uint32_t used = at < count ? Uses(at) : 0;
    if (at == count && count == kKept) {
      const auto worth = [&](uint32_t i) { return (is_shared(clusters[i]) ? 16u : 0u) + Uses(i); };
      at = 0;
      for (uint32_t i = 1; i < kKept; ++i) {
        if (worth(i) < worth(at)) at = i;
      }
    }
    if (at < count) Remove(at), --count;
    clusters[count] = cluster;
    uses[count] = static_cast<uint8_t>((day / kPeriodDays % 16) << 4 | (used < kUsesMax ? used + 1 : used));
  }

  uint32_t Size() const {
    uint32_t n = 0;
    while (n < kKept && Uses(n) != 0) ++n;
    return n;
  }
  uint32_t Uses(uint32_t place) const { return uses[place] & 15; }

  // Forgets clusters of which the last use was before `day`, or in its period. No use may be over nine periods later.
  void ExpireBefore(uint32_t day);
  // Forgets those whose bit is set; `bits` has one for each cluster there is.
  void Forget(const std::vector<bool>& bits);

 private:
  void Remove(uint32_t place);
};
static_assert(sizeof(ClusterCounts) == 36);

}  // namespace stillwatch::pipeline
