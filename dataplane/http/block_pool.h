// Fixed-size blocks out of one reservation made at start: taking and giving back never call the allocator.
// Memory that was never taken is never touched, so that a generous limit costs address space only.
// One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace stillwatch::dataplane {

class BlockPool {
 public:
  BlockPool(size_t block_bytes, size_t blocks_max)
      : block_bytes_((block_bytes + 63) / 64 * 64),
        blocks_max_(blocks_max),
        memory_(static_cast<std::byte*>(
            ::operator new(block_bytes_ * blocks_max_ + 1, std::align_val_t{64}))) {}

  // Uninitialised, aligned to 64; null when all are taken.
  void* Take() {
    if (free_ != nullptr) {
      Free* const block = free_;
      free_ = block->next;
      ++taken_;
      return block;
    }
    if (fresh_ == blocks_max_) return nullptr;
    ++taken_;
    return memory_.get() + block_bytes_ * fresh_++;
  }
  void Give(void* block) {
    free_ = new (block) Free{free_};
    --taken_;
  }
  bool Owns(const void* block) const {
    const auto* at = static_cast<const std::byte*>(block);
    return at >= memory_.get() && at < memory_.get() + block_bytes_ * blocks_max_;
  }
  // The block that `at`, a place inside it, belongs to.
  void* BlockOf(const void* at) const {
    const size_t offset = static_cast<size_t>(static_cast<const std::byte*>(at) - memory_.get());
    return memory_.get() + offset / block_bytes_ * block_bytes_;
  }
  size_t taken() const { return taken_; }
  size_t block_bytes() const { return block_bytes_; }

 private:
  struct Free {
    Free* next;
  };
  struct Unmap {
    void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t{64}); }
  };

  const size_t block_bytes_, blocks_max_;
  std::unique_ptr<std::byte, Unmap> memory_;
  Free* free_ = nullptr;
  size_t fresh_ = 0, taken_ = 0;
};

}  // namespace stillwatch::dataplane
