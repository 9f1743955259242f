#include "pipeline/campaign/synchrony.h"

#include <algorithm>

#include "base/mutant.h"
#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint32_t kWeek = 7 * 24;
constexpr uint32_t kOwnersMin = 3;  // in one hour, before it is more than two people
constexpr int32_t kDayNats = 512;   // a lesson, an outage, a launch: one event however many come
constexpr uint32_t kPrice = 10;     // an hour is the best of all hours, and of ten groups looked at

bool Weekend(uint32_t day) { return (day + 3) % 7 >= 5; }  // day 0 of 1970 was a Thursday
uint32_t SlotOf(uint32_t hour) { return hour % 24 + (Weekend(hour / 24) ? 24 : 0); }

// In 1/256; 0 where nothing is known.
uint64_t Quotient(uint64_t numerator, uint64_t denominator) { return denominator == 0 ? 0 : numerator * 256 / denominator; }

}  // namespace

std::vector<uint32_t> ExpectedHours(const HourCounts& counts) {
  const uint32_t hours = static_cast<uint32_t>(counts.active.size());
  uint64_t in_slot[48] = {}, slots[48] = {}, in_kind[2] = {};
  std::vector<uint64_t> in_day(hours / 24 + 2, 0);
  const uint32_t first_day = counts.first / 24;
  for (uint32_t i = 0; i < hours; ++i) {
    const uint32_t hour = counts.first + i, slot = SlotOf(hour);
    in_slot[slot] += counts.active[i], ++slots[slot];
    in_kind[slot / 24] += counts.active[i];
    in_day[hour / 24 - first_day] += counts.active[i];
  }
  std::vector<uint32_t> expected(hours, 0);
  for (uint32_t i = 0; i < hours; ++i) {
    const uint32_t hour = counts.first + i, slot = SlotOf(hour);
    if (slots[slot] < 2) continue;  // no other day of its kind had this hour
    const uint64_t here = counts.active[i], today = in_day[hour / 24 - first_day];
    const uint64_t others = in_slot[slot] - here, of_others = in_kind[slot / 24] - today;
    // A half an owner on top: a few days cannot say that an hour is never used.
    uint64_t most = Quotient(2 * others + 1, 2 * (slots[slot] - 1));
    if (!MutantIs("detect.synchrony_ignores_the_day")) {
      most = std::max(most, Quotient((today - here) * others, of_others - others));
      most = std::max(most, Quotient(today - here, 23));
    }
    uint64_t weeks = 0, in_weeks = 0;
    for (uint32_t j = i % kWeek; j < hours; j += kWeek) {
      if (j != i) ++weeks, in_weeks += counts.active[j];
    }
    most = std::max(most, Quotient(in_weeks, weeks));
    expected[i] = static_cast<uint32_t>(std::min<uint64_t>(most, UINT32_MAX));
  }
  return expected;
}

Synchrony MeasureHours(const HourCounts& group, const HourCounts* cohort, uint32_t half_life_days) {
  const uint32_t hours = static_cast<uint32_t>(group.active.size());
  const std::vector<uint32_t> expected = ExpectedHours(group);
  const std::vector<uint32_t> usual = cohort == nullptr ? std::vector<uint32_t>() : ExpectedHours(*cohort);
  Synchrony result;
  int64_t best = 0;
  std::vector<int32_t> of_day(hours / 24 + 2, 0);
  for (uint32_t i = 0; i < hours; ++i) {
    const uint32_t k = group.active[i];
    if (k < kOwnersMin || expected[i] == 0) continue;
    uint64_t expected_q8 = expected[i];
    if (cohort != nullptr && uint64_t{cohort->active[i]} * 256 > usual[i] + 256) {
      expected_q8 = expected_q8 * cohort->active[i] * 256 / (usual[i] + 256);
    }
    const int32_t nats = ExcessNats(k, expected_q8) - LnQ8(uint64_t{hours} * kPrice);
    if (nats <= 0) continue;
    int32_t& day = of_day[(group.first + i) / 24 - group.first / 24];
    day = std::max(day, nats);
    if (nats > best) best = nats, result.most = k, result.expected = static_cast<uint32_t>((expected_q8 + 255) / 256);
  }
  const uint32_t last_day = hours == 0 ? 0 : (group.first + hours - 1) / 24 - group.first / 24;
  for (uint32_t day = 0; day <= last_day; ++day) {
    const int32_t nats = MutantIs("detect.one_lesson_is_synchrony") ? of_day[day] : std::min(of_day[day], kDayNats);
    result.nats += nats >> std::min((last_day - day) / std::max(half_life_days, 1u), 31u);
    result.days += nats > 0;
  }
  return result;
}

}  // namespace stillwatch::pipeline
