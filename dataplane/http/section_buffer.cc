#include "dataplane/http/section_buffer.h"

#include <algorithm>
#include <cstring>

namespace stillwatch::dataplane {

bool SectionBuffer::Reserve(size_t bytes) {
  if (bytes <= capacity_) return true;
  const bool large = bytes > kSmallHeadBytes;
  auto* const block =
      static_cast<uint8_t*>((large ? core_->large_heads : core_->small_heads).Take());
  if (block == nullptr) return false;
  if (held_ > 0) std::memcpy(block, block_, held_);
  if (block_ != nullptr) core_->small_heads.Give(block_);
  block_ = block;
  capacity_ = large ? core_->large_heads.block_bytes() : kSmallHeadBytes;
  return true;
}

bool SectionBuffer::Keep(Bytes bytes) {
  if (!Reserve(held_ + bytes.size())) return false;
  if (!bytes.empty()) std::memcpy(block_ + held_, bytes.data(), bytes.size());
  held_ += bytes.size();
  return true;
}

void SectionBuffer::DropFront(size_t bytes) {
  held_ -= bytes;
  std::memmove(block_, block_ + bytes, held_);
  scanned_ = 0;
}

void SectionBuffer::Clear() {
  if (block_ != nullptr) {
    (capacity_ > kSmallHeadBytes ? core_->large_heads : core_->small_heads).Give(block_);
  }
  block_ = nullptr;
  capacity_ = held_ = scanned_ = 0;
  section_ = {};
}

SectionBuffer::State SectionBuffer::Collect(Bytes* data, bool empty_first) {
  const size_t max = core_->limits.header_bytes_max;
  if (held_ == 0) {
    const size_t end = FindSectionEnd(*data, empty_first, &scanned_);
    if (end > max || (end == 0 && data->size() > max)) {
      *data = data->subspan(max);
      return State::kTooLarge;
    }
    if (end > 0) {
      section_ = data->first(end);
      *data = data->subspan(end);
      return State::kWhole;
    }
    if (!Keep(*data)) return State::kNoBlock;
    *data = {};
    return State::kNeedMore;
  }
  // What fits of the input goes behind what is held; the section's end may be in there.
  const size_t before = held_;
  const size_t piece = std::min(data->size(), max - held_);
  if (!Keep(data->first(piece))) return State::kNoBlock;
  const size_t end = FindSectionEnd(held(), empty_first, &scanned_);
  if (end == 0) {
    *data = data->subspan(piece);
    return data->empty() ? State::kNeedMore : State::kTooLarge;
  }
  section_ = {block_, end};
  *data = data->subspan(end - before);
  return State::kWhole;
}

}  // namespace stillwatch::dataplane
