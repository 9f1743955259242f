// Layer 3: division of work. Is the work of a group dealt out? Payload: what is left of an instruction
// when the group's cores are taken away.
//   continuity  people come back to subjects of their own, a dealer's account gets whatever is next: how many
//               accounts return, against as many accounts outside, by as many requests of each
//   collisions  payloads that meet across owners: few distinct payloads are a class or a benchmark, not a dealer
//   crossing    the same payload under different cores from different owners
// Only continuity is evidence: it is measured on the traffic of the day. (How often strangers' payloads meet depends
// on the task too much to say that they should have met.) Counting is exact; pairs are counted by sorting,
// never enumerated.
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
  uint64_t cores_held = 0;        // hash of which cores: the payload of a request that is made of nothing else
};

// How owners come back to their subjects.
struct Continuity {
  uint32_t compared = 0;   // owners with enough payload to say
  uint32_t returning = 0;  // ... whose payload fragments come back more often than a stranger's do
  uint32_t own_ppm = 0;    // median over owners: fragments that another item of the same owner holds
  uint32_t other_ppm = 0;  // ... that an item of the next owner holds, as many items looked at
};

// `items_max`: the first so many items of each owner, at most 12, so that two lists compare. `without_habits`: what most of
// an owner's items hold is its habit of wording, not its subject; for items whose cores were not taken away.
Continuity MeasureContinuity(std::span<const WorkItem> items, size_t items_max, bool without_habits, const Tunables& tunables);

struct WorkDivision {
  uint64_t pairs = 0;        // of items of different owners under one core
  uint64_t collisions = 0;   // of these, with equal payload
  uint64_t crossing = 0;
};

WorkDivision MeasureWorkDivision(std::span<const WorkItem> items, const Tunables& tunables);

// Evidence in 1/256 nat that fewer of `group` return to subjects of their own than of `cohort`, and at most what speaks for a tenth as
// many (dealer_returns_one_in) against as many: a large group that returns somewhat less is people. 0 where either is too small.
int32_t DealerNats(const Continuity& group, const Continuity& cohort, const Tunables& tunables);

// Most of its owners return to subjects of their own.
bool KeepsSubjects(const Continuity& group);

}  // namespace stillwatch::pipeline
