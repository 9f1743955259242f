// Out-of-order TCP bytes wait here: fixed chunks from one slab, bounded in all. Owned by one worker.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "base/bytes.h"

namespace stillwatch::dataplane {

// One piece of a direction's bytes that came too early. `offset` counts from the direction's first byte.
struct Segment {
  static constexpr uint32_t kBytes = 2024;
  Segment* next;
  uint64_t offset;
  uint32_t size;
  uint32_t reserved;
  uint8_t data[kBytes];
  uint64_t end() const { return offset + size; }
};
static_assert(sizeof(Segment) == 2048);

class SegmentPool {
 public:
  explicit SegmentPool(uint64_t bytes_max) : left_(bytes_max / sizeof(Segment)) {}
  ~SegmentPool() {
    while (free_ != nullptr) {
      Segment* next = free_->next;
      delete free_;
      free_ = next;
    }
  }
  SegmentPool(const SegmentPool&) = delete;
  SegmentPool& operator=(const SegmentPool&) = delete;

  // nullptr when the bound is reached.
  Segment* Take() {
    if (free_ != nullptr) {
      Segment* segment = free_;
      free_ = segment->next;
      return segment;
    }
    if (left_ == 0) return nullptr;
    --left_;
    return new Segment;
  }
  void Give(Segment* segment) {
    segment->next = free_;
    free_ = segment;
  }

 private:
  uint64_t left_;
  Segment* free_ = nullptr;
};

}  // namespace stillwatch::dataplane
