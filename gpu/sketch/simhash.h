// SimHash-512 (Charikar 2002) with weights by rarity class. Kernel bodies.
// Bit p of the result is set when the weights of the tokens whose expansion has bit p set are more
// than half of all weights.
#pragma once

#include <cstdint>

#include "base/hash.h"
#include "gpu/host_device.h"

namespace stillwatch::gpu {

inline constexpr uint32_t kSimHashBits = 512;
inline constexpr uint32_t kSimHashWords32 = 16;
inline constexpr uint32_t kWeightShifts = 4;  // weights are 1, 2, 4, 8

// A token's weight is 1 << shift; classes are 16 * log2(texts / texts that have the token), so the
// steps lie at one text in 32, in 256 and in 2,048.
SW_HOST_DEVICE constexpr uint32_t WeightShiftOf(uint32_t rarity_class) {
  return (rarity_class >= 80 ? 1u : 0u) + (rarity_class >= 128 ? 1u : 0u) +
         (rarity_class >= 176 ? 1u : 0u);
}

// Word j (0..15) of a token's 512-bit expansion.
SW_HOST_DEVICE constexpr uint32_t SimHashWord(uint32_t token, uint32_t word_seed) {
  return Mix32(token ^ word_seed);
}

// One bit, from the weights of tokens that set it and of all tokens.
SW_HOST_DEVICE constexpr bool SimHashBit(uint32_t weight_set, uint32_t weight_all) {
  return 2 * weight_set > weight_all;
}

}  // namespace stillwatch::gpu
