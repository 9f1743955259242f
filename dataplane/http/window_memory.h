// Memory of br and zstd decoders, whose windows may be 256 times as large as gzip's: pages out of one reservation
// made at start, the lowest free run first. Taking looks at most at one bit a page; nothing calls the allocator,
// and pages never taken are never touched. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

namespace stillwatch::dataplane {

class WindowMemory {
 public:
  static constexpr size_t kPageBytes = 4u << 10;

  explicit WindowMemory(size_t bytes);

  // Uninitialised, aligned to a page; null when no run of free pages is long enough.
  void* Take(size_t bytes);
  // A place that Take gave.
  void Give(void* at);

  size_t bytes_taken() const { return pages_taken_ * kPageBytes; }

 private:
  struct Unmap {
    void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t{kPageBytes}); }
  };

  bool Free(size_t page) const { return (free_[page / 64] >> page % 64 & 1) != 0; }
  void Mark(size_t first, size_t pages, bool free);

  const size_t pages_;
  size_t pages_taken_ = 0;
  size_t lowest_free_ = 0;             // no page below it is free
  std::vector<uint64_t> free_;         // a bit a page
  std::vector<uint32_t> run_;          // of a taken run's first page: how many pages
  std::unique_ptr<std::byte, Unmap> memory_;
};

}  // namespace stillwatch::dataplane
