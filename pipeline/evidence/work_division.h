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

#include <bit>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/hash.h"
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

inline constexpr size_t kContinuityItemsMax = 12;  // bounds the pairs of one owner
static_assert(kContinuityItemsMax <= 16, "bit sets of items have 16 bits");

// Fragments of one list of items that come back in another one.
struct Recurrence {
  uint64_t hits = 0, of = 0;
  uint32_t ppm() const { return of == 0 ? 0 : static_cast<uint32_t>(hits * 1'000'000 / of); }
};

// Which of at most 16 items hold a fragment, and how often they do in all.
class ItemMasks {
 public:
  struct Slot {
    uint32_t fragment = 0;
    uint16_t items = 0, times = 0;
    uint32_t round = 0;
  };

  // In place of what it held. `payload(i)`: the fragments of item i.
  template <typename Payload>
  void Fill(size_t items, Payload payload) {
    size_t fragments = 0;
    for (size_t i = 0; i < items; ++i) fragments += payload(i).size();
    if (slots_.size() < fragments * 2) slots_.assign(std::bit_ceil(fragments * 4), Slot{}), round_ = 0;
    ++round_;
    for (size_t i = 0; i < items; ++i) {
      for (uint32_t fragment : payload(i)) {
        Slot& slot = slots_[At(fragment)];
        if (slot.round != round_) slot = {fragment, 0, 0, round_};
        slot.items |= static_cast<uint16_t>(1u << i);
        ++slot.times;
      }
    }
  }
  // Of a fragment that none holds: zeros.
  Slot Find(uint32_t fragment) const {
    if (slots_.empty()) return {};
    const Slot& slot = slots_[At(fragment)];
    return slot.round == round_ ? slot : Slot{};
  }

 private:
  size_t At(uint32_t fragment) const {
    size_t at = Mix32(fragment) & (slots_.size() - 1);
    while (slots_[at].round == round_ && slots_[at].fragment != fragment) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  std::vector<Slot> slots_;
  uint32_t round_ = 0;
};

// What more than half of an owner's items hold is its habit of wording. `times`: how often they hold it.
constexpr bool IsHabit(size_t times, size_t items) { return items > 2 && times * 2 > items; }

// What comes back of one list of items in itself, and in another; at most kContinuityItemsMax each.
class Recurrences {
 public:
  std::pair<Recurrence, Recurrence> Of(std::span<const WorkItem* const> mine, std::span<const WorkItem* const> theirs, bool without_habits);

 private:
  ItemMasks mine_, theirs_;
};

// Adds up owners, each by what comes back in its own items and in those of the next owner.
class ContinuityCount {
 public:
  void Add(const Recurrence& own, const Recurrence& other, const Tunables& tunables);
  Continuity Take();

 private:
  Continuity result_;
  std::vector<uint32_t> own_ppm_, other_ppm_;
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

// Evidence in 1/256 nat that fewer of `group` return to subjects of their own than of `cohort`, and at most what speaks for an eighth as
// many (dealer_returns_one_in) against as many: a large group that returns somewhat less is people. 0 where either is too small.
int32_t DealerNats(const Continuity& group, const Continuity& cohort, const Tunables& tunables);

// Most of its owners return to subjects of their own.
bool KeepsSubjects(const Continuity& group);

}  // namespace stillwatch::pipeline
