// A large zeroed block of memory, taken once at start and backed by huge pages where the system
// gives them (random access over hundreds of megabytes misses the TLB on every probe otherwise).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace stillwatch::gpu {

class MemoryBlock {
 public:
  MemoryBlock() = default;
  MemoryBlock(MemoryBlock&& other) noexcept { *this = std::move(other); }
  MemoryBlock& operator=(MemoryBlock&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MemoryBlock();

  // All pages are touched before it returns; `what` goes into the message when there is no memory.
  static Result<MemoryBlock> Take(size_t bytes, std::string_view what);

  uint8_t* data() { return data_; }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace stillwatch::gpu
