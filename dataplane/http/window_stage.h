// Undoes br (RFC 7932) and zstd (RFC 8878) through libbrotli and libzstd, with all memory from WindowMemory by
// their allocator hooks.
//
// Bounds: a window over kWindowBytesMax ends the body's decoding (RFC 9659 allows HTTP no larger one for zstd). A
// br body that announces a larger window is read for as long as it does not need it. What the memory cannot give
// ends the decoding too. Both are told apart by failure().
//
// Cuts of the input change nothing, but where br data is corrupt: libbrotli keeps what it decoded just before the
// corrupt place to itself, and how much that is depends on the cuts.
#pragma once

#include "dataplane/http/coding_stage.h"
#include "dataplane/http/head.h"
#include "dataplane/http/window_memory.h"

struct BrotliDecoderStateStruct;
struct ZSTD_DCtx_s;

namespace stillwatch::dataplane {

// What one decoder may take, at one time, and the most in one piece: the window and the library's slack.
class WindowLease {
 public:
  static constexpr size_t kWindowBytesMax = 8u << 20;
  static constexpr size_t kPieceBytesMax = kWindowBytesMax + (512u << 10);

  explicit WindowLease(WindowMemory* memory) : memory_(memory) {}
  static void* Take(void* lease, size_t bytes);
  static void Give(void* lease, void* at);
  CodingStage::Failure refusal() const { return refusal_; }

 private:
  WindowMemory* const memory_;
  CodingStage::Failure refusal_ = CodingStage::Failure::kNone;
};

class BrotliStage final : public CodingStage {
 public:
  explicit BrotliStage(WindowMemory* memory);
  ~BrotliStage() override;
  Step Run(Bytes in, std::span<uint8_t> out) override;
  Failure failure() const override { return failure_; }
  bool whole() const override { return ended_ || !touched_; }

 private:
  WindowLease lease_;
  BrotliDecoderStateStruct* state_;
  Failure failure_ = Failure::kNone;
  bool touched_ = false, ended_ = false;
};

class ZstdStage final : public CodingStage {
 public:
  explicit ZstdStage(WindowMemory* memory);
  ~ZstdStage() override;
  Step Run(Bytes in, std::span<uint8_t> out) override;
  Failure failure() const override { return failure_; }
  bool whole() const override { return at_frame_start_; }

 private:
  static constexpr size_t kFrameHeaderMax = 18;  // RFC 8878, 3.1.1
  static constexpr uint64_t kUnknown = UINT64_MAX;

  size_t StepBytes() const;
  void NoteFrame(Bytes taken, size_t produced);

  WindowLease lease_;
  ZSTD_DCtx_s* context_;
  Failure failure_ = Failure::kNone;
  size_t next_bytes_ = 0;       // zstd's word on how much it reads next
  uint8_t frame_head_[kFrameHeaderMax];
  size_t frame_bytes_ = 0;      // taken of the frame being read, as far as it matters
  uint64_t content_left_ = kUnknown;  // of that frame, by what its header says
  bool at_frame_start_ = true;
  bool output_waits_ = false;
};

}  // namespace stillwatch::dataplane
