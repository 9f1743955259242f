// One direction of a TCP connection as a byte stream (RFC 9293): puts segments in order, drops what was seen
// before, keeps what came early within bounds, and says how many bytes are lost. Bytes are numbered by a 64-bit
// offset from the first byte seen, so that sequence numbers may wrap. Where copies of the same byte differ, the
// first one seen wins.
//
// Use: Place() a segment; then repeatedly Next() for contiguous bytes, until it gives none. Placing the next
// expected bytes copies nothing: Next() hands out the caller's span.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "dataplane/flow/segment_pool.h"

namespace stillwatch::dataplane {

enum class PlaceResult : uint8_t {
  kInOrder,      // Next() has bytes now
  kEarly,        // kept for later
  kOld,          // nothing new in it
  kOutOfWindow,  // farther ahead than any window; ignored
  kFlowFull,     // this direction holds its limit: SkipGap, then place it again
  kPoolEmpty,    // all directions together hold their limit: the same
};

class Reassembly {
 public:
  // Sets the sequence number of the first byte.
  void Start(uint32_t seq) {
    started_ = true;
    next_seq_ = seq;
  }
  bool started() const { return started_; }
  uint32_t next_seq() const { return next_seq_; }
  uint64_t next_offset() const { return next_offset_; }
  uint64_t lost_bytes() const { return lost_bytes_; }
  uint32_t held_bytes() const { return held_bytes_; }
  bool holds_early() const { return early_ != nullptr; }
  // Offset of the first early byte; only when holds_early().
  uint64_t early_offset() const { return early_->offset; }
  // Offset of a sequence number near the present place.
  int64_t OffsetOf(uint32_t seq) const {
    return static_cast<int64_t>(next_offset_) + static_cast<int32_t>(seq - next_seq_);
  }

  PlaceResult Place(uint32_t seq, Bytes data, uint32_t held_max, SegmentPool* pool);

  // The next contiguous bytes; empty when there are none. They stay valid until Consume.
  Bytes Next() const;
  void Consume(size_t bytes, SegmentPool* pool);

  // Moves over `bytes` that will not come.
  void Skip(uint64_t bytes);
  void Clear(SegmentPool* pool);

 private:
  PlaceResult KeepEarly(uint64_t offset, Bytes data, uint32_t held_max, SegmentPool* pool);

  bool started_ = false;
  uint32_t next_seq_ = 0;
  uint32_t held_bytes_ = 0;
  uint64_t next_offset_ = 0;
  uint64_t lost_bytes_ = 0;
  Bytes direct_;              // in-order bytes of the packet at hand
  Segment* early_ = nullptr;  // sorted, without overlap
};

}  // namespace stillwatch::dataplane
