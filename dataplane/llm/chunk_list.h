// Bounded byte strings from one pool: bodies that wait for their end, tokens of exchanges in flight.
//
// ChunkPool takes its memory once (untouched pages cost nothing) and hands out chunks of 4 KiB. A ChunkList
// is a byte string in such chunks; it gives them back, wiped, when it is cleared. One worker's thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/bytes.h"
#include "base/check.h"

namespace stillwatch::dataplane {

inline constexpr size_t kChunkBytes = 4096;

class ChunkPool {
 public:
  static constexpr size_t kPayload = kChunkBytes - sizeof(void*);
  struct Chunk {
    Chunk* next;
    uint8_t bytes[kPayload];
  };

  static_assert(kPayload % 8 == 0);

  explicit ChunkPool(size_t bytes_max)
      : chunks_max_(bytes_max / kChunkBytes), memory_(new Chunk[chunks_max_]) {}

  // nullptr when all are in use.
  Chunk* Take() {
    Chunk* chunk = free_;
    if (chunk != nullptr) {
      free_ = chunk->next;
    } else if (fresh_ < chunks_max_) {
      chunk = &memory_[fresh_++];
    } else {
      return nullptr;
    }
    chunk->next = nullptr;
    ++used_;
    return chunk;
  }
  // `dirty` bytes were written: raw text does not outlive its exchange.
  void Give(Chunk* chunk, size_t dirty) {
    std::memset(chunk->bytes, 0, std::min(dirty, kPayload));
    chunk->next = free_;
    free_ = chunk;
    --used_;
  }
  size_t bytes_used() const { return used_ * kChunkBytes; }

 private:
  const size_t chunks_max_;
  std::unique_ptr<Chunk[]> memory_;
  Chunk* free_ = nullptr;
  size_t fresh_ = 0, used_ = 0;
};

class ChunkList {
 public:
  size_t size() const { return size_; }

  // Appends what there is room for; false when the pool was empty before all of it was taken.
  bool Append(ChunkPool* pool, Bytes data) {
    while (!data.empty()) {
      const size_t used = size_ % ChunkPool::kPayload;
      if (used == 0) {
        ChunkPool::Chunk* chunk = pool->Take();
        if (chunk == nullptr) return false;
        (last_ == nullptr ? first_ : last_->next) = chunk;
        last_ = chunk;
      }
      const size_t part = std::min(data.size(), ChunkPool::kPayload - used);
      std::memcpy(last_->bytes + used, data.data(), part);
      data = data.subspan(part);
      size_ += part;
    }
    return true;
  }

  // Copies all bytes; `out` has room for size().
  void CopyTo(uint8_t* out) const {
    size_t left = size_;
    for (const ChunkPool::Chunk* chunk = first_; left != 0; chunk = chunk->next) {
      const size_t part = std::min(left, ChunkPool::kPayload);
      std::memcpy(out, chunk->bytes, part);
      out += part;
      left -= part;
    }
  }

  // Overwrites bytes that are there already: [at, at + data.size()) lies below size().
  void Overwrite(size_t at, Bytes data) {
    CHECK(at + data.size() <= size_);
    ChunkPool::Chunk* chunk = first_;
    for (; at >= ChunkPool::kPayload; at -= ChunkPool::kPayload) chunk = chunk->next;
    while (!data.empty()) {
      const size_t part = std::min(data.size(), ChunkPool::kPayload - at);
      std::memcpy(chunk->bytes + at, data.data(), part);
      data = data.subspan(part);
      chunk = chunk->next;
      at = 0;
    }
  }

  void Clear(ChunkPool* pool) {
    while (first_ != nullptr) {
      ChunkPool::Chunk* next = first_->next;
      pool->Give(first_, size_);
      size_ -= std::min(size_, ChunkPool::kPayload);
      first_ = next;
    }
    last_ = nullptr;
    size_ = 0;
  }

 private:
  ChunkPool::Chunk* first_ = nullptr;
  ChunkPool::Chunk* last_ = nullptr;
  size_t size_ = 0;
};

}  // namespace stillwatch::dataplane
