// Collects a head or trailer section: in place while it lies in one piece of input, else copied into a block
// that grows once. Owned by a MessageReader.
#pragma once

#include "base/bytes.h"
#include "dataplane/http/http_core.h"

namespace stillwatch::dataplane {

class SectionBuffer {
 public:
  explicit SectionBuffer(HttpCore* core) : core_(core) {}
  ~SectionBuffer() { Clear(); }
  SectionBuffer(const SectionBuffer&) = delete;
  SectionBuffer& operator=(const SectionBuffer&) = delete;

  enum class State : uint8_t { kNeedMore, kWhole, kTooLarge, kNoBlock };
  // Looks for the end of the section in what is held and `*data`. At kWhole `section()` is the section, valid
  // until Clear() and while the input is, and `*data` begins behind it. At kNeedMore all input was taken. At
  // kTooLarge the first header_bytes_max bytes of the section were taken.
  State Collect(Bytes* data, bool empty_first);
  Bytes section() const { return section_; }

  // What is known so far: held bytes, or the piece of input if nothing is held yet.
  Bytes held() const { return {block_, held_}; }
  bool empty() const { return held_ == 0; }
  // Takes `bytes` in without searching (a candidate found before). False: no block.
  bool Keep(Bytes bytes);
  // Forgets the first `bytes` of what is held.
  void DropFront(size_t bytes);
  void Clear();

 private:
  bool Reserve(size_t bytes);

  HttpCore* const core_;
  uint8_t* block_ = nullptr;
  size_t capacity_ = 0, held_ = 0, scanned_ = 0;
  Bytes section_;
};

}  // namespace stillwatch::dataplane
