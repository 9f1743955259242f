// Undoes content codings, up to kCodingsMax on top of each other, with all memory from bounded pools: gzip and
// deflate through zlib here, br and zstd in window_stage.h. For the body reader of one worker's thread.
//
// "deflate" is the zlib format (RFC 9110, 8.4.1.2) or, as several servers send it, raw deflate: told apart by
// the first two bytes. "gzip" may have several members; what follows the last is ignored. "gzip" whose first
// bytes are no gzip header is passed on unchanged and reported as mislabelled.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <span>

#include "dataplane/http/block_pool.h"
#include "dataplane/http/coding_stage.h"
#include "dataplane/http/head.h"
#include "dataplane/http/window_memory.h"

namespace stillwatch::dataplane {

// One coding. Lives in a block of the pool, which also holds zlib's state and window.
class InflateStage final : public CodingStage {
 public:
  // Blocks must be this large: our fields and zlib 1.3's inflate state (7.2 KiB) and window (32 KiB).
  static constexpr size_t kArenaBytes = 44u << 10;

  // Null when zlib refuses (a zlib that needs more memory than kArenaBytes).
  static InflateStage* Make(void* block, Coding coding);

  Step Run(Bytes in, std::span<uint8_t> out) override;

  Failure failure() const override { return mode_ == Mode::kFailed ? Failure::kCorrupt : Failure::kNone; }
  bool mislabelled() const override { return mode_ == Mode::kAsIs; }
  bool whole() const override {
    return mode_ == Mode::kEnded || mode_ == Mode::kMember || mode_ == Mode::kAsIs || !touched_;
  }

 private:
  enum class Mode : uint8_t { kPrefix, kInflate, kMember, kAsIs, kEnded, kFailed };

  static void* Allocate(void* stage, unsigned items, unsigned size);
  static void Free(void*, void*) {}
  void Start();
  size_t TakePrefix(Bytes in);
  Step CopyAsIs(Bytes in, std::span<uint8_t> out);
  void EndMember();

  z_stream z_{};
  Coding coding_ = Coding::kGzip;
  Mode mode_ = Mode::kPrefix;
  bool touched_ = false;
  uint8_t prefix_[2] = {};
  uint8_t prefix_bytes_ = 0, prefix_taken_ = 0;
  size_t arena_used_ = 0;
  alignas(16) uint8_t arena_[kArenaBytes];
};

// The codings of one body. Idle (no blocks held) between bodies.
class Inflater {
 public:
  enum class Begin : uint8_t { kReady, kNoBlock };
  // `windows`: memory of br and zstd; must outlive the codings.
  Begin Start(BlockPool* pool, WindowMemory* windows, std::span<const Coding> codings);
  void Stop(BlockPool* pool);
  bool active() const { return count_ > 0; }

  // Gives `*in` to the first stage as far as `out` has room; returns what came out. Fewer bytes than
  // out.size() mean that all input was taken and nothing is left inside. `*in` is advanced.
  size_t Pull(Bytes* in, std::span<uint8_t> out) { return PullFrom(count_ - 1, in, out); }

  CodingStage::Failure failure() const;
  bool mislabelled() const;
  bool whole() const;

 private:
  size_t PullFrom(size_t stage, Bytes* in, std::span<uint8_t> out);

  CodingStage* stages_[kCodingsMax] = {};
  size_t count_ = 0;
};

}  // namespace stillwatch::dataplane
