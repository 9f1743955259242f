// All constants of a sketch that come from the fleet salt (docs/sketches.md, "Seeds"). Made once at
// start; a kernel reads them.
#pragma once

#include <cstdint>

#include "base/hash.h"
#include "gpu/host_device.h"

namespace stillwatch::gpu {

// The odd constants of xxHash32, used as multipliers where several words are mixed into one.
inline constexpr uint32_t kPrime1 = 0x9e3779b1u;
inline constexpr uint32_t kPrime2 = 0x85ebca77u;
inline constexpr uint32_t kPrime3 = 0xc2b2ae3du;
inline constexpr uint32_t kPrime4 = 0x27d4eb2fu;
inline constexpr uint32_t kPrime5 = 0x165667b1u;

struct SketchSeeds {
  uint32_t shingle = 0;
  uint32_t band = 0;
  uint32_t probe = 0;
  uint32_t simhash[16] = {};  // one for each 32-bit word of the SimHash
  uint16_t salt_id = 0;       // names the salt in SketchVersions without telling it
};

// Element `index` (1 or more) of the salt's splitmix64 stream.
constexpr uint64_t SeedAt(uint64_t start, uint64_t index) {
  return Mix64(start + index * 0x9e3779b97f4a7c15ull);
}

constexpr SketchSeeds MakeSketchSeeds(Salt salt) {
  SketchSeeds seeds;
  seeds.shingle = static_cast<uint32_t>(SeedAt(salt.value, 1) >> 32);
  seeds.band = static_cast<uint32_t>(SeedAt(salt.value, 2) >> 32);
  seeds.probe = static_cast<uint32_t>(SeedAt(salt.value, 3) >> 32);
  seeds.salt_id = static_cast<uint16_t>(SeedAt(salt.value, 4) >> 48);
  for (uint32_t j = 0; j < 16; ++j) {
    seeds.simhash[j] = static_cast<uint32_t>(SeedAt(salt.value, 16 + j) >> 32);
  }
  return seeds;
}

}  // namespace stillwatch::gpu
