// Bounded single-producer single-consumer ring of variable-length records, in bytes. A record is
// contiguous (a record that would wrap starts again at the front), 8-aligned, at most half the capacity.
// Producer: Reserve(size) -> span or empty when full; Commit(). Consumer: Front() -> span or empty;
// PopFront(). Neither side waits.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "base/check.h"

namespace stillwatch {

class SpscByteRing {
 public:
  explicit SpscByteRing(size_t capacity_bytes)
      : capacity_(capacity_bytes), data_(std::make_unique<Word[]>(capacity_bytes / 8)) {
    CHECK(capacity_bytes >= 64 && std::has_single_bit(capacity_bytes));
  }

  // The largest record that fits an empty ring.
  size_t record_max() const { return capacity_ / 2 - 16; }

  // Producer. Empty span when there is no room now (or ever: size > record_max()).
  std::span<uint8_t> Reserve(size_t size) {
    if (size > record_max()) return {};
    const uint64_t need = 8 + RoundUp(size);
    uint64_t tail = tail_.load(std::memory_order_relaxed);
    const uint64_t at = tail & (capacity_ - 1);
    const uint64_t skip = at + need > capacity_ ? capacity_ - at : 0;
    if (tail + skip + need - head_seen_ > capacity_) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail + skip + need - head_seen_ > capacity_) return {};
    }
    if (skip != 0) {
      const uint64_t mark = kSkip;
      std::memcpy(At(tail), &mark, 8);
      tail += skip;
    }
    const uint64_t length = size;
    std::memcpy(At(tail), &length, 8);
    pending_tail_ = tail + need;
    return {At(tail) + 8, size};
  }
  // Producer: publishes what Reserve gave.
  void Commit() { tail_.store(pending_tail_, std::memory_order_release); }

  // Consumer. The oldest record, the consumer's own until PopFront; empty when there is none.
  std::span<uint8_t> Front() {
    uint64_t head = head_.load(std::memory_order_relaxed);
    for (;;) {
      if (head == tail_seen_) {
        tail_seen_ = tail_.load(std::memory_order_acquire);
        if (head == tail_seen_) return {};
      }
      uint64_t length;
      std::memcpy(&length, At(head), 8);
      if (length != kSkip) {
        front_end_ = head + 8 + RoundUp(length);
        return {At(head) + 8, length};
      }
      head += capacity_ - (head & (capacity_ - 1));
    }
  }
  void PopFront() { head_.store(front_end_, std::memory_order_release); }

  // Bytes in use, headers and padding included.
  size_t used_bytes() const {
    return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_acquire);
  }
  size_t capacity_bytes() const { return capacity_; }

 private:
  struct alignas(8) Word {
    uint8_t bytes[8];
  };
  static constexpr uint64_t kSkip = ~0ull;
  static constexpr uint64_t RoundUp(uint64_t n) { return (n + 7) & ~7ull; }
  uint8_t* At(uint64_t position) { return data_[(position & (capacity_ - 1)) / 8].bytes; }

  const uint64_t capacity_;
  std::unique_ptr<Word[]> data_;
  alignas(64) std::atomic<uint64_t> tail_{0};
  uint64_t head_seen_ = 0;
  uint64_t pending_tail_ = 0;
  alignas(64) std::atomic<uint64_t> head_{0};
  uint64_t tail_seen_ = 0;
  uint64_t front_end_ = 0;
};

}  // namespace stillwatch
