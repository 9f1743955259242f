#include "dataplane/http/hpack_memory.h"

#include <algorithm>
#include <cstring>

namespace stillwatch::dataplane {

// Tables that hold long strings are few: an eighth is for blocks over 2 KiB, half of it for the largest.
HpackMemory::HpackMemory(size_t bytes_max)
    : pages_(kPageBytes, std::max<size_t>(bytes_max / 8 * 7 / kPageBytes, 4)),
      medium_(kMediumBytes, std::max<size_t>(bytes_max / 16 / kMediumBytes, 2)),
      large_(kLargeBytes, std::max<size_t>(bytes_max / 16 / kLargeBytes, 2)) {}

HpackMemory::Page* HpackMemory::PageOf(void* at) const {
  return reinterpret_cast<Page*>(pages_.BlockOf(at));
}

size_t HpackMemory::SizeOf(void* at) const {
  if (pages_.Owns(at)) return kSizes[PageOf(at)->size_class];
  return medium_.Owns(at) ? kMediumBytes : kLargeBytes;
}

void HpackMemory::Link(Page* page) {
  Page*& first = open_[page->size_class];
  page->before = nullptr;
  page->next = first;
  if (first != nullptr) first->before = page;
  first = page;
}

void HpackMemory::Unlink(Page* page) {
  (page->before == nullptr ? open_[page->size_class] : page->before->next) = page->next;
  if (page->next != nullptr) page->next->before = page->before;
}

HpackMemory::Page* HpackMemory::NewPage(size_t size_class) {
  void* const block = pages_.Take();
  if (block == nullptr) return nullptr;
  auto* const page = new (block) Page{};
  page->size_class = static_cast<uint32_t>(size_class);
  page->blocks = static_cast<uint32_t>((kPageBytes - 64) / kSizes[size_class]);
  Link(page);
  return page;
}

void* HpackMemory::Allocate(size_t bytes) {
  if (bytes > kSizes[kClasses - 1]) {
    if (bytes > kLargeBytes) return nullptr;
    void* const block = bytes <= kMediumBytes ? medium_.Take() : nullptr;
    return block != nullptr ? block : large_.Take();
  }
  const size_t size_class = static_cast<size_t>(std::lower_bound(kSizes, kSizes + kClasses, bytes) - kSizes);
  Page* page = open_[size_class];
  if (page == nullptr) page = NewPage(size_class);
  if (page == nullptr) return nullptr;
  void* at = page->free;
  if (at != nullptr) {
    page->free = page->free->next;
  } else {
    at = reinterpret_cast<std::byte*>(page) + 64 + page->fresh++ * kSizes[size_class];
  }
  if (++page->used == page->blocks) Unlink(page);
  return at;
}

void HpackMemory::Free(void* at) {
  if (at == nullptr) return;
  if (!pages_.Owns(at)) return (medium_.Owns(at) ? medium_ : large_).Give(at);
  Page* const page = PageOf(at);
  if (page->used == page->blocks) Link(page);
  page->free = new (at) FreeBlock{page->free};
  if (--page->used > 0) return;
  Unlink(page);
  pages_.Give(page);
}

void* HpackMemory::Reallocate(void* at, size_t bytes) {
  if (at == nullptr) return Allocate(bytes);
  const size_t size = SizeOf(at);
  if (bytes <= size) return at;
  void* const grown = Allocate(bytes);
  if (grown == nullptr) return nullptr;
  std::memcpy(grown, at, size);
  Free(at);
  return grown;
}

}  // namespace stillwatch::dataplane
