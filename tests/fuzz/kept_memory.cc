// Large blocks (pools, tables, buffers) come back to the program, not to the system: a target makes all that it plays with for each input,
// and a sanitizer's allocator maps large blocks anew and faults in their shadow, page by page. That took up to four fifths of the time.
//
// A block reads as zeros each time it is taken, so no input sees what another left. Under a sanitizer it can't be touched once it is given
// back, nor beside its ends; the block that was given back first is taken first, so that late uses still show. What is lost is that
// `new` ended by `free` goes unseen here. For one thread; libFuzzer's second allocates nothing.
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/fuzz/target.h"

#if defined(__SANITIZE_ADDRESS__)
#define SW_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SW_ASAN 1
#endif
#endif
#ifdef SW_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) static_cast<void>(at)
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) static_cast<void>(at)
#endif

namespace stillwatch::fuzz {
namespace {

// Of smaller blocks a sanitizer keeps memory and shadow itself. To `kWipedTo` zeros are written; larger blocks are mostly untouched.
constexpr size_t kPage = 4'096, kKeptFrom = 32u << 10, kWipedTo = 128u << 10, kArenaBytes = 4ull << 30, kBlocksMax = 1'024;

struct Block {
  std::byte* memory;
  size_t room;        // from its beginning to the page that can't be touched
  size_t given_back;  // when, by a count; 0: taken
};

// In steps of an eighth, so that a buffer that grows finds a block, too.
size_t RoomFor(size_t bytes) {
  const size_t step = std::max(std::bit_floor(bytes) / 8, kPage);
  return (bytes + step - 1) / step * step;
}

class Arena {
 public:
  // nullptr: all is taken.
  void* Take(size_t bytes) {
    const size_t room = RoomFor(bytes);
    Block* oldest = nullptr;
    for (Block& block : std::span(blocks_, count_)) {
      if (block.room != room || block.given_back == 0) continue;
      if (oldest == nullptr || block.given_back < oldest->given_back) oldest = &block;
    }
    if (oldest == nullptr) oldest = Map(room);
    if (oldest == nullptr) return nullptr;
    oldest->given_back = 0;
    ASAN_UNPOISON_MEMORY_REGION(oldest->memory, bytes);
    return oldest->memory;
  }
  // False when it is not the arena's.
  bool Give(void* at) {
    if (begin_ == nullptr || at < begin_ || at >= begin_ + kArenaBytes) return false;
    Block* block = blocks_;
    while (block->memory != at) Require(++block < blocks_ + count_);
    Require(block->given_back == 0);
    block->given_back = ++gives_;
    if (block->room > kWipedTo) {
      Require(madvise(at, block->room, MADV_DONTNEED) == 0);
    } else {
      ASAN_UNPOISON_MEMORY_REGION(at, block->room);
      std::memset(at, 0, block->room);
    }
    ASAN_POISON_MEMORY_REGION(at, block->room);
    return true;
  }

 private:
  // A page that can't be touched stands before each block, and behind the last.
  Block* Map(size_t room) {
    if (begin_ == nullptr) {
      void* const all = mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      Require(all != MAP_FAILED);
      begin_ = static_cast<std::byte*>(all);
    }
    if (count_ == kBlocksMax || used_ + room + 2 * kPage > kArenaBytes) return nullptr;
    std::byte* const memory = begin_ + used_ + kPage;
    used_ += kPage + room;
    ASAN_POISON_MEMORY_REGION(memory - kPage, room + 2 * kPage);
#ifdef SW_ASAN
    __lsan_register_root_region(memory, room);
#endif
    blocks_[count_] = {memory, room, 0};
    return &blocks_[count_++];
  }

  std::byte* begin_ = nullptr;
  size_t used_ = 0, count_ = 0, gives_ = 0;
  Block blocks_[kBlocksMax] = {};
};

constinit Arena arena;

void* Take(size_t bytes, size_t align) {
  void* block = bytes >= kKeptFrom && align <= kPage ? arena.Take(bytes) : nullptr;
  if (block == nullptr) block = std::aligned_alloc(align, (std::max<size_t>(bytes, 1) + align - 1) / align * align);
  Require(block != nullptr);
  return block;
}
void Give(void* block) {
  if (block != nullptr && !arena.Give(block)) std::free(block);
}

}  // namespace
}  // namespace stillwatch::fuzz

// All of them, since a block may come from one and go by another.
using stillwatch::fuzz::Give, stillwatch::fuzz::Take;
using Align = std::align_val_t;
using NoThrow = const std::nothrow_t&;
constexpr size_t kAlign = alignof(std::max_align_t);
void* operator new(size_t bytes) { return Take(bytes, kAlign); }
void* operator new[](size_t bytes) { return Take(bytes, kAlign); }
void* operator new(size_t bytes, NoThrow) noexcept { return Take(bytes, kAlign); }
void* operator new[](size_t bytes, NoThrow) noexcept { return Take(bytes, kAlign); }
void* operator new(size_t bytes, Align align) { return Take(bytes, static_cast<size_t>(align)); }
void* operator new[](size_t bytes, Align align) { return Take(bytes, static_cast<size_t>(align)); }
void* operator new(size_t bytes, Align align, NoThrow) noexcept { return Take(bytes, static_cast<size_t>(align)); }
void* operator new[](size_t bytes, Align align, NoThrow) noexcept { return Take(bytes, static_cast<size_t>(align)); }
void operator delete(void* block) noexcept { Give(block); }
void operator delete[](void* block) noexcept { Give(block); }
void operator delete(void* block, size_t) noexcept { Give(block); }
void operator delete[](void* block, size_t) noexcept { Give(block); }
void operator delete(void* block, NoThrow) noexcept { Give(block); }
void operator delete[](void* block, NoThrow) noexcept { Give(block); }
void operator delete(void* block, Align) noexcept { Give(block); }
void operator delete[](void* block, Align) noexcept { Give(block); }
void operator delete(void* block, size_t, Align) noexcept { Give(block); }
void operator delete[](void* block, size_t, Align) noexcept { Give(block); }
void operator delete(void* block, Align, NoThrow) noexcept { Give(block); }
void operator delete[](void* block, Align, NoThrow) noexcept { Give(block); }
