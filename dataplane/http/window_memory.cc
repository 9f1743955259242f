#include "dataplane/http/window_memory.h"

#include <algorithm>

namespace stillwatch::dataplane {

WindowMemory::WindowMemory(size_t bytes)
    : pages_(std::max<size_t>(bytes / kPageBytes, 1)),
      free_((pages_ + 63) / 64, 0),
      run_(pages_, 0),
      memory_(static_cast<std::byte*>(::operator new(pages_ * kPageBytes, std::align_val_t{kPageBytes}))) {
  Mark(0, pages_, true);
}

void WindowMemory::Mark(size_t first, size_t pages, bool free) {
  for (size_t page = first; page < first + pages;) {
    const size_t bit = page % 64, count = std::min(64 - bit, first + pages - page);
    const uint64_t mask = (count == 64 ? ~0ull : (1ull << count) - 1) << bit;
    free_[page / 64] = free ? free_[page / 64] | mask : free_[page / 64] & ~mask;
    page += count;
  }
}

void* WindowMemory::Take(size_t bytes) {
  const size_t wanted = std::max<size_t>((bytes + kPageBytes - 1) / kPageBytes, 1);
  if (bytes > pages_ * kPageBytes || wanted > pages_ - pages_taken_) return nullptr;
  size_t run = 0;
  bool first_free = true;
  for (size_t page = lowest_free_; page < pages_; ++page) {
    if (run == 0 && page % 64 == 0 && free_[page / 64] == 0) {
      page += 63;
      continue;
    }
    if (run > 0 && page % 64 == 0 && free_[page / 64] == ~0ull && run + 64 < wanted) {
      run += 64;
      page += 63;
      continue;
    }
    if (!Free(page)) {
      run = 0;
      continue;
    }
    if (first_free) lowest_free_ = page;
    first_free = false;
    if (++run < wanted) continue;
    const size_t first = page + 1 - wanted;
    Mark(first, wanted, false);
    run_[first] = static_cast<uint32_t>(wanted);
    pages_taken_ += wanted;
    return memory_.get() + first * kPageBytes;
  }
  return nullptr;
}

void WindowMemory::Give(void* at) {
  const size_t first = static_cast<size_t>(static_cast<std::byte*>(at) - memory_.get()) / kPageBytes;
  Mark(first, run_[first], true);
  pages_taken_ -= run_[first];
  lowest_free_ = std::min(lowest_free_, first);
}

}  // namespace stillwatch::dataplane
