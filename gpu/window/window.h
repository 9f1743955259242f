// The LSH window: which stored texts share a band key with a new one, over the last epochs.
//
// Memory is fixed: buckets (bucket.h) and a ring of the newest texts, each with what verifies a
// candidate and, for each band, a link to the next older text with the same key. A key is popular
// when it has had more than bucket_pairs_max texts in this epoch and the one before; a text whose
// key is popular at its turn makes no pairs through that band, but is stored, linked and counted.
//
// Semantics (the slow oracle in tests/gpu/window_oracle.h is their second statement):
//   - A row's popularity for a band: what the bucket counted before the batch, plus earlier rows of
//   the
//     batch with the same key.
//   - Not popular: its candidates are the texts reached by links, newest first: earlier rows of the
//     batch, then live texts of the window as it stood before the batch; at most bucket_pairs_max.
//   - Inserts go in row order, within a row by band. A bucket has eight entries; when all are live
//   the
//     one whose newest text is oldest is lost (counted), and its key starts anew.
//   - Live: not older than the kept epochs and still in the ring; judged once a batch, before it.
//
// One thread; blocking; after Make nothing allocates but the caller's vector.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
#include "gpu/backend.h"
#include "gpu/counters.h"
#include "gpu/memory_block.h"
#include "gpu/window/bucket.h"
#include "gpu/window/epochs.h"

namespace stillwatch::gpu {

struct WindowOptions {
  uint64_t bytes = 256ull << 20;   // buckets and ring; the batch scratch, 648 bytes a row, is extra
  uint32_t bucket_pairs_max = 32;  // 1..62
  uint32_t epochs_kept = 2;        // 1..64, the running one included
  uint32_t batch_rows_max = 4'096;  // 1..65,536
};

// What both twins ask of a batch: an id for each sketch, and no more rows than were reserved.
Status CheckBatch(const WindowOptions& options, size_t sketches, size_t ids);

// A stored text: 256 bytes.
struct alignas(64) WindowText {
  uint32_t older[kBands];  // sequence number of the next older text with the same key; own: none
  uint8_t oph[kOphBins / 2];
  uint64_t simhash[kSimHashWords];
};
static_assert(sizeof(WindowText) == 256);

class LshWindow {
 public:
  // The window that `bytes` hold: texts and buckets (five buckets, 40 entries, a text).
  struct Shape {
    uint64_t texts;
    uint64_t buckets;
  };
  static Shape ShapeFor(uint64_t bytes);
  static uint64_t BytesMin();

  static Result<std::unique_ptr<LshWindow>> Make(const WindowOptions& options,
                                                 CounterBlock<GpuCounter>* counters);

  // As Backend::ProbeAndInsert. Fails, and changes nothing, when spans differ in length or the
  // batch has more than batch_rows_max rows.
  Status ProbeAndInsert(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                        std::vector<Candidate>* candidates);
  void AdvanceEpoch() { epochs_.Advance(); }

  // For a twin on a device, whose buckets and ring are the same bytes (gpu/cuda/window_keeper.h).
  // A batch again that was answered and counted before.
  Status Replay(std::span<const Sketch> sketches, std::span<const uint64_t> ids);
  // Where it stands.
  struct Place {
    WindowEpochs epochs;
    uint64_t head_slot = 0;  // the next text's place in the ring
    uint64_t sweep = 0;      // next bucket to clear of dead entries
  };
  // Goes on from `place`: with these buckets, which it swaps for its own, and these newest texts.
  void TakeOver(const Place& place, MemoryBlock* buckets, std::span<const WindowText> texts,
                std::span<const uint64_t> ids);

  uint64_t memory_bytes() const {
    return buckets_memory_.size() + texts_memory_.size() + scratch_memory_.size();
  }
  Shape shape() const { return shape_; }

 private:
  struct Item {  // one band of one row: (band, key) above, index among the batch's texts below
    uint64_t packed;
    uint64_t band_key() const { return packed >> 27; }
    uint32_t text() const { return static_cast<uint32_t>(packed) & ((1u << 27) - 1); }
  };
  // One distinct candidate of the row at work, in an open-addressed table stamped by row.
  struct Seen {
    uint32_t stamp;
    uint32_t sequence;
    uint32_t index;
  };
  struct Found {
    uint32_t sequence;
    uint32_t bands;
    uint64_t id;
  };

  LshWindow() = default;
  void SortItems(std::span<const Sketch> sketches, uint32_t texts);
  void ProbeAndInsertItems(const WindowAges& ages, uint32_t items);
  void LinkGroup(Item* begin, Item* end, const WindowAges& ages);
  void CollectCandidates(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                         uint32_t text, const WindowAges& ages, std::vector<Candidate>* candidates);
  void Note(uint32_t sequence);
  void PrefetchLinks(uint32_t text, const WindowAges& ages);
  void StoreTexts(std::span<const Sketch> sketches, std::span<const uint64_t> ids, uint32_t texts);
  void SweepOneBucket(const WindowAges& ages);
  uint64_t SlotOf(uint32_t back_from_head) const {
    return head_slot_ >= back_from_head ? head_slot_ - back_from_head
                                        : head_slot_ + shape_.texts - back_from_head;
  }

  WindowOptions options_;
  CounterBlock<GpuCounter>* counters_ = nullptr;
  CounterBlock<GpuCounter> uncounted_{kGpuCounterNames};  // of replays
  Shape shape_ = {};
  MemoryBlock buckets_memory_, texts_memory_, scratch_memory_;
  Bucket* buckets_ = nullptr;
  WindowText* texts_ = nullptr;  // ring
  uint64_t* ids_ = nullptr;      // beside it

  WindowEpochs epochs_;
  uint64_t head_slot_ = 0;  // the next text's place in the ring
  uint64_t sweep_ = 0;      // next bucket to clear of dead entries

  // Batch scratch.
  Item* items_ = nullptr;
  Item* items_spare_ = nullptr;
  uint32_t* older_ = nullptr;    // texts x kBands
  uint32_t* popular_ = nullptr;  // bit b: band b makes no pairs
  uint32_t* row_of_ = nullptr;   // row of the batch's i-th text that has tokens
  Seen* seen_ = nullptr;
  Found* found_ = nullptr;
  uint32_t found_count_ = 0;
  uint32_t stamp_ = 0;
};

}  // namespace stillwatch::gpu
