// Rarity class of a token: 16 * log2(texts / texts that have the token), 1..255, as the rarity
// table lists it, or the table's class for unlisted tokens. A pure function of (token hash, table):
// a live count never changes it, or the same prompt would sketch differently by box and day.
#pragma once

#include <cstdint>

#include "gpu/host_device.h"

namespace stillwatch::gpu {

// Exact cuckoo map of 32-bit hashes in 4 bytes an entry: the upper 24 bits of the hash and the
// class. A hash has one place in the lower half of the table and one in the upper; each is formed
// so that half, place and upper bits give back the low 8 bits.
struct RarityView {
  const uint32_t* entries;  // two halves of half_mask + 1, at least 256 each; 0 is an empty entry
  uint32_t half_mask;
  uint32_t unknown_class;
};

inline constexpr uint32_t kRarityPlace1 = 0x9e3779b1u;
inline constexpr uint32_t kRarityPlace2 = 0xc2b2ae3du;

// Place within a half.
SW_HOST_DEVICE constexpr uint32_t RarityPlace(uint32_t token, uint32_t multiplier,
                                              uint32_t half_mask) {
  return (((token >> 8) * multiplier >> 12) + (token & 255u)) & half_mask;
}

SW_HOST_DEVICE constexpr uint32_t RarityClassOf(const RarityView& table, uint32_t token) {
  const uint32_t one = table.entries[RarityPlace(token, kRarityPlace1, table.half_mask)];
  const uint32_t two =
      table.entries[table.half_mask + 1 + RarityPlace(token, kRarityPlace2, table.half_mask)];
  uint32_t found = 0;  // listed classes are 1 or more
  if ((one ^ token) >> 8 == 0) found = one & 255u;
  if (found == 0 && (two ^ token) >> 8 == 0) found = two & 255u;
  return found != 0 ? found : table.unknown_class;
}

}  // namespace stillwatch::gpu
