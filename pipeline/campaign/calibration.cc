#include "pipeline/campaign/calibration.h"

#include <algorithm>
#include <iterator>

namespace stillwatch::pipeline {

namespace {

struct Step {
  uint32_t stated_from, so;
};
constexpr Step kPooled[] = {
#include "pipeline/campaign/calibration_pooled.inc"
};
static_assert(std::is_sorted(std::begin(kPooled), std::end(kPooled), [](const Step& a, const Step& b) { return a.stated_from < b.stated_from || a.so < b.so; }));

}  // namespace

uint32_t CalibratedPooled(uint32_t stated) {
  const Step* after = std::upper_bound(std::begin(kPooled), std::end(kPooled), stated, [](uint32_t s, const Step& step) { return s < step.stated_from; });
  return after == std::begin(kPooled) ? after->so : std::prev(after)->so;
}

}  // namespace stillwatch::pipeline
