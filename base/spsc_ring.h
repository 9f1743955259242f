// Bounded single-producer single-consumer ring of small trivially copyable items. One thread pushes,
// one thread pops; neither ever waits. Capacity is a power of two. Each side caches the other's index,
// so that the shared line moves only when the cached view runs out (after E. Rigtorp's SPSCQueue).
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>

#include "base/check.h"

namespace stillwatch {

template <typename T>
class SpscRing {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit SpscRing(size_t capacity)
      : mask_(capacity - 1), items_(std::make_unique<T[]>(capacity)) {
    CHECK(capacity > 0 && std::has_single_bit(capacity));
  }

  // Producer. False when full: the caller counts the drop.
  bool Push(const T& item) {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ > mask_) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail - head_seen_ > mask_) return false;
    }
    items_[tail & mask_] = item;
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // Consumer. Takes up to out.size() items, oldest first; returns how many.
  size_t Pop(std::span<T> out) {
    const uint64_t head = head_.load(std::memory_order_relaxed);
    if (tail_seen_ - head < out.size()) tail_seen_ = tail_.load(std::memory_order_acquire);
    const size_t count = std::min<size_t>(out.size(), tail_seen_ - head);
    for (size_t i = 0; i < count; ++i) out[i] = items_[(head + i) & mask_];
    if (count != 0) head_.store(head + count, std::memory_order_release);
    return count;
  }

  // Either side; exact only for the side that asks about its own direction.
  size_t size() const {
    return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_acquire);
  }
  size_t capacity() const { return mask_ + 1; }

 private:
  const uint64_t mask_;
  std::unique_ptr<T[]> items_;
  alignas(64) std::atomic<uint64_t> tail_{0};
  uint64_t head_seen_ = 0;  // producer's view of head_
  alignas(64) std::atomic<uint64_t> head_{0};
  uint64_t tail_seen_ = 0;  // consumer's view of tail_
};

}  // namespace stillwatch
