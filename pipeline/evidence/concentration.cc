#include "pipeline/evidence/concentration.h"

#include <algorithm>

#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

// An owner's choice may be so much likelier than outside without saying anything.
constexpr int32_t kOtherCrowd = 177;  // ln 2

int32_t ConcentrationNats(const ChoiceCounts& inside, const ChoicesOutside& outside) {
  std::map<uint32_t, uint32_t> inside_of;
  for (const auto& [key, n] : inside) inside_of[key.first] += n;
  int64_t nats = 0;
  uint32_t total = 0;
  for (const auto& [key, n] : inside) {
    const uint64_t seen = outside.Of(key), of = outside.OfGiven(key.first);
    nats += static_cast<int64_t>(n) * (LnRatioQ8(n, inside_of[key.first]) - LnRatioQ8(2 * seen + 1, 2 * of + 2));
    total += n;
  }
  nats -= static_cast<int64_t>(inside.size()) * LnQ8(total + 1) + int64_t{total} * kOtherCrowd;
  return SaturateQ8(std::max<int64_t>(nats, 0));
}

}  // namespace stillwatch::pipeline
