#include "pipeline/evidence/fragment_table.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/hash.h"
#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint32_t kRegisters = 64;
// alpha(64) * 64^2 * 2^15: 0.709 * 4096 * 32768.
constexpr uint64_t kScale = 95'160'369;

// Of two registers: what each adds to the sum of 2^-rank, in 2^-15.
constexpr auto kPairSums = [] {
  std::array<uint32_t, 256> sums{};
  for (uint32_t pair = 0; pair < 256; ++pair) sums[pair] = (1u << (15 - (pair & 15))) + (1u << (15 - (pair >> 4)));
  return sums;
}();

}  // namespace

bool OwnerRegisters::Add(uint64_t owner_hash) {
  const uint32_t index = owner_hash & (kRegisters - 1);
  const uint64_t rest = owner_hash >> 6 | 1ull << 58;
  const uint64_t rank = std::min<uint64_t>(static_cast<uint64_t>(std::countr_zero(rest)) + 1, 15);
  uint64_t& word = words[index / 16];
  const uint32_t shift = index % 16 * 4;
  if ((word >> shift & 15) >= rank) return false;
  word = (word & ~(15ull << shift)) | rank << shift;
  return true;
}

uint32_t OwnerRegisters::Estimate() const {
  uint64_t sum = 0;
  uint32_t empty = 0;
  for (uint64_t word : words) {
    for (int i = 0; i < 8; ++i, word >>= 8) {
      sum += kPairSums[word & 255];
      empty += (word & 15) == 0;
      empty += (word & 240) == 0;
    }
  }
  const uint64_t raw = kScale / sum;
  // Linear counting, m ln(m / empty), while enough are empty for it and the raw value is small.
  if (empty >= kRegisters / 8 && raw <= kRegisters * 5 / 2) {
    return static_cast<uint32_t>((kRegisters * LnRatioQ8(kRegisters, empty) + 128) / 256);
  }
  return static_cast<uint32_t>(raw);
}

FragmentTable::FragmentTable(uint32_t rows_max, uint32_t doorkeeper_rows)
    : sets_(std::bit_ceil(std::max(rows_max, 64u)) / kWays),
      rows_(sets_.size() * kWays),
      door_(std::bit_ceil(std::max(doorkeeper_rows, 64u))),
      door_mask_(static_cast<uint32_t>(door_.size() - 1)) {}

uint32_t FragmentTable::SetIndexOf(uint32_t fragment) const {
  return Mix32(fragment ^ 0x5bd1e995u) & static_cast<uint32_t>(sets_.size() - 1);
}

uint32_t FragmentTable::WayOf(const Set& set, uint32_t fragment) {
  for (uint32_t way = 0; way < kWays; ++way) {
    if (set.fragment[way] == fragment && set.owners[way] != 0) return way;
  }
  return kNone;
}

uint32_t FragmentTable::Victim(uint32_t set) const {
  uint32_t victim = 0;
  for (uint32_t way = 1; way < kWays; ++way) {
    const uint32_t owners = sets_[set].owners[way], least = sets_[set].owners[victim];
    if (owners > least || (owners == least && owners == 0)) continue;
    if (owners < least || sets_[set].last_day[way] < sets_[set].last_day[victim]) victim = way;
  }
  return victim;
}

void FragmentTable::Prefetch(uint32_t fragment) const {
  __builtin_prefetch(&sets_[SetIndexOf(fragment)], 1);
  __builtin_prefetch(&door_[Mix32(fragment) & door_mask_ & ~1u], 1);
}

void FragmentTable::PrefetchRow(uint32_t fragment) const {
  const uint32_t set = SetIndexOf(fragment);
  if (const uint32_t way = WayOf(sets_[set], fragment); way != kNone) __builtin_prefetch(&rows_[set * kWays + way], 1);
}

uint32_t FragmentTable::NameOf(uint64_t owner) { return static_cast<uint32_t>(Mix64(owner ^ 0x9e3779b97f4a7c15ull) >> 32) | 1; }

void FragmentTable::ForgetOwner(uint64_t owner) {
  const uint32_t name = NameOf(owner);
  for (Door& door : door_) {
    if (door.owner == name) door = {};
  }
}

uint32_t FragmentTable::Note(uint32_t fragment, uint64_t owner, uint16_t day) {
  const uint32_t name = NameOf(owner);
  const uint64_t owner_hash = Mix64(name);
  const uint32_t at = SetIndexOf(fragment);
  Set& set = sets_[at];
  if (const uint32_t way = WayOf(set, fragment); way != kNone) {
    OwnerRegisters& registers = rows_[at * kWays + way];
    set.last_day[way] = day;
    if (registers.Add(owner_hash)) set.owners[way] = std::max(registers.Estimate(), 1u);
    return set.owners[way];
  }
  // The doorkeeper: sets of two.
  Door* door = &door_[Mix32(fragment) & door_mask_ & ~1u];
  for (uint32_t w = 0; w < 2; ++w) {
    if (door[w].owner == 0) {
      door[w] = {fragment, name};
      return 1;
    }
    if (door[w].fragment == fragment && door[w].owner == name) return 1;
    if (door[w].fragment != fragment) continue;
    const uint32_t way = Victim(at);
    if (set.owners[way] != 0) counters_.Add(FragmentCounter::kEvicted);
    counters_.Add(FragmentCounter::kAdmitted);
    set.fragment[way] = fragment;
    set.owners[way] = 2;
    set.last_day[way] = day;
    OwnerRegisters& registers = rows_[at * kWays + way];
    registers = {};
    registers.Add(owner_hash);
    registers.Add(Mix64(door[w].owner));
    door[w] = {};
    return 2;
  }
  door[1] = door[0];
  door[0] = {fragment, name};
  counters_.Add(FragmentCounter::kDoorkeeperReplaced);
  return 1;
}

uint32_t FragmentTable::OwnersOf(uint32_t fragment) const {
  const Set& set = sets_[SetIndexOf(fragment)];
  const uint32_t way = WayOf(set, fragment);
  return way == kNone ? 1 : set.owners[way];
}

}  // namespace stillwatch::pipeline
