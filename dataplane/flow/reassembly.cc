#include "dataplane/flow/reassembly.h"

#include <algorithm>

#include "base/check.h"

namespace stillwatch::dataplane {

namespace {
constexpr int64_t kWindowMax = 1ll << 30;  // the largest scaled window (RFC 7323, section 2.2)
}

PlaceResult Reassembly::Place(uint32_t seq, Bytes data, uint32_t held_max, SegmentPool* pool) {
  CHECK(direct_.empty());
  int64_t ahead = static_cast<int32_t>(seq - next_seq_);
  if (ahead < 0) {
    const uint64_t old = static_cast<uint64_t>(-ahead);
    if (old >= data.size()) return PlaceResult::kOld;
    data = data.subspan(old);
    ahead = 0;
  }
  if (ahead > kWindowMax) return PlaceResult::kOutOfWindow;
  if (ahead > 0) return KeepEarly(next_offset_ + static_cast<uint64_t>(ahead), data, held_max, pool);
  // What is held already was seen first: hand out only up to it, keep the rest if it reaches behind.
  if (early_ != nullptr && next_offset_ + data.size() > early_->offset) {
    const size_t until = early_->offset - next_offset_;
    const PlaceResult rest = KeepEarly(next_offset_ + until, data.subspan(until), held_max, pool);
    data = data.first(until);
    if (data.empty()) return rest == PlaceResult::kEarly ? PlaceResult::kInOrder : rest;
  }
  direct_ = data;
  return PlaceResult::kInOrder;
}

PlaceResult Reassembly::KeepEarly(uint64_t offset, Bytes data, uint32_t held_max, SegmentPool* pool) {
  bool kept = false;
  Segment** link = &early_;
  while (!data.empty()) {
    while (*link != nullptr && (*link)->end() <= offset) link = &(*link)->next;
    size_t room = data.size();
    if (*link != nullptr) {
      if ((*link)->offset <= offset) {  // covered by a first copy
        const size_t covered = std::min<uint64_t>(data.size(), (*link)->end() - offset);
        data = data.subspan(covered);
        offset += covered;
        continue;
      }
      room = std::min<uint64_t>(room, (*link)->offset - offset);
    }
    room = std::min<size_t>(room, Segment::kBytes);
    if (held_bytes_ + room > held_max) return kept ? PlaceResult::kEarly : PlaceResult::kFlowFull;
    Segment* segment = pool->Take();
    if (segment == nullptr) return kept ? PlaceResult::kEarly : PlaceResult::kPoolEmpty;
    segment->offset = offset;
    segment->size = static_cast<uint32_t>(room);
    std::memcpy(segment->data, data.data(), room);
    segment->next = *link;
    *link = segment;
    held_bytes_ += segment->size;
    kept = true;
    data = data.subspan(room);
    offset += room;
  }
  return kept ? PlaceResult::kEarly : PlaceResult::kOld;
}

Bytes Reassembly::Next() const {
  if (!direct_.empty()) return direct_;
  if (early_ != nullptr && early_->offset <= next_offset_) {
    const size_t used = next_offset_ - early_->offset;
    return {early_->data + used, early_->size - used};
  }
  return {};
}

void Reassembly::Consume(size_t bytes, SegmentPool* pool) {
  next_offset_ += bytes;
  next_seq_ += static_cast<uint32_t>(bytes);
  if (!direct_.empty()) {
    direct_ = direct_.subspan(bytes);
    return;
  }
  if (early_ != nullptr && early_->end() <= next_offset_) {
    Segment* done = early_;
    early_ = done->next;
    held_bytes_ -= done->size;
    pool->Give(done);
  }
}

void Reassembly::Skip(uint64_t bytes) {
  next_offset_ += bytes;
  next_seq_ += static_cast<uint32_t>(bytes);
  lost_bytes_ += bytes;
}

void Reassembly::Clear(SegmentPool* pool) {
  while (early_ != nullptr) {
    Segment* next = early_->next;
    pool->Give(early_);
    early_ = next;
  }
  held_bytes_ = 0;
  direct_ = {};
}

}  // namespace stillwatch::dataplane
