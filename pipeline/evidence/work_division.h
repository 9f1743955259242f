// Layer 3: division of work. Is the work of a group dealt out? Payload: what is left of an instruction
// when the group's cores are taken away.
//   deficit     unrelated people who share a prompt share the task, so their payloads meet; a dealer's do not
//   flatness    counted with it: a payload that comes back exactly k times is no deficit and no people
//   crossing    the same payload under different cores from different owners
//   continuity  people come back to their own subjects, a dealer's account does not
// The deficit alone is never evidence: continuity above the limit takes it away (people, each with their
// own subject). Counting is exact; pairs are counted by sorting, never enumerated.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/policy/tunables.h"

namespace stillwatch::pipeline {

struct WorkItem {
  uint32_t owner = 0;
  uint32_t core = 0;              // the core that carried the hit
  uint32_t text = 0;              // exact hash of the instruction
  std::vector<uint32_t> payload;  // fragments outside the group's cores, sorted
};

struct WorkDivision {
  uint64_t pairs = 0;        // of items of different owners under one core
  uint64_t collisions = 0;   // of these, with equal payload
  uint64_t expected_q8 = 0;
  uint64_t crossing = 0;
  uint32_t own_ppm = 0;      // share of payload fragments that another item of the same owner holds
  uint32_t other_ppm = 0;    // ... that an item of the next owner holds, as many items looked at
  bool continuity_known = false;
  int32_t nats = 0;          // evidence for a dealer, 0 when explained
  bool people = false;       // continuity says so
};

WorkDivision MeasureWorkDivision(std::span<const WorkItem> items, const Tunables& tunables);

}  // namespace stillwatch::pipeline
