#include "dataplane/http/inflater.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "dataplane/http/window_stage.h"

namespace stillwatch::dataplane {
namespace {

constexpr int kWindowBits = 15;
constexpr int kGzipFormat = 16;  // added to the window bits, zlib's way to say gzip

}  // namespace

void* InflateStage::Allocate(void* stage, unsigned items, unsigned size) {
  auto* self = static_cast<InflateStage*>(stage);
  const size_t bytes = (size_t{items} * size + 15) / 16 * 16;
  if (bytes > kArenaBytes - self->arena_used_) return Z_NULL;
  void* const at = self->arena_ + self->arena_used_;
  self->arena_used_ += bytes;
  return at;
}

InflateStage* InflateStage::Make(void* block, Coding coding) {
  auto* stage = new (block) InflateStage;  // default-initialised: buffers stay untouched
  stage->coding_ = coding;
  stage->z_.zalloc = Allocate;
  stage->z_.zfree = Free;
  stage->z_.opaque = stage;
  return inflateInit2(&stage->z_, kWindowBits + kGzipFormat) == Z_OK ? stage : nullptr;
}

// Both prefix bytes are here: which format is it?
void InflateStage::Start() {
  const unsigned first = prefix_[0], second = prefix_[1];
  mode_ = Mode::kInflate;
  if (coding_ == Coding::kGzip) {
    if (first != 0x1f || second != 0x8b) mode_ = Mode::kAsIs;
    return;
  }
  const bool zlib = (first & 15) == 8 && (first >> 4) <= 7 && (first << 8 | second) % 31 == 0;
  inflateReset2(&z_, zlib ? kWindowBits : -kWindowBits);
}

size_t InflateStage::TakePrefix(Bytes in) {
  size_t taken = 0;
  while (prefix_bytes_ < 2 && taken < in.size()) prefix_[prefix_bytes_++] = in[taken++];
  if (taken > 0) touched_ = true;
  if (prefix_bytes_ == 2) Start();
  return taken;
}

CodingStage::Step InflateStage::CopyAsIs(Bytes in, std::span<uint8_t> out) {
  Step step;
  while (prefix_taken_ < prefix_bytes_ && step.produced < out.size()) {
    out[step.produced++] = prefix_[prefix_taken_++];
  }
  step.consumed = std::min(in.size(), out.size() - step.produced);
  if (step.consumed > 0) std::memcpy(out.data() + step.produced, in.data(), step.consumed);
  step.produced += step.consumed;
  return step;
}

// A gzip member ended; another may follow (RFC 1952, 2.2).
void InflateStage::EndMember() { mode_ = coding_ == Coding::kGzip ? Mode::kMember : Mode::kEnded; }

CodingStage::Step InflateStage::Run(Bytes in, std::span<uint8_t> out) {
  Step step;
  if (mode_ == Mode::kPrefix) {
    step.consumed = TakePrefix(in);
    if (mode_ == Mode::kPrefix) return step;
  }
  if (mode_ == Mode::kAsIs) {
    const Step copied = CopyAsIs(in.subspan(step.consumed), out);
    return {step.consumed + copied.consumed, copied.produced};
  }
  for (;;) {
    if (mode_ == Mode::kMember) {
      if (step.consumed == in.size()) return step;
      // Another member, or padding behind the last one.
      mode_ = in[step.consumed] == 0x1f ? Mode::kInflate : Mode::kEnded;
      if (mode_ == Mode::kInflate) inflateReset2(&z_, kWindowBits + kGzipFormat);
    }
    if (mode_ == Mode::kEnded || mode_ == Mode::kFailed) {
      step.consumed = in.size();
      return step;
    }
    const bool from_prefix = prefix_taken_ < prefix_bytes_;
    const Bytes source = from_prefix ? Bytes(prefix_ + prefix_taken_, prefix_bytes_ - prefix_taken_)
                                     : in.subspan(step.consumed);
    z_.next_in = const_cast<uint8_t*>(source.data());
    z_.avail_in = static_cast<unsigned>(source.size());
    z_.next_out = out.data() + step.produced;
    z_.avail_out = static_cast<unsigned>(out.size() - step.produced);
    const int result = inflate(&z_, Z_NO_FLUSH);
    const size_t taken = source.size() - z_.avail_in;
    step.produced = out.size() - z_.avail_out;
    if (from_prefix) {
      prefix_taken_ = static_cast<uint8_t>(prefix_taken_ + taken);
    } else {
      step.consumed += taken;
    }
    if (result == Z_STREAM_END) {
      EndMember();
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      mode_ = Mode::kFailed;
    } else if (!from_prefix || taken == 0) {
      return step;  // out of input or out of room
    }
  }
}

namespace {

CodingStage* MakeStage(void* block, WindowMemory* windows, Coding coding) {
  static_assert(sizeof(BrotliStage) <= sizeof(InflateStage) && sizeof(ZstdStage) <= sizeof(InflateStage));
  switch (coding) {
    case Coding::kBrotli: return new (block) BrotliStage(windows);
    case Coding::kZstd: return new (block) ZstdStage(windows);
    default: return InflateStage::Make(block, coding);
  }
}

}  // namespace

Inflater::Begin Inflater::Start(BlockPool* pool, WindowMemory* windows, std::span<const Coding> codings) {
  for (const Coding coding : codings) {
    void* const block = pool->Take();
    CodingStage* const stage = block == nullptr ? nullptr : MakeStage(block, windows, coding);
    if (stage == nullptr) {
      if (block != nullptr) pool->Give(block);
      Stop(pool);
      return Begin::kNoBlock;
    }
    stages_[count_++] = stage;
  }
  return Begin::kReady;
}

void Inflater::Stop(BlockPool* pool) {
  while (count_ > 0) {
    CodingStage* const stage = stages_[--count_];
    stage->~CodingStage();
    pool->Give(stage);
  }
}

size_t Inflater::PullFrom(size_t index, Bytes* in, std::span<uint8_t> out) {
  CodingStage* const stage = stages_[index];
  size_t produced = 0;
  for (;;) {
    const Bytes source = index == 0 ? *in
                                    : Bytes(stage->input + stage->input_at,
                                            stage->input_end - stage->input_at);
    const CodingStage::Step step = stage->Run(source, out.subspan(produced));
    produced += step.produced;
    if (index == 0) {
      *in = in->subspan(step.consumed);
      return produced;
    }
    stage->input_at += step.consumed;
    if (produced == out.size()) return produced;
    if (stage->input_at < stage->input_end) continue;
    stage->input_at = 0;
    stage->input_end = PullFrom(index - 1, in, stage->input);
    if (stage->input_end == 0) return produced;
  }
}

CodingStage::Failure Inflater::failure() const {
  for (size_t i = 0; i < count_; ++i) {
    if (stages_[i]->failure() != CodingStage::Failure::kNone) return stages_[i]->failure();
  }
  return CodingStage::Failure::kNone;
}
bool Inflater::mislabelled() const {
  return std::any_of(stages_, stages_ + count_, [](auto* stage) { return stage->mislabelled(); });
}
bool Inflater::whole() const {
  return std::all_of(stages_, stages_ + count_, [](auto* stage) { return stage->whole(); });
}

}  // namespace stillwatch::dataplane
