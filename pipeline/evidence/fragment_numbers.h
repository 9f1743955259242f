// Small tables that the walks over all remembered requests of one look share: what is too rare to matter is kept out by
// counters, the rest is numbered densely. Batch thread; made and dropped within a look.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "base/hash.h"

namespace stillwatch::pipeline {

// What is used too seldom to matter stays out of the tables: small counters, shared by hash. They can only
// count too much.
class SmallCounters {
 public:
  explicit SmallCounters(uint64_t expected)
      : counts_(std::bit_ceil(std::clamp<uint64_t>(expected * 2, 1u << 12, 1u << 23))), mask_(counts_.size() - 1) {}
  void Prefetch(uint64_t hash) const { __builtin_prefetch(&counts_[hash & mask_], 1); }
  void Add(uint64_t hash) {
    uint8_t& count = counts_[hash & mask_];
    count = static_cast<uint8_t>(count + (count != 255));
  }
  bool Reaches(uint64_t hash, uint64_t least) const { return counts_[hash & mask_] >= std::min<uint64_t>(least, 255); }

 private:
  std::vector<uint8_t> counts_;
  const uint64_t mask_;
};

// Numbers fragments in order of first appearance: eight bytes a slot.
class FragmentNumbers {
 public:
  FragmentNumbers() { Grow(); }
  void Prefetch(uint32_t hash) const { __builtin_prefetch(&slots_[hash & (slots_.size() - 1)], 1); }
  // Numbers it when it is new.
  uint32_t NumberOf(uint32_t fragment) {
    if ((fragments_.size() + 1) * 2 > slots_.size()) Grow();
    for (size_t at = Mix32(fragment) & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].number == UINT32_MAX) {
        slots_[at] = {fragment, static_cast<uint32_t>(fragments_.size())};
        fragments_.push_back(fragment);
        return slots_[at].number;
      }
      if (slots_[at].fragment == fragment) return slots_[at].number;
    }
  }
  // UINT32_MAX: not numbered.
  uint32_t Find(uint32_t fragment) const {
    for (size_t at = Mix32(fragment) & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].number == UINT32_MAX || slots_[at].fragment == fragment) return slots_[at].number;
    }
  }
  const std::vector<uint32_t>& fragments() const { return fragments_; }

 private:
  struct Slot {
    uint32_t fragment = 0;
    uint32_t number = UINT32_MAX;
  };
  void Grow() {
    std::vector<Slot> old(std::max<size_t>(slots_.size() * 4, 4096));
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.number == UINT32_MAX) continue;
      size_t at = Mix32(slot.fragment) & (slots_.size() - 1);
      while (slots_[at].number != UINT32_MAX) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::vector<uint32_t> fragments_;
};

}  // namespace stillwatch::pipeline
