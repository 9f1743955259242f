// From a fragment to a small number, for the inner loops of an evaluation: eight bytes a slot, and one bit
// in front that answers for most fragments (they are in no core) without touching the slots. Built once
// from a list of distinct fragments, then only read.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "base/hash.h"

namespace stillwatch::pipeline {

class FragmentIndex {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  FragmentIndex() { Build({}); }

  // fragments[i] gets the value i.
  void Build(std::span<const uint32_t> fragments) {
    slots_.assign(std::bit_ceil(fragments.size() * 2 + 2), Slot{});
    bits_.assign(std::bit_ceil(fragments.size() / 4 + 1), 0);
    bits_mask_ = static_cast<uint32_t>(bits_.size() - 1);
    for (uint32_t i = 0; i < fragments.size(); ++i) {
      const uint32_t hash = Mix32(fragments[i]);
      bits_[hash >> 6 & bits_mask_] |= 1ull << (hash & 63);
      size_t at = hash & (slots_.size() - 1);
      while (slots_[at].value != kNone) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = {fragments[i], i};
    }
  }
  // Bit i: fragment i of at most 32 may be in the index. No branches: most are not.
  uint32_t MaybeIn(std::span<const uint32_t> fragments) const {
    uint32_t maybe = 0;
    for (size_t i = 0; i < fragments.size(); ++i) {
      const uint32_t hash = Mix32(fragments[i]);
      maybe |= static_cast<uint32_t>(bits_[hash >> 6 & bits_mask_] >> (hash & 63) & 1) << i;
    }
    return maybe;
  }
  uint32_t Find(uint32_t fragment) const {
    const uint32_t hash = Mix32(fragment);
    if (!(bits_[hash >> 6 & bits_mask_] >> (hash & 63) & 1)) return kNone;
    for (size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].value == kNone || slots_[at].fragment == fragment) return slots_[at].value;
    }
  }

  // In no order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (const Slot& slot : slots_) {
      if (slot.value != kNone) visit(slot.fragment, slot.value);
    }
  }

 private:
  struct Slot {
    uint32_t fragment = 0;
    uint32_t value = kNone;
  };
  std::vector<Slot> slots_;
  std::vector<uint64_t> bits_;
  uint32_t bits_mask_ = 0;
};

}  // namespace stillwatch::pipeline
