// The continuity (work_division.h) of owners outside a group, which every group of a look is held against: the same owners and
// requests for all of them, less the group's own owners, and without the fragments of its cores. What comes back is counted once
// for each number of items that a group asks for; a group takes off the fragments of its cores, and owners whose next one is left
// out are counted anew. A sample of at most 2,000 owners, 12 requests each. Made once a look; batch thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/evidence/core_finder.h"
#include "pipeline/evidence/work_division.h"

namespace stillwatch::pipeline {

class CohortContinuity {
 public:
  // `requests` sorted by owner, of `owners` owners: what each asks first in a conversation is looked at. They must outlive this.
  CohortContinuity(std::span<const RequestRef> requests, uint32_t owners);

  // Of those who are not `left_out`, by the first `items_max` requests of each, habits left out. Equals MeasureContinuity of their
  // requests as work items whose payload is what is in none of `cores`.
  Continuity Measure(std::vector<uint32_t> left_out, const CoreSet& cores, size_t items_max, const Tunables& tunables);

 private:
  struct Owner {
    uint32_t owner;
    uint32_t first_item, items;          // into items_; as many as can be compared
    uint32_t first_fragment, fragments;  // into held_
    bool plain = true;  // all texts differ from one another and from the next owner's, and no item holds a fragment twice
  };
  // A fragment of an owner: which of its items hold it, and which of the next owner's.
  struct Held {
    uint32_t fragment;
    uint16_t mine, theirs;
  };
  struct Sums {
    std::vector<Recurrence> own, other;  // by owner
  };

  void FillHeld();
  const Sums& SumsOf(size_t items_max);
  void Add(const Owner& owner, const Owner& next, const Held& held, size_t items_max, Recurrence* own, Recurrence* other) const;
  std::vector<WorkItem> ItemsOf(const Owner& owner, const CoreSet& cores, size_t items_max) const;

  const std::span<const RequestRef> requests_;
  std::vector<uint32_t> items_;  // indexes of requests
  std::vector<Owner> owners_;    // with two items at least
  std::vector<Held> held_;
  std::array<Sums, kContinuityItemsMax + 1> sums_;  // by items_max, filled when asked for
};

}  // namespace stillwatch::pipeline
