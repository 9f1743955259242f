#include "dataplane/flow/reassembly.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

uint32_t CountDifferent(const uint8_t* a, const uint8_t* b, size_t size) {
  if (std::memcmp(a, b, size) == 0) return 0;
  uint32_t different = 0;
  for (size_t i = 0; i < size; ++i) different += a[i] != b[i];
  return different;
}

}  // namespace

PlaceResult Reassembly::Place(uint32_t seq, Bytes data, uint64_t held_max, SegmentPool* pool, Bytes* in_order,
                              bool again) {
  int64_t ahead = static_cast<int32_t>(seq - next_seq_);
  if (MutantIs("reassembly.no_wrap") && seq < next_seq_ && ahead > 0) return PlaceResult::kOld;
  if (ahead < 0) {
    const uint64_t old = static_cast<uint64_t>(-ahead) - (MutantIs("reassembly.trim_short") ? 1 : 0);
    if (old >= data.size()) return PlaceResult::kOld;
    data = data.subspan(old);
    ahead = 0;
  }
  if (data.empty()) return PlaceResult::kOld;
  if (ahead > kWindowMax) return PlaceResult::kOutOfWindow;
  if (ahead > 0) return KeepEarly(next_offset_ + static_cast<uint64_t>(ahead), data, held_max, pool);
  if (early_ != nullptr && next_offset_ + data.size() > early_->offset) {
    if (!again) Compare(next_offset_, data);
    data = data.first(early_->offset - next_offset_);
  }
  *in_order = data;
  return PlaceResult::kInOrder;
}

// Counts the bytes of `data` that differ from held copies.
void Reassembly::Compare(uint64_t offset, Bytes data) {
  const uint64_t end = offset + data.size();
  for (const Segment* held = early_; held != nullptr && held->offset < end; held = held->next) {
    const uint64_t from = std::max(offset, held->offset), to = std::min(end, held->end());
    if (from >= to) continue;
    conflict_bytes_ += CountDifferent(data.data() + (from - offset), held->data + (from - held->offset), to - from);
  }
}

PlaceResult Reassembly::KeepEarly(uint64_t offset, Bytes data, uint64_t held_max, SegmentPool* pool) {
  Segment* before = nullptr;
  Segment* after = early_;
  if (last_ != nullptr && last_->end() <= offset) {  // the usual: behind everything held
    before = last_;
    after = nullptr;
  } else {
    Compare(offset, data);
  }
  bool kept = false;
  while (!data.empty()) {
    while (after != nullptr && after->end() <= offset) {
      before = after;
      after = after->next;
    }
    size_t room = data.size();
    if (after != nullptr) {
      if (after->offset <= offset) {  // held already
        const size_t covered = std::min<uint64_t>(data.size(), after->end() - offset);
        data = data.subspan(covered);
        offset += covered;
        continue;
      }
      room = std::min<uint64_t>(room, after->offset - offset);
    }
    const bool append = before != nullptr && before->end() == offset && before->size < Segment::kBytes;
    if (append) {
      room = std::min<size_t>(room, Segment::kBytes - before->size);
      std::memcpy(before->data + before->size, data.data(), room);
      before->size += static_cast<uint32_t>(room);
    } else {
      room = std::min<size_t>(room, Segment::kBytes);
      // What was kept so far stays; the rest is placed again, or lost and then a hole.
      if (held_bytes() + sizeof(Segment) > held_max) return PlaceResult::kFlowFull;
      Segment* const segment = pool->Take();
      if (segment == nullptr) return PlaceResult::kPoolEmpty;
      ++segments_;
      segment->offset = offset;
      segment->size = static_cast<uint32_t>(room);
      std::memcpy(segment->data, data.data(), room);
      segment->next = after;
      (before != nullptr ? before->next : early_) = segment;
      if (after == nullptr) last_ = segment;
      before = segment;
    }
    kept = true;
    data = data.subspan(room);
    offset += room;
  }
  return kept ? PlaceResult::kEarly : PlaceResult::kOld;
}

PlaceResult Reassembly::Hold(uint64_t offset, Bytes data, uint64_t held_max, SegmentPool* pool) {
  if (offset < next_offset_) {
    data = data.subspan(std::min<uint64_t>(data.size(), next_offset_ - offset));
    offset = next_offset_;
  }
  return data.empty() ? PlaceResult::kOld : KeepEarly(offset, data, held_max, pool);
}

void Reassembly::Consume(size_t bytes, SegmentPool* pool) {
  next_offset_ += bytes;
  next_seq_ += static_cast<uint32_t>(bytes);
  if (early_ == nullptr || early_->end() > next_offset_) return;
  Segment* const done = early_;
  early_ = done->next;
  if (early_ == nullptr) last_ = nullptr;
  --segments_;
  pool->Give(done);
}

void Reassembly::Skip(uint64_t bytes) {
  CHECK(early_ == nullptr || next_offset_ + bytes <= early_->offset);
  next_offset_ += bytes;
  next_seq_ += static_cast<uint32_t>(bytes);
}

void Reassembly::Clear(SegmentPool* pool) {
  while (early_ != nullptr) {
    Segment* const next = early_->next;
    pool->Give(early_);
    early_ = next;
  }
  last_ = nullptr;
  segments_ = 0;
}

}  // namespace stillwatch::dataplane
