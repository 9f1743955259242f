#include "gpu/cuda/window_keeper.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace stillwatch::gpu {

// A quarter of the ring: replaying it takes the CPU some tenths of a second for a window of 256 MiB,
// and a checkpoint's copy stays small beside what the batches between two of them move.
uint64_t WindowKeeper::KeptTexts(const WindowOptions& options) {
  return std::max<uint64_t>(LshWindow::ShapeFor(options.bytes).texts / 4, options.batch_rows_max);
}

uint64_t WindowKeeper::BytesFor(const WindowOptions& options) {
  return LshWindow::ShapeFor(options.bytes).buckets * sizeof(Bucket) +
         KeptTexts(options) *
             (sizeof(KeptText) + sizeof(WindowText) + 2 * sizeof(uint64_t) + sizeof(Batch));
}

Result<std::unique_ptr<WindowKeeper>> WindowKeeper::Make(const WindowOptions& options,
                                                         LshWindow* twin) {
  std::unique_ptr<WindowKeeper> keeper(new WindowKeeper());
  keeper->twin_ = twin;
  keeper->kept_max_ = KeptTexts(options);
  Result<MemoryBlock> buckets =
      MemoryBlock::Take(twin->shape().buckets * sizeof(Bucket), "the copy of the GPU's window");
  if (!buckets.ok()) return buckets.error();
  keeper->buckets_ = std::move(buckets).value();
  const uint64_t texts = keeper->kept_max_;
  Result<MemoryBlock> memory =
      MemoryBlock::Take(texts * (sizeof(KeptText) + sizeof(WindowText) + 2 * sizeof(uint64_t)),
                        "the journal of the GPU's window");
  if (!memory.ok()) return memory.error();
  keeper->texts_memory_ = std::move(memory).value();
  keeper->ring_texts_ = reinterpret_cast<WindowText*>(keeper->texts_memory_.data());
  keeper->kept_texts_ = reinterpret_cast<KeptText*>(keeper->ring_texts_ + texts);
  keeper->kept_ids_ = reinterpret_cast<uint64_t*>(keeper->kept_texts_ + texts);
  keeper->ring_ids_ = keeper->kept_ids_ + texts;
  keeper->batches_.reserve(texts);  // each has a text at least
  return keeper;
}

Status WindowKeeper::Checkpoint(DeviceWindow& window) {
  const size_t newest = static_cast<size_t>(std::min(kept_, twin_->shape().texts));
  const std::span texts(ring_texts_, newest);
  const std::span ids(ring_ids_, newest);
  if (Status s = window.CopyState(reinterpret_cast<Bucket*>(buckets_.data()), texts, ids); !s.ok())
    return s;
  twin_->TakeOver(window.place(), &buckets_, texts, ids);
  kept_ = 0;
  batches_.clear();
  epochs_ = 0;
  return {};
}

void WindowKeeper::KeepBatch(std::span<const Sketch> sketches, std::span<const uint64_t> ids) {
  uint32_t texts = 0;
  for (size_t row = 0; row < sketches.size(); ++row) {
    const Sketch& sketch = sketches[row];
    if (sketch.tokens == 0) continue;
    CHECK(kept_ + texts < kept_max_);
    KeptText& kept = kept_texts_[kept_ + texts];
    std::memcpy(kept.bands, sketch.bands, sizeof kept.bands);
    std::memcpy(kept.oph, sketch.oph, sizeof kept.oph);
    std::memcpy(kept.simhash, sketch.simhash, sizeof kept.simhash);
    kept_ids_[kept_ + texts++] = ids[row];
  }
  if (texts == 0) return;  // changes no window
  kept_ += texts;
  batches_.push_back({std::exchange(epochs_, 0), texts});
}

void WindowKeeper::Rebuild() {
  std::vector<Sketch> sketches;
  uint64_t at = 0;
  const auto advance = [&](uint32_t epochs) {
    if (MutantIs("gpu.rebuild_forgets_epoch")) return;
    for (uint32_t i = 0; i < epochs; ++i) twin_->AdvanceEpoch();
  };
  for (const Batch& batch : batches_) {
    advance(batch.epochs);
    sketches.assign(batch.texts, {});
    for (uint32_t i = 0; i < batch.texts; ++i) {
      const KeptText& kept = kept_texts_[at + i];
      std::memcpy(sketches[i].bands, kept.bands, sizeof kept.bands);
      std::memcpy(sketches[i].oph, kept.oph, sizeof kept.oph);
      std::memcpy(sketches[i].simhash, kept.simhash, sizeof kept.simhash);
      sketches[i].tokens = 1;
    }
    // Of a size that the twin took before.
    CHECK(twin_->Replay(sketches, std::span(kept_ids_ + at, batch.texts)).ok());
    at += batch.texts;
  }
  advance(epochs_);
}

}  // namespace stillwatch::gpu
