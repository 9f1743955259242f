#include "dataplane/http/window_stage.h"

#include <brotli/decode.h>
#define ZSTD_STATIC_LINKING_ONLY  // allocator hooks
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>

#include "base/mutant.h"

namespace stillwatch::dataplane {
namespace {

constexpr int kWindowBitsMax = 23;
static_assert(size_t{1} << kWindowBitsMax == WindowLease::kWindowBytesMax);
constexpr size_t kBlockHeaderBytes = 3;
// As far as a frame's header may go zstd gets less than four bytes a call: where a header is bad, it looks for the
// magic number of formats before 1.0 in the call's bytes, and reads those with memory of its own.
constexpr size_t kLessThanMagic = 3;

}  // namespace

void* WindowLease::Take(void* lease, size_t bytes) {
  auto* const self = static_cast<WindowLease*>(lease);
  if (bytes > kPieceBytesMax && !MutantIs("http.window_unbounded")) {
    self->refusal_ = CodingStage::Failure::kWindowTooLarge;
    return nullptr;
  }
  void* const at = self->memory_->Take(bytes);
  if (at == nullptr) self->refusal_ = CodingStage::Failure::kNoWindowMemory;
  return at;
}

void WindowLease::Give(void* lease, void* at) {
  if (at != nullptr) static_cast<WindowLease*>(lease)->memory_->Give(at);
}

// ---- br

BrotliStage::BrotliStage(WindowMemory* memory)
    : lease_(memory), state_(BrotliDecoderCreateInstance(WindowLease::Take, WindowLease::Give, &lease_)) {
  if (state_ == nullptr) failure_ = Failure::kNoWindowMemory;
}

BrotliStage::~BrotliStage() {
  if (state_ != nullptr) BrotliDecoderDestroyInstance(state_);
}

CodingStage::Step BrotliStage::Run(Bytes in, std::span<uint8_t> out) {
  if (ended_ || failure_ != Failure::kNone) return {in.size(), 0};
  touched_ |= !in.empty();
  size_t in_left = in.size(), out_left = out.size();
  const uint8_t* next_in = in.data();
  uint8_t* next_out = out.data();
  const BrotliDecoderResult result =
      BrotliDecoderDecompressStream(state_, &in_left, &next_in, &out_left, &next_out, nullptr);
  if (result == BROTLI_DECODER_RESULT_ERROR) {
    failure_ = lease_.refusal() == Failure::kNone ? Failure::kCorrupt : lease_.refusal();
  }
  ended_ = result == BROTLI_DECODER_RESULT_SUCCESS;
  return {ended_ || failure_ != Failure::kNone ? in.size() : in.size() - in_left, out.size() - out_left};
}

// ---- zstd

ZstdStage::ZstdStage(WindowMemory* memory)
    : lease_(memory),
      context_(ZSTD_createDCtx_advanced({WindowLease::Take, WindowLease::Give, &lease_})) {
  if (context_ == nullptr) {
    failure_ = Failure::kNoWindowMemory;
  } else {
    ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, kWindowBitsMax);
  }
}

ZstdStage::~ZstdStage() {
  if (context_ != nullptr) ZSTD_freeDCtx(context_);
}

// At least 1. zstd's word on what it reads next is a block's rest, and where another block follows, its header's three bytes. A block's
// last byte comes alone: the bytes of one that is stored as it is are handed out as they come, and the last one may find that the
// frame has another size than it said. For the same reason no step goes beyond what the frame still has room for.
size_t ZstdStage::StepBytes() const {
  size_t bytes = kLessThanMagic;
  if (next_bytes_ != 0) bytes = next_bytes_ > kBlockHeaderBytes + 1 ? next_bytes_ - kBlockHeaderBytes - 1 : 1;
  if (MutantIs("http.zstd_block_in_one")) bytes = std::max(next_bytes_, kLessThanMagic);
  if (!MutantIs("http.zstd_block_beyond_its_frame")) bytes = static_cast<size_t>(std::min<uint64_t>(bytes, std::max<uint64_t>(content_left_, 1)));
  return frame_bytes_ < kFrameHeaderMax ? std::min(bytes, kLessThanMagic) : bytes;
}

// Of a step inside a frame. A content of 0 bytes is also what a frame to be skipped has: no bound, since nothing comes out of either.
void ZstdStage::NoteFrame(Bytes taken, size_t produced) {
  if (content_left_ != kUnknown) content_left_ -= std::min<uint64_t>(content_left_, produced);
  if (frame_bytes_ == kFrameHeaderMax) return;
  for (const uint8_t byte : taken.first(std::min(taken.size(), kFrameHeaderMax - frame_bytes_))) frame_head_[frame_bytes_++] = byte;
  const uint64_t content = ZSTD_getFrameContentSize(frame_head_, frame_bytes_);
  if (content_left_ == kUnknown && content != 0 && content != ZSTD_CONTENTSIZE_ERROR) content_left_ = content;
}

// A call that fails hands nothing out, so each call is given one step of the format at most (a header, a block): what
// came before a corrupt block is then out, wherever the input was cut.
CodingStage::Step ZstdStage::Run(Bytes in, std::span<uint8_t> out) {
  Step step;
  while (failure_ == Failure::kNone) {
    const size_t left = in.size() - step.consumed;
    if (left == 0 && !output_waits_) return step;
    if (step.produced == out.size()) return step;
    // Output that waits is taken before the next step is given, for the same reason.
    ZSTD_inBuffer source{in.data() + step.consumed, output_waits_ ? 0 : std::min(left, StepBytes()), 0};
    ZSTD_outBuffer target{out.data() + step.produced, out.size() - step.produced, 0};
    const size_t result = ZSTD_decompressStream(context_, &target, &source);
    step.consumed += source.pos;
    step.produced += target.pos;
    output_waits_ = target.pos == target.size && result != 0;  // 0: the frame is out
    if (ZSTD_isError(result) != 0) {
      failure_ = Failure::kCorrupt;
      const ZSTD_ErrorCode error = ZSTD_getErrorCode(result);
      if (error == ZSTD_error_frameParameter_windowTooLarge) failure_ = Failure::kWindowTooLarge;
      if (error == ZSTD_error_memory_allocation) failure_ = lease_.refusal();
    } else {
      at_frame_start_ = result == 0;
      next_bytes_ = result;
      if (at_frame_start_) {
        frame_bytes_ = 0, content_left_ = kUnknown;
      } else {
        NoteFrame(in.subspan(step.consumed - source.pos, source.pos), target.pos);
      }
    }
  }
  return {in.size(), step.produced};
}

}  // namespace stillwatch::dataplane
