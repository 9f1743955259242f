// How many owners have used a fragment. A fragment enters on its second distinct owner (a doorkeeper
// holds those seen from one); then 64 four-bit registers estimate the distinct owners (HyperLogLog,
// Flajolet et al. 2007, with linear counting for few), in integers. Both tables are bounded and
// set-associative: when a set is full the fragment with the fewest owners, then the oldest, goes, counted.
// Batch thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "base/counters.h"

namespace stillwatch::pipeline {

enum class FragmentCounter {
  kAdmitted,           // fragments that reached a second owner
  kEvicted,            // fragments given up because a set of the table was full
  kDoorkeeperReplaced, // fragments of one owner forgotten because the doorkeeper was full
  kCount
};
inline constexpr CounterNames<FragmentCounter> kFragmentCounterNames{
    "shingle.admitted", "shingle.evicted", "shingle.doorkeeper_replaced"};

// 64 registers of 4 bits: rank of owners' hashes. Plain data.
struct alignas(32) OwnerRegisters {
  uint64_t words[4] = {};

  bool Add(uint64_t owner_hash);  // true: a register changed
  uint32_t Estimate() const;  // exact to within one for fewer than about 10, 13 % above
};

class FragmentTable {
 public:
  // Rounded up to powers of two, at least 64.
  FragmentTable(uint32_t rows_max, uint32_t doorkeeper_rows);

  // Starts fetching the lines that Note will read: first where rows are named, when that is there the row.
  void Prefetch(uint32_t fragment) const;
  void PrefetchRow(uint32_t fragment) const;
  // Counts one use; returns the owners estimated so far, this one included.
  uint32_t Note(uint32_t fragment, uint64_t owner, uint16_t day);
  // 0 or 1 owners read as 1.
  uint32_t OwnersOf(uint32_t fragment) const;

  // All that the doorkeeper and its snapshots keep of an owner, so all that is ever counted. Never 0.
  static uint32_t NameOf(uint64_t owner);
  // Forgets what only this owner was seen with. Where several were seen there is no name to forget: a count stays.
  void ForgetOwner(uint64_t owner);

  CounterBlock<FragmentCounter>& counters() { return counters_; }
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc
  uint64_t memory_bytes() const {
    return sets_.size() * sizeof(Set) + rows_.size() * sizeof(OwnerRegisters) + door_.size() * sizeof(Door);
  }

 private:
  static constexpr uint32_t kWays = 4;
  static constexpr uint32_t kNone = UINT32_MAX;

  struct alignas(64) Set {  // which rows: most look-ups end here
    uint32_t fragment[kWays] = {};
    uint32_t owners[kWays] = {};  // Estimate() at the last change; 0: empty
    uint16_t last_day[kWays] = {};
    uint8_t unused[24] = {};  // said, so that a snapshot holds no byte of chance
  };
  struct Door {
    uint32_t fragment = 0;
    uint32_t owner = 0;  // 0: empty
  };

  uint32_t SetIndexOf(uint32_t fragment) const;
  static uint32_t WayOf(const Set& set, uint32_t fragment);  // kNone: not there
  uint32_t Victim(uint32_t set) const;                       // the way that makes room

  std::vector<Set> sets_;
  std::vector<OwnerRegisters> rows_;  // kWays of each set
  std::vector<Door> door_;
  uint32_t door_mask_;
  CounterBlock<FragmentCounter> counters_{kFragmentCounterNames};
};

}  // namespace stillwatch::pipeline
