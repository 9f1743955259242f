// Out-of-order TCP bytes wait here, as do first bytes that are too few to tell a protocol: fixed chunks of 2 KiB
// from one reservation, bounded in all. Owned by one worker.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "dataplane/flow/slab.h"

namespace stillwatch::dataplane {

// One piece of a direction's bytes. `offset` counts from the direction's first byte.
struct Segment {
  static constexpr uint32_t kBytes = 2024;
  Segment* next;
  uint64_t offset;
  uint32_t size;
  uint32_t mark;  // its owner's
  uint8_t data[kBytes];

  uint64_t end() const { return offset + size; }
  Bytes bytes() const { return {data, size}; }
};
static_assert(sizeof(Segment) == 2048);

class SegmentPool {
 public:
  explicit SegmentPool(uint64_t bytes_max) : slab_(bytes_max / sizeof(Segment)) {}

  // Header fields are for the caller to fill; nullptr when the bound is reached.
  Segment* Take() { return slab_.TakeRaw(); }
  void Give(Segment* segment) { slab_.Give(segment); }
  uint64_t bytes_taken() const { return slab_.taken() * sizeof(Segment); }

 private:
  Slab<Segment> slab_;
};

}  // namespace stillwatch::dataplane
