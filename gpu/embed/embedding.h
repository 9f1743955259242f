// Static embedding of a text: the rows of its tokens, each times the token's weight, summed in
// int32 and scaled to a fixed length, so that a dot product is 2^17 times the cosine, whatever the
// texts' lengths. Kernel bodies; integers only.
#pragma once

#include <cstdint>

#include "gpu/backend.h"
#include "gpu/host_device.h"

namespace stillwatch::gpu {

// The length (Euclidean norm) of every embedding, up to rounding: 362^2 is about 2^17.
inline constexpr uint32_t kEmbeddingNorm = 362;

struct EmbeddingView {
  const int8_t* rows;  // (mask + 1) * kEmbeddingDims, each value in -127..127
  uint32_t mask;
};

SW_HOST_DEVICE inline const int8_t* EmbeddingRow(const EmbeddingView& table, uint32_t token) {
  return table.rows + static_cast<uint64_t>(token & table.mask) * kEmbeddingDims;
}

// floor(sqrt(x)), bit by bit.
SW_HOST_DEVICE constexpr uint32_t FloorSqrt(uint64_t x) {
  uint64_t root = 0;
  for (uint64_t bit = 1ull << 62; bit != 0; bit >>= 2) {
    if (x >= root + bit) {
      x -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  return static_cast<uint32_t>(root);
}

// How a row of sums becomes int8: first shifted right (arithmetically) until its norm has at most
// 15 bits, then times `factor` / 2^16, rounded to nearest (halves up).
struct EmbeddingScale {
  uint32_t shift;
  int32_t factor;  // 0 when the sums are all zero
};
SW_HOST_DEVICE constexpr EmbeddingScale EmbeddingScaleOf(uint64_t sum_of_squares) {
  const uint32_t norm = FloorSqrt(sum_of_squares);
  if (norm == 0) return {0, 0};
  uint32_t shift = 0;
  while (norm >> shift > 0x7fffu) ++shift;
  return {shift, static_cast<int32_t>((kEmbeddingNorm << 16) / (norm >> shift))};
}
SW_HOST_DEVICE constexpr int8_t ScaleToInt8(int32_t sum, EmbeddingScale scale) {
  const int32_t scaled = ((sum >> scale.shift) * scale.factor + 0x8000) >> 16;
  return static_cast<int8_t>(scaled < -127 ? -127 : scaled > 127 ? 127 : scaled);
}

}  // namespace stillwatch::gpu
