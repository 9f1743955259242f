#include "gpu/memory_block.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace stillwatch::gpu {

MemoryBlock::~MemoryBlock() {
  if (data_ != nullptr) munmap(data_, size_);
}

Result<MemoryBlock> MemoryBlock::Take(size_t bytes, std::string_view what) {
  constexpr size_t kPageBytes = 4096;
  MemoryBlock block;
  const size_t size = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return Error{"no memory for " + std::string(what) + " (" + std::to_string(size) +
                 " bytes): " + std::strerror(errno) + "; make it smaller or free memory"};
  }
  block.data_ = static_cast<uint8_t*>(memory);
  block.size_ = size;
  madvise(memory, size, MADV_HUGEPAGE);  // best effort: without it only speed differs
  for (size_t at = 0; at < size; at += kPageBytes) {
    static_cast<volatile uint8_t*>(block.data_)[at] = 0;
  }
  return block;
}

}  // namespace stillwatch::gpu
