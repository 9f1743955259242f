// Open-addressing table from a 64-bit key to a small value, cleared and reused by each evaluation. Grows
// by doubling; the caller bounds what it puts in. Iteration is not offered: callers keep keys in order.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "base/hash.h"

namespace stillwatch::pipeline {

template <typename Value>
class FlatMap {
 public:
  explicit FlatMap(size_t expected = 64) { Clear(expected); }

  void Clear(size_t expected = 64) {
    slots_.assign(std::bit_ceil(expected * 2 + 16), Slot{});
    count_ = 0;
  }
  void Prefetch(uint64_t key) const { __builtin_prefetch(&slots_[Home(key)], 1); }
  Value* Find(uint64_t key) {
    for (size_t at = Home(key);; at = (at + 1) & (slots_.size() - 1)) {
      if (!slots_[at].used) return nullptr;
      if (slots_[at].key == key) return &slots_[at].value;
    }
  }
  const Value* Find(uint64_t key) const { return const_cast<FlatMap*>(this)->Find(key); }
  // The value of `key`, default-made when it was not there. Valid until the next call.
  Value& operator[](uint64_t key) {
    if ((count_ + 1) * 2 > slots_.size()) Grow();
    for (size_t at = Home(key);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].used && slots_[at].key == key) return slots_[at].value;
      if (slots_[at].used) continue;
      slots_[at] = {key, true, Value{}};
      ++count_;
      return slots_[at].value;
    }
  }
  size_t size() const { return count_; }
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc

 private:
  struct Slot {
    uint64_t key = 0;
    bool used = false;
    Value value{};
  };
  size_t Home(uint64_t key) const { return Mix64(key + 0x9e3779b97f4a7c15ull) & (slots_.size() - 1); }
  void Grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (!slot.used) continue;
      size_t at = Home(slot.key);
      while (slots_[at].used) at = (at + 1) & (slots_.size() - 1);
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_;
  size_t count_ = 0;
};

}  // namespace stillwatch::pipeline
