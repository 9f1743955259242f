// Are more accounts active in the same hours than the course of the day, the day itself and the same hour of other weeks
// explain? After SynchroTrap (Cao et al. 2014), with what people share taken out first: a time zone, working hours, a job at
// the hour, an exam week and a flat curve explain themselves. For layer 6; integers only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace stillwatch::pipeline {

// Owners active in each hour of a window; hour i of `active` is `first` + i since 1970.
struct HourCounts {
  uint32_t first = 0;
  std::vector<uint32_t> active;
};

// Owners expected in each hour, in 1/256, from the other hours alone: the most of (1) the mean of this hour of the day over
// the other days of its kind (Monday to Friday, or the weekend), (2) what the rest of the day would give by that course,
// and by a flat one, (3) the mean of this hour in the other weeks. 0: nothing says, the hour is left out.
std::vector<uint32_t> ExpectedHours(const HourCounts& counts);

struct Synchrony {
  int64_t nats = 0;      // 1/256: the best hour of each day, at most two nats a day; older days by their half-life
  uint32_t days = 0;     // with such an hour
  uint32_t most = 0;     // owners in the hour that says most
  uint32_t expected = 0;  // ... of which so many were to be expected, rounded up
};

// `cohort`: of matched owners in the same window; where they too are more active than expected, the expectation rises as
// much. Each hour pays for having been chosen out of all hours of ten groups.
Synchrony MeasureHours(const HourCounts& group, const HourCounts* cohort, uint32_t half_life_days);

}  // namespace stillwatch::pipeline
