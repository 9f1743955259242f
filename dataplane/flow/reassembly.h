// One direction of a TCP connection as a byte stream (RFC 9293): puts segments in order, drops what was seen
// before, keeps what came early within bounds, and says how many bytes are lost. Bytes are numbered by a 64-bit
// offset from the first byte of the stream, so that sequence numbers may wrap.
//
// Overlaps: the first copy of a byte wins. Receivers differ here (RFC 9293, 3.10.7.4 leaves it open); a byte that
// differs from a copy still held is counted in conflict_bytes(), and the flow's exchanges are then called ambiguous. Copies of
// bytes that were handed on already are not kept, so they are not compared.
//
// Use: Place() a segment. If it says kInOrder, hand on `*in_order`, Consume() it, then take Next() until it gives
// nothing, and place the segment once more (`again`): in-order bytes are handed out around what was held,
// straight from the caller's span. Memory: only early bytes are copied, into the pool's chunks, within
// `held_max` bytes of chunks.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "dataplane/flow/segment_pool.h"

namespace stillwatch::dataplane {

inline constexpr int64_t kWindowMax = 1ll << 30;  // the largest scaled window (RFC 7323, 2.2)

enum class PlaceResult : uint8_t {
  kInOrder,      // `*in_order` comes next
  kEarly,        // kept for later
  kOld,          // nothing new in it
  kOutOfWindow,  // farther ahead than any window; ignored
  kFlowFull,     // this direction holds its limit: give up a hole, then place it again
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
  uint32_t conflict_bytes() const { return conflict_bytes_; }
  bool holds_early() const { return early_ != nullptr; }
  // Offset of the first early byte; only when holds_early().
  uint64_t early_offset() const { return early_->offset; }
  // Bytes of chunks taken.
  uint64_t held_bytes() const { return uint64_t{segments_} * sizeof(Segment); }
  // Offset of a sequence number near the present place; negative before the stream's first byte.
  int64_t OffsetOf(uint32_t seq) const {
    return static_cast<int64_t>(next_offset_) + static_cast<int32_t>(seq - next_seq_);
  }

  PlaceResult Place(uint32_t seq, Bytes data, uint64_t held_max, SegmentPool* pool, Bytes* in_order,
                    bool again = false);
  // Keeps bytes, wherever they stand from the present place on, as if they had come early. kEarly, kOld, kFlowFull or kPoolEmpty.
  PlaceResult Hold(uint64_t offset, Bytes data, uint64_t held_max, SegmentPool* pool);
  // The stream moves on over bytes that were handed on.
  void Consume(size_t bytes, SegmentPool* pool);

  // Held bytes that come next; empty when there are none. Valid until Consume.
  Bytes Next() const {
    if (early_ == nullptr || early_->offset > next_offset_) return {};
    return early_->bytes().subspan(next_offset_ - early_->offset);
  }

  // Moves over `bytes` that will not come; not past early_offset().
  void Skip(uint64_t bytes);
  // Gives everything held back.
  void Clear(SegmentPool* pool);

 private:
  PlaceResult KeepEarly(uint64_t offset, Bytes data, uint64_t held_max, SegmentPool* pool);
  void Compare(uint64_t offset, Bytes data);

  uint32_t next_seq_ = 0;
  uint32_t conflict_bytes_ = 0;
  uint32_t segments_ = 0;
  bool started_ = false;
  uint64_t next_offset_ = 0;
  Segment* early_ = nullptr;  // by offset, without overlap
  Segment* last_ = nullptr;   // of those
};

}  // namespace stillwatch::dataplane
