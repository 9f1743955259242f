#include "gpu/window/window.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "gpu/sketch/oph.h"

namespace stillwatch::gpu {
namespace {

constexpr uint64_t kBucketsPerText = 5;
constexpr uint64_t kTextBytes =
    sizeof(WindowText) + sizeof(uint64_t) + kBucketsPerText * sizeof(Bucket);
constexpr uint64_t kTextsMax = 1u << 28;
constexpr uint32_t kRowsMax = 65'536;
constexpr uint32_t kSeenSlots = 4'096;  // more than twice the candidates that a row can have
constexpr uint32_t kPairsMax = 62;
constexpr uint32_t kPrefetchAhead = 24;
static_assert(kPairsMax < kEntryCountMax && kBands * kPairsMax <= kSeenSlots / 2);

uint32_t OphEqual(const uint8_t* a, const uint8_t* b) {
  uint32_t equal = 0;
  for (uint32_t i = 0; i < kOphBins / 2; i += 8) {
    uint64_t x, y;
    std::memcpy(&x, a + i, 8);
    std::memcpy(&y, b + i, 8);
    equal += EqualNibbles(x, y);
  }
  return equal;
}

uint32_t SimHashDistance(const uint64_t* a, const uint64_t* b) {
  uint32_t distance = 0;
  for (uint32_t i = 0; i < kSimHashWords; ++i) {
    distance += static_cast<uint32_t>(__builtin_popcountll(a[i] ^ b[i]));
  }
  return distance;
}

}  // namespace

LshWindow::Shape LshWindow::ShapeFor(uint64_t bytes) {
  const uint64_t texts = std::min(bytes / kTextBytes, kTextsMax);
  return {texts, texts * kBucketsPerText};
}

uint64_t LshWindow::BytesMin() {
  return (kBucketsMin + kBucketsPerText - 1) / kBucketsPerText * kTextBytes;
}

Result<std::unique_ptr<LshWindow>> LshWindow::Make(const WindowOptions& options,
                                                   CounterBlock<GpuCounter>* counters) {
  if (options.bytes < BytesMin()) {
    return Error{"window_bytes is " + std::to_string(options.bytes) +
                 ", too small for the window; the smallest that fits is " +
                 std::to_string(BytesMin())};
  }
  if (options.bucket_pairs_max < 1 || options.bucket_pairs_max > kPairsMax) {
    return Error{"window_bucket_pairs_max is " + std::to_string(options.bucket_pairs_max) +
                 ", must be 1 to 62"};
  }
  if (options.epochs_kept < 1 || options.epochs_kept > 64) {
    return Error{"window_epochs_kept is " + std::to_string(options.epochs_kept) +
                 ", must be 1 to 64"};
  }
  if (options.batch_rows_max < 1 || options.batch_rows_max > kRowsMax) {
    return Error{"batch_rows_max is " + std::to_string(options.batch_rows_max) +
                 ", must be 1 to 65536"};
  }
  std::unique_ptr<LshWindow> window(new LshWindow());
  window->options_ = options;
  window->counters_ = counters;
  window->shape_ = ShapeFor(options.bytes);

  const uint64_t rows = options.batch_rows_max;
  const uint64_t texts_bytes = window->shape_.texts * (sizeof(WindowText) + sizeof(uint64_t));
  const uint64_t scratch_bytes = rows * kBands * (2 * sizeof(Item) + sizeof(uint32_t)) +
                                 rows * 2 * sizeof(uint32_t) + kSeenSlots * sizeof(Seen) +
                                 kBands * kPairsMax * sizeof(Found);
  Result<MemoryBlock> buckets =
      MemoryBlock::Take(window->shape_.buckets * sizeof(Bucket), "the window's buckets");
  if (!buckets.ok()) return buckets.error();
  Result<MemoryBlock> texts = MemoryBlock::Take(texts_bytes, "the window's texts");
  if (!texts.ok()) return texts.error();
  Result<MemoryBlock> scratch = MemoryBlock::Take(scratch_bytes, "the window's batch");
  if (!scratch.ok()) return scratch.error();
  window->buckets_memory_ = std::move(buckets).value();
  window->texts_memory_ = std::move(texts).value();
  window->scratch_memory_ = std::move(scratch).value();

  window->buckets_ = reinterpret_cast<Bucket*>(window->buckets_memory_.data());
  window->texts_ = reinterpret_cast<WindowText*>(window->texts_memory_.data());
  window->ids_ = reinterpret_cast<uint64_t*>(window->texts_ + window->shape_.texts);
  window->items_ = reinterpret_cast<Item*>(window->scratch_memory_.data());
  window->items_spare_ = window->items_ + rows * kBands;
  window->older_ = reinterpret_cast<uint32_t*>(window->items_spare_ + rows * kBands);
  window->popular_ = window->older_ + rows * kBands;
  window->row_of_ = window->popular_ + rows;
  window->seen_ = reinterpret_cast<Seen*>(window->row_of_ + rows);
  window->found_ = reinterpret_cast<Found*>(window->seen_ + kSeenSlots);
  return window;
}

Status CheckBatch(const WindowOptions& options, size_t sketches, size_t ids) {
  if (sketches != ids) {
    return Error{"window batch has " + std::to_string(sketches) + " sketches and " + std::to_string(ids) + " ids"};
  }
  if (sketches > options.batch_rows_max) {
    return Error{"window batch has " + std::to_string(sketches) + " rows; batch_rows_max is " +
                 std::to_string(options.batch_rows_max)};
  }
  return {};
}

Status LshWindow::ProbeAndInsert(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                                 std::vector<Candidate>* candidates) {
  if (Status fits = CheckBatch(options_, sketches.size(), ids.size()); !fits.ok()) return fits;
  candidates->clear();
  uint32_t texts = 0;
  for (uint32_t row = 0; row < sketches.size(); ++row) {
    if (sketches[row].tokens != 0) row_of_[texts++] = row;
  }
  if (texts == 0) return {};
  const WindowAges ages = epochs_.AgesOf(texts, shape_.texts, options_.epochs_kept);
  std::memset(popular_, 0, texts * sizeof(uint32_t));
  SortItems(sketches, texts);
  ProbeAndInsertItems(ages, texts * kBands);
  for (uint32_t text = 0; text < texts; ++text) {
    if (text + 2 < texts) PrefetchLinks(text + 2, ages);
    CollectCandidates(sketches, ids, text, ages, candidates);
  }
  StoreTexts(sketches, ids, texts);
  for (uint32_t text = 0; text < texts; ++text) SweepOneBucket(ages);
  counters_->Add(GpuCounter::kWindowTexts, texts);
  counters_->Add(GpuCounter::kWindowCandidates, candidates->size());
  return {};
}

// Sorts all (band, key, text) of the batch by (band, key), in row order where equal: a radix sort
// on the 37 bits. Buckets come in address order, so each is touched once a batch.
void LshWindow::SortItems(std::span<const Sketch> sketches, uint32_t texts) {
  constexpr uint32_t kFirstBit = 64 - kBandKeyBits;
  constexpr uint32_t kDigitBits = 10;
  constexpr uint32_t kPasses = 4;
  static_assert(kPasses * kDigitBits >= kBandKeyBits);
  uint32_t starts[kPasses][1u << kDigitBits] = {};
  Item* out = items_;
  for (uint32_t text = 0; text < texts; ++text) {
    const uint32_t* bands = sketches[row_of_[text]].bands;
    for (uint32_t band = 0; band < kBands; ++band) {
      const uint64_t packed = BandKeyWithBand(bands[band], band) << kFirstBit | text;
      *out++ = {packed};
      for (uint32_t pass = 0; pass < kPasses; ++pass) {
        ++starts[pass][packed >> (kFirstBit + pass * kDigitBits) & ((1u << kDigitBits) - 1)];
      }
    }
  }
  const uint32_t count = texts * kBands;
  for (uint32_t pass = 0; pass < kPasses; ++pass) {
    uint32_t sum = 0;
    for (uint32_t& start : starts[pass]) {
      const uint32_t in_digit = start;
      start = sum;
      sum += in_digit;
    }
    for (uint32_t i = 0; i < count; ++i) {
      const uint64_t packed = items_[i].packed;
      const uint64_t digit = packed >> (kFirstBit + pass * kDigitBits) & ((1u << kDigitBits) - 1);
      items_spare_[starts[pass][digit]++] = {packed};
    }
    std::swap(items_, items_spare_);
  }
}

// Walks the items bucket by bucket: all probes of a bucket see it as it stood, then its inserts
// follow.
void LshWindow::ProbeAndInsertItems(const WindowAges& ages, uint32_t count) {
  const auto bucket_at = [&](uint32_t i) { return BucketOf(items_[i].band_key(), shape_.buckets); };
  for (uint32_t i = 0; i < std::min(kPrefetchAhead, count); ++i) {
    __builtin_prefetch(&buckets_[bucket_at(i)], 1);
  }
  uint64_t evicted = 0;
  for (uint32_t begin = 0; begin < count;) {
    const uint64_t bucket = bucket_at(begin);
    uint32_t end = begin + 1;
    while (end < count && bucket_at(end) == bucket) ++end;
    for (uint32_t i = begin + kPrefetchAhead; i < std::min(end + kPrefetchAhead, count); ++i) {
      __builtin_prefetch(&buckets_[bucket_at(i)], 1);
    }
    for (uint32_t group = begin; group < end;) {
      uint32_t next = group + 1;
      while (next < end && items_[next].band_key() == items_[group].band_key()) ++next;
      LinkGroup(items_ + group, items_ + next, ages);
      group = next;
    }
    if (end - begin > 1) {
      std::sort(items_ + begin, items_ + end, [](Item a, Item b) {
        return a.text() != b.text() ? a.text() < b.text()
                                    : a.band_key() % kBands < b.band_key() % kBands;
      });
    }
    for (uint32_t i = begin; i < end; ++i) {
      evicted += InsertKey(buckets_[bucket], TagOf(items_[i].band_key()),
                           static_cast<uint32_t>(epochs_.head + items_[i].text()), ages);
    }
    begin = end;
  }
  counters_->Add(GpuCounter::kWindowEvicted, evicted);
}

// Texts of the batch that share one key, in row order: each is linked to the one before it, the
// first to the newest of the window, and told whether the key is popular at its turn.
void LshWindow::LinkGroup(Item* begin, Item* end, const WindowAges& ages) {
  const uint64_t band_key = begin->band_key();
  const uint32_t band = static_cast<uint32_t>(band_key % kBands);
  const Bucket& bucket = buckets_[BucketOf(band_key, shape_.buckets)];
  const uint32_t at = FindLive(bucket, TagOf(band_key), ages);
  uint32_t popularity = 0;
  uint32_t older = static_cast<uint32_t>(epochs_.head + begin->text());  // its own number: none
  if (at != kBucketEntries) {
    const EntryCounts counts = CountsOf(bucket.entries[at], ages);
    popularity = counts.before + counts.now;
    older = bucket.entries[at].newest;
  }
  for (Item* item = begin; item != end; ++item, ++popularity) {
    const uint32_t text = item->text();
    older_[text * kBands + band] = older;
    older = static_cast<uint32_t>(epochs_.head + text);
    if (popularity > options_.bucket_pairs_max) popular_[text] |= 1u << band;
  }
}

void LshWindow::PrefetchLinks(uint32_t text, const WindowAges& ages) {
  const uint32_t own = static_cast<uint32_t>(epochs_.head + text);
  uint32_t last = own;
  for (uint32_t band = 0; band < kBands; ++band) {
    const uint32_t older = older_[text * kBands + band];
    if (older == own || older == last || ages.AgeOf(older) <= ages.rows) continue;
    last = older;
    const WindowText* stored = &texts_[SlotOf(ages.AgeOf(older) - ages.rows)];
    __builtin_prefetch(&stored->older[band]);
    __builtin_prefetch(stored->oph);
    __builtin_prefetch(stored->simhash);
  }
}

// Counts one more band shared with the text `sequence`.
void LshWindow::Note(uint32_t sequence) {
  uint32_t at = sequence * 0x9e3779b1u >> 20;
  static_assert(kSeenSlots == 1u << 12);
  while (seen_[at].stamp == stamp_ && seen_[at].sequence != sequence) at = (at + 1) % kSeenSlots;
  if (seen_[at].stamp != stamp_) {
    seen_[at] = {stamp_, sequence, found_count_};
    found_[found_count_++] = {sequence, 0, 0};
  }
  ++found_[seen_[at].index].bands;
}

void LshWindow::CollectCandidates(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                                  uint32_t text, const WindowAges& ages,
                                  std::vector<Candidate>* candidates) {
  if (++stamp_ == 0) {  // wrapped: old stamps would look new
    std::memset(seen_, 0, kSeenSlots * sizeof(Seen));
    stamp_ = 1;
  }
  found_count_ = 0;
  const uint32_t popular = popular_[text];
  counters_->Add(GpuCounter::kWindowPopularBands,
                 static_cast<uint64_t>(__builtin_popcount(popular)));
  for (uint32_t band = 0; band < kBands; ++band) {
    if ((popular >> band & 1) != 0) continue;
    uint32_t at = static_cast<uint32_t>(epochs_.head + text);
    uint32_t older = older_[text * kBands + band];
    for (uint32_t step = 0; step < options_.bucket_pairs_max; ++step) {
      if (older == at || !ages.Live(older)) break;
      at = older;
      const uint32_t age = ages.AgeOf(at);
      const bool in_batch = age <= ages.rows;
      if (!(in_batch && MutantIs("gpu.no_batch_pairs"))) Note(at);
      older = in_batch ? older_[(ages.rows - age) * kBands + band]
                       : texts_[SlotOf(age - ages.rows)].older[band];
    }
  }
  if (found_count_ == 0) return;

  const auto in_batch_row = [&](uint32_t age) { return row_of_[ages.rows - age]; };
  for (uint32_t i = 0; i < found_count_; ++i) {
    const uint32_t age = ages.AgeOf(found_[i].sequence);
    found_[i].id = age <= ages.rows ? ids[in_batch_row(age)] : ids_[SlotOf(age - ages.rows)];
  }
  std::sort(found_, found_ + found_count_, [&](const Found& a, const Found& b) {
    return a.id != b.id ? a.id < b.id : ages.AgeOf(a.sequence) < ages.AgeOf(b.sequence);
  });
  const Sketch& probe = sketches[row_of_[text]];
  for (uint32_t i = 0; i < found_count_; ++i) {
    if (i != 0 && found_[i].id == found_[i - 1].id) continue;  // of equal ids the newest
    const uint32_t age = ages.AgeOf(found_[i].sequence);
    const bool in_batch = age <= ages.rows;
    const uint64_t slot = in_batch ? 0 : SlotOf(age - ages.rows);
    const uint8_t* oph = in_batch ? sketches[in_batch_row(age)].oph : texts_[slot].oph;
    const uint64_t* simhash = in_batch ? sketches[in_batch_row(age)].simhash : texts_[slot].simhash;
    candidates->push_back({row_of_[text], found_[i].id, static_cast<uint16_t>(found_[i].bands),
                           static_cast<uint16_t>(OphEqual(probe.oph, oph)),
                           static_cast<uint16_t>(SimHashDistance(probe.simhash, simhash)), 0});
  }
}

void LshWindow::StoreTexts(std::span<const Sketch> sketches, std::span<const uint64_t> ids,
                           uint32_t texts) {
  for (uint32_t text = 0; text < texts; ++text) {
    const Sketch& sketch = sketches[row_of_[text]];
    WindowText& stored = texts_[head_slot_];
    std::memcpy(stored.older, older_ + text * kBands, sizeof stored.older);
    std::memcpy(stored.oph, sketch.oph, sizeof stored.oph);
    std::memcpy(stored.simhash, sketch.simhash, sizeof stored.simhash);
    ids_[head_slot_] = ids[row_of_[text]];
    if (++head_slot_ == shape_.texts) head_slot_ = 0;
  }
  epochs_.head += texts;
}

// One bucket a stored text: a dead entry is gone long before its number could come round again.
void LshWindow::SweepOneBucket(const WindowAges& ages) {
  for (BucketEntry& entry : buckets_[sweep_].entries) {
    if (entry.count != 0 && !ages.Live(entry.newest)) entry = {};
  }
  if (++sweep_ == shape_.buckets) sweep_ = 0;
}

Status LshWindow::Replay(std::span<const Sketch> sketches, std::span<const uint64_t> ids) {
  std::vector<Candidate> candidates;
  CounterBlock<GpuCounter>* counted = std::exchange(counters_, &uncounted_);
  const Status status = ProbeAndInsert(sketches, ids, &candidates);
  counters_ = counted;
  return status;
}

void LshWindow::TakeOver(const Place& place, MemoryBlock* buckets,
                         std::span<const WindowText> texts, std::span<const uint64_t> ids) {
  CHECK(buckets->size() == buckets_memory_.size() && texts.size() == ids.size() &&
        texts.size() <= shape_.texts);
  std::swap(buckets_memory_, *buckets);
  buckets_ = reinterpret_cast<Bucket*>(buckets_memory_.data());
  epochs_ = place.epochs;
  head_slot_ = place.head_slot;
  sweep_ = place.sweep;
  uint64_t slot = (head_slot_ + shape_.texts - texts.size()) % shape_.texts;
  for (size_t i = 0; i < texts.size(); ++i) {
    texts_[slot] = texts[i];
    ids_[slot] = ids[i];
    if (++slot == shape_.texts) slot = 0;
  }
}

}  // namespace stillwatch::gpu
