#include "pipeline/profile/active_hours.h"

#include <algorithm>
#include <bit>

namespace stillwatch::pipeline {

void ActiveHours::Note(int64_t time_s) {
  constexpr int64_t kLast = 1 << 24;  // two thousand years: no arithmetic below overflows
  const auto hour = static_cast<uint32_t>(std::clamp<int64_t>(time_s / 3'600, 0, kLast));
  if (hour + kHours <= newest) return;  // came too late to matter
  for (uint32_t h = std::max(newest + 1, hour < kHours ? 0 : hour - kHours + 1); h <= hour; ++h) {
    bits[h % kHours / 32] &= ~(1u << h % 32);
  }
  newest = std::max(newest, hour);
  bits[hour % kHours / 32] |= 1u << hour % 32;
}

void ActiveHours::List(std::vector<uint32_t>* out) const {
  for (uint32_t word = 0; word < kHours / 32; ++word) {
    for (uint32_t left = bits[word]; left != 0; left &= left - 1) {
      const uint32_t bit = word * 32 + static_cast<uint32_t>(std::countr_zero(left));
      out->push_back(newest - (newest % kHours + kHours - bit) % kHours);
    }
  }
}

void HomeNetworks::Note(uint16_t network) {
  uint32_t free = kKept;
  for (uint32_t i = 0; i < kKept; ++i) {
    if (weights[i] == 0) {
      free = i;
    } else if (networks[i] == network) {
      if (weights[i] < UINT8_MAX) ++weights[i];
      return;
    }
  }
  if (free < kKept) {
    networks[free] = network, weights[free] = 1;
    return;
  }
  for (uint8_t& weight : weights) --weight;
}

uint16_t HomeNetworks::Most() const {
  uint32_t best = 0;
  for (uint32_t i = 1; i < kKept; ++i) {
    if (weights[i] > weights[best] || (weights[i] == weights[best] && networks[i] < networks[best])) best = i;
  }
  return weights[best] == 0 ? 0 : networks[best];
}

}  // namespace stillwatch::pipeline
