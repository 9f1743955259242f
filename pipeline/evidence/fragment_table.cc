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

uint32_t SetIndex(uint32_t fragment) { return Mix32(fragment ^ 0x5bd1e995u); }

}  // namespace

void OwnerRegisters::Add(uint64_t owner_hash) {
  const uint32_t index = owner_hash & (kRegisters - 1);
  const uint64_t rest = owner_hash >> 6 | 1ull << 58;
  const uint64_t rank = std::min<uint64_t>(static_cast<uint64_t>(std::countr_zero(rest)) + 1, 15);
  uint64_t& word = words[index / 16];
  const uint32_t shift = index % 16 * 4;
  if ((word >> shift & 15) < rank) word = (word & ~(15ull << shift)) | rank << shift;
}

uint32_t OwnerRegisters::Estimate() const {
  uint64_t sum = 0;
  uint32_t empty = 0;
  for (uint64_t word : words) {
    for (int i = 0; i < 16; ++i, word >>= 4) {
      sum += 1u << (15 - (word & 15));
      empty += (word & 15) == 0;
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
      door_(std::bit_ceil(std::max(doorkeeper_rows, 64u))),
      row_sets_mask_(static_cast<uint32_t>(rows_.size() / kWays - 1)),
      door_mask_(static_cast<uint32_t>(door_.size() - 1)) {}

FragmentTable::Row* FragmentTable::SetOf(uint32_t fragment) {
  return &rows_[(SetIndex(fragment) & row_sets_mask_) * kWays];
}

const FragmentTable::Row* FragmentTable::Find(uint32_t fragment) const {
  const Row* set = const_cast<FragmentTable*>(this)->SetOf(fragment);
  for (uint32_t w = 0; w < kWays; ++w) {
    if (set[w].uses != 0 && set[w].fragment == fragment) return &set[w];
  }
  return nullptr;
}

void FragmentTable::Prefetch(uint32_t fragment) const {
  const Row* set = const_cast<FragmentTable*>(this)->SetOf(fragment);
  for (uint32_t w = 0; w < kWays; ++w) __builtin_prefetch(set + w);
  __builtin_prefetch(&door_[Mix32(fragment) & door_mask_ & ~1u]);
}

uint32_t FragmentTable::Note(uint32_t fragment, uint64_t owner, uint16_t day) {
  // 32 bits of the owner are all that the doorkeeper keeps, so they are all that is ever counted.
  const uint32_t owner32 = static_cast<uint32_t>(Mix64(owner ^ 0x9e3779b97f4a7c15ull) >> 32) | 1;
  const uint64_t owner_hash = Mix64(owner32);
  if (Row* row = const_cast<Row*>(Find(fragment))) {
    ++row->uses;
    row->last_day = day;
    const OwnerRegisters before = row->registers;
    row->registers.Add(owner_hash);
    if (!std::equal(before.words, before.words + 4, row->registers.words)) {
      row->owners = row->registers.Estimate();
    }
    return std::max(row->owners, 1u);
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
    Row* set = SetOf(fragment);
    Row* place = std::min_element(set, set + kWays, [](const Row& a, const Row& b) {
      const uint32_t a_owners = a.uses == 0 ? 0 : a.owners, b_owners = b.uses == 0 ? 0 : b.owners;
      return a_owners != b_owners ? a_owners < b_owners : a.last_day < b.last_day;
    });
    if (place->uses != 0) counters_.Add(FragmentCounter::kEvicted);
    counters_.Add(FragmentCounter::kAdmitted);
    *place = Row{fragment, 2, day, day, 2, {}};
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
  const Row* row = Find(fragment);
  return row == nullptr ? 1 : std::max(row->owners, 1u);
}

}  // namespace stillwatch::pipeline
