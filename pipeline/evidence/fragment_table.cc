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

uint32_t SetIndex(uint32_t fragment) { return Mix32(fragment ^ 0x5bd1e995u); }

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
    : rows_(std::bit_ceil(std::max(rows_max, 64u))),
      fragment_of_(rows_.size()),
      door_(std::bit_ceil(std::max(doorkeeper_rows, 64u))),
      row_sets_mask_(static_cast<uint32_t>(rows_.size() / kWays - 1)),
      door_mask_(static_cast<uint32_t>(door_.size() - 1)) {}

uint32_t FragmentTable::SetOf(uint32_t fragment) const { return (SetIndex(fragment) & row_sets_mask_) * kWays; }

uint32_t FragmentTable::Find(uint32_t fragment) const {
  const uint32_t set = SetOf(fragment);
  for (uint32_t row = set; row < set + kWays; ++row) {
    if (fragment_of_[row] == fragment && rows_[row].uses != 0) return row;
  }
  return kNone;
}

void FragmentTable::Prefetch(uint32_t fragment) const {
  __builtin_prefetch(&fragment_of_[SetOf(fragment)]);
  __builtin_prefetch(&door_[Mix32(fragment) & door_mask_ & ~1u], 1);
}

void FragmentTable::PrefetchRow(uint32_t fragment) const {
  const uint32_t set = SetOf(fragment);
  for (uint32_t row = set; row < set + kWays; ++row) {
    if (fragment_of_[row] == fragment) __builtin_prefetch(&rows_[row], 1);
  }
}

uint32_t FragmentTable::Note(uint32_t fragment, uint64_t owner, uint16_t day) {
  // 32 bits of the owner are all that the doorkeeper keeps, so they are all that is ever counted.
  const uint32_t owner32 = static_cast<uint32_t>(Mix64(owner ^ 0x9e3779b97f4a7c15ull) >> 32) | 1;
  const uint64_t owner_hash = Mix64(owner32);
  if (const uint32_t found = Find(fragment); found != kNone) {
    Row& row = rows_[found];
    ++row.uses;
    row.last_day = day;
    if (row.registers.Add(owner_hash)) row.owners = row.registers.Estimate();
    return std::max(row.owners, 1u);
  }
  // The doorkeeper: sets of two.
  Door* door = &door_[Mix32(fragment) & door_mask_ & ~1u];
  for (uint32_t w = 0; w < 2; ++w) {
    if (door[w].owner == 0) {
      door[w] = {fragment, owner32};
      return 1;
    }
    if (door[w].fragment == fragment && door[w].owner == owner32) return 1;
    if (door[w].fragment != fragment) continue;
    Row* set = &rows_[SetOf(fragment)];
    Row* place = std::min_element(set, set + kWays, [](const Row& a, const Row& b) {
      const uint32_t a_owners = a.uses == 0 ? 0 : a.owners, b_owners = b.uses == 0 ? 0 : b.owners;
      return a_owners != b_owners ? a_owners < b_owners : a.last_day < b.last_day;
    });
    if (place->uses != 0) counters_.Add(FragmentCounter::kEvicted);
    counters_.Add(FragmentCounter::kAdmitted);
    *place = Row{2, day, day, 2, {}};
    fragment_of_[static_cast<size_t>(place - rows_.data())] = fragment;
    place->registers.Add(owner_hash);
    place->registers.Add(Mix64(door[w].owner));
    door[w] = {};
    return 2;
  }
  door[1] = door[0];
  door[0] = {fragment, owner32};
  counters_.Add(FragmentCounter::kDoorkeeperReplaced);
  return 1;
}

uint32_t FragmentTable::OwnersOf(uint32_t fragment) const {
  const uint32_t row = Find(fragment);
  return row == kNone ? 1 : std::max(rows_[row].owners, 1u);
}

}  // namespace stillwatch::pipeline
