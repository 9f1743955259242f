// Integer logarithms, tail bounds and probabilities. Evidence is int32 in 1/256 nat ("q8"). No floating
// point: the same inputs give the same bits on every machine. Golden vectors: tests/pipeline/detect.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <limits>

namespace stillwatch::pipeline {

namespace fixed_point_detail {
// floor(256 * log2(1 + i/256)) by repeated squaring of a 31-bit fraction.
constexpr std::array<uint8_t, 256> MakeLog2Table() {
  std::array<uint8_t, 256> table{};
  for (uint64_t i = 0; i < 256; ++i) {
    uint64_t x = (256 + i) << 23;  // 1.0 = 1 << 31
    uint32_t bits = 0;
    for (int b = 0; b < 8; ++b) {
      x = x * x >> 31;
      bits <<= 1;
      if (x >> 32) {
        bits |= 1;
        x >>= 1;
      }
    }
    table[i] = static_cast<uint8_t>(bits);
  }
  return table;
}
inline constexpr auto kLog2 = MakeLog2Table();
}  // namespace fixed_point_detail

// About 256 * log2(x), at most 2/256 below it; exact at powers of two; monotone. x = 0 counts as 1.
constexpr int32_t Log2Q8(uint64_t x) {
  if (x == 0) return 0;
  const int top = 63 - std::countl_zero(x);
  const uint64_t mantissa = top >= 8 ? x >> (top - 8) & 255 : x << (8 - top) & 255;
  return top * 256 + fixed_point_detail::kLog2[mantissa];
}

// 256 * ln(x).
constexpr int32_t LnQ8(uint64_t x) {
  return static_cast<int32_t>(static_cast<int64_t>(Log2Q8(x)) * 45'426 >> 16);
}
constexpr int32_t LnRatioQ8(uint64_t a, uint64_t b) { return LnQ8(a) - LnQ8(b); }

constexpr int32_t SaturateQ8(int64_t value) {
  return static_cast<int32_t>(std::clamp<int64_t>(value, std::numeric_limits<int32_t>::min() / 4,
                                                  std::numeric_limits<int32_t>::max() / 4));
}

// -ln of the Chernoff bound on P(X >= k) for X ~ Poisson(expected): k ln(k/e) - (k - e); 0 when k <= e.
// `expected_q8` is the mean in 1/256, taken as at least 1/256.
constexpr int32_t ExcessNats(uint64_t k, uint64_t expected_q8) {
  expected_q8 = std::max<uint64_t>(expected_q8, 1);
  if (k * 256 <= expected_q8) return 0;
  const int64_t nats = static_cast<int64_t>(k) * LnRatioQ8(k * 256, expected_q8) -
                       (static_cast<int64_t>(k * 256) - static_cast<int64_t>(expected_q8));
  return SaturateQ8(std::max<int64_t>(nats, 0));
}

// The same for P(X <= k), k below the mean.
constexpr int32_t DeficitNats(uint64_t k, uint64_t expected_q8) {
  if (k * 256 >= expected_q8) return 0;
  int64_t nats = static_cast<int64_t>(expected_q8) - static_cast<int64_t>(k * 256);
  if (k != 0) nats -= static_cast<int64_t>(k) * LnRatioQ8(expected_q8, k * 256);
  return SaturateQ8(std::max<int64_t>(nats, 0));
}

// Logistic function of a score in 1/256 nat, in 1/65,536. Monotone; from a table with straight lines between.
uint32_t ProbabilityOf(int32_t score_q8);

}  // namespace stillwatch::pipeline
