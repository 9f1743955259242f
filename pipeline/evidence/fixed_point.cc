#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

namespace {

// 65,536 / (1 + exp(-x)) for x = -12, -11.75, ... 12 nats, rounded down.
constexpr uint32_t kLogistic[] = {
    0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 6,
    8, 10, 13, 17, 21, 28, 36, 46, 59, 76, 98, 126,
    162, 207, 266, 342, 438, 562, 720, 921, 1178, 1505, 1921, 2446,
    3108, 3937, 4971, 6248, 7812, 9702, 11955, 14594, 17625, 21025, 24742, 28693,
    32768, 36842, 40793, 44510, 47910, 50941, 53580, 55833, 57723, 59287, 60564, 61598,
    62427, 63089, 63614, 64030, 64357, 64614, 64815, 64973, 65097, 65193, 65269, 65328,
    65373, 65409, 65437, 65459, 65476, 65489, 65499, 65507, 65514, 65518, 65522, 65525,
    65527, 65529, 65531, 65532, 65533, 65533, 65534, 65534, 65534, 65535, 65535, 65535,
    65535,
};
constexpr int32_t kFirst = -12 * 256;
constexpr int32_t kStep = 64;
constexpr int32_t kLast = kFirst + kStep * static_cast<int32_t>(std::size(kLogistic) - 1);

}  // namespace

uint32_t ProbabilityOf(int32_t score_q8) {
  if (score_q8 <= kFirst) return kLogistic[0];
  if (score_q8 >= kLast) return kLogistic[std::size(kLogistic) - 1];
  const uint32_t offset = static_cast<uint32_t>(score_q8 - kFirst);
  const uint32_t at = offset / kStep, rest = offset % kStep;
  return kLogistic[at] + (kLogistic[at + 1] - kLogistic[at]) * rest / kStep;
}

}  // namespace stillwatch::pipeline
