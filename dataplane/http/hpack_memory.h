// The memory of all HPACK tables of one worker: a bounded heap out of one reservation, handed to nghttp2 through its
// allocator hook. Small blocks (to 2 KiB) live in 16 KiB pages of one size; a page whose blocks are all free is any
// size's again, so that no mix of sizes wears it out. Larger ones take a block that holds the largest string that
// nghttp2 decodes. Memory never taken is never touched. Empty: null, which nghttp2 reports and the caller counts.
// One thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/http/block_pool.h"

namespace stillwatch::dataplane {

class HpackMemory {
 public:
  explicit HpackMemory(size_t bytes_max);

  void* Allocate(size_t bytes);
  void Free(void* at);
  void* Reallocate(void* at, size_t bytes);
  size_t pages_taken() const { return pages_.taken(); }
  size_t large_taken() const { return medium_.taken() + large_.taken(); }

 private:
  static constexpr size_t kPageBytes = 16u << 10;
  static constexpr size_t kSizes[] = {32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1'024, 2'048};
  static constexpr size_t kClasses = sizeof kSizes / sizeof kSizes[0];
  static constexpr size_t kMediumBytes = 20u << 10, kLargeBytes = 136u << 10;

  struct FreeBlock {
    FreeBlock* next;
  };
  // At the page's beginning; pages with a free block are in their size's list.
  struct Page {
    Page *next, *before;
    FreeBlock* free;
    uint32_t size_class, used, fresh, blocks;
  };

  Page* PageOf(void* at) const;
  size_t SizeOf(void* at) const;
  Page* NewPage(size_t size_class);
  void Link(Page* page);
  void Unlink(Page* page);

  BlockPool pages_, medium_, large_;
  Page* open_[kClasses] = {};
};

}  // namespace stillwatch::dataplane
