// The window's kernels: what one thread, or one warp, does. The rules are those of
// gpu/window/window.h; bucket.h's bodies are shared with the CPU. A batch runs as: items, two
// sorts, links, inserts, collect, store, sweep; each launch sees all that the ones before wrote.
// Device code: included by kernels.cu alone.
#pragma once

#include "gpu/cuda/window_launch.h"
#include "gpu/sketch/oph.h"

namespace stillwatch::gpu {

__device__ inline uint64_t BandKeyOfItem(uint64_t item) { return item >> kItemTextBits; }
__device__ inline uint32_t TextOfItem(uint64_t item) {
  return static_cast<uint32_t>(item) & ((1u << kItemTextBits) - 1);
}

__device__ inline void MakeItem(const WindowBatch& batch, uint32_t i) {
  if (i >= batch.padded) return;
  const uint32_t text = i / kBands, band = i % kBands;
  if (text >= batch.texts) {
    batch.items[i] = batch.inserts[i] = ~0ull;
    return;
  }
  const uint64_t band_key = BandKeyWithBand(batch.sketches[batch.row_of[text]].bands[band], band);
  const uint64_t bucket = BucketOf(band_key, batch.bucket_count);
  batch.items[i] = band_key << kItemTextBits | text;
  batch.inserts[i] = bucket << (kInsertTextBits + 5) | uint64_t{text} << 5 | band;
  if (band == 0) batch.popular[text] = 0;
}

// One step of a bitonic sort: thread i compares the i-th pair.
__device__ inline void SortPair(uint64_t* keys, uint32_t i, uint32_t size, uint32_t step) {
  const uint32_t low = 2 * step * (i / step) + i % step;
  const uint64_t a = keys[low], b = keys[low + step];
  const bool rising = (low & size) == 0;
  if ((a > b) == rising) {
    keys[low] = b;
    keys[low + step] = a;
  }
}

// First item of item i's key: they are sorted. By halving, since a flood has all items in one key.
__device__ inline uint32_t FirstOfKey(const uint64_t* items, uint32_t i) {
  const uint64_t key = items[i] & ~((1ull << kItemTextBits) - 1);
  uint32_t low = 0, high = i;
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    if (items[middle] < key) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// Links a text to the one before it with the same key and says whether the key is popular by then.
__device__ inline void LinkItem(const WindowBatch& batch, uint32_t i) {
  if (i >= batch.texts * kBands) return;
  const uint64_t band_key = BandKeyOfItem(batch.items[i]);
  const uint32_t text = TextOfItem(batch.items[i]);
  const uint32_t band = static_cast<uint32_t>(band_key % kBands);
  const Bucket& bucket = batch.buckets[BucketOf(band_key, batch.bucket_count)];
  const uint32_t at = FindLive(bucket, TagOf(band_key), batch.ages);
  const uint32_t first = FirstOfKey(batch.items, i);
  uint32_t popularity = i - first;
  uint32_t older = batch.head + (i == first ? text : TextOfItem(batch.items[i - 1]));
  if (at != kBucketEntries) {
    const EntryCounts counts = CountsOf(bucket.entries[at], batch.ages);
    popularity += counts.before + counts.now;
    if (i == first) older = bucket.entries[at].newest;
  }
  batch.older[text * kBands + band] = older;
  if (popularity > batch.pairs_max) atomicOr(&batch.popular[text], 1u << band);
}

// The thread of a bucket's first insert makes all of that bucket's, in order.
__device__ inline void InsertBucket(const WindowBatch& batch, uint32_t i) {
  const uint32_t count = batch.texts * kBands;
  if (i >= count) return;
  const uint64_t bucket = batch.inserts[i] >> (kInsertTextBits + 5);
  if (i > 0 && batch.inserts[i - 1] >> (kInsertTextBits + 5) == bucket) return;
  uint32_t evicted = 0;
  for (; i < count && batch.inserts[i] >> (kInsertTextBits + 5) == bucket; ++i) {
    const uint32_t band = static_cast<uint32_t>(batch.inserts[i]) & 31u;
    const uint32_t text =
        static_cast<uint32_t>(batch.inserts[i] >> 5) & ((1u << kInsertTextBits) - 1);
    const uint32_t key = batch.sketches[batch.row_of[text]].bands[band];
    evicted += InsertKey(batch.buckets[bucket], TagOf(BandKeyWithBand(key, band)),
                         batch.head + text, batch.ages);
  }
  if (evicted != 0) atomicAdd(&batch.counts[kWindowEvicted], evicted);
}

struct CollectShared {
  uint32_t notes[kNotesMax];  // ages of the texts reached, once for each band
  uint32_t count;
};

__device__ inline uint64_t SlotOfAge(const WindowBatch& batch, uint32_t age) {
  const uint64_t back = age - batch.ages.rows;
  return batch.head_slot >= back ? batch.head_slot - back
                                 : batch.head_slot + batch.ring_texts - back;
}

__device__ inline void WalkLinks(const WindowBatch& batch, uint32_t text, CollectShared& shared) {
  const uint32_t band = threadIdx.x;
  if ((batch.popular[text] >> band & 1) != 0) return;
  uint32_t at = batch.head + text;
  uint32_t older = batch.older[text * kBands + band];
  for (uint32_t step = 0; step < batch.pairs_max; ++step) {
    if (older == at || !batch.ages.Live(older)) break;
    at = older;
    const uint32_t age = batch.ages.AgeOf(at);
    shared.notes[atomicAdd(&shared.count, 1u)] = age;
    older = age <= batch.ages.rows ? batch.older[(batch.ages.rows - age) * kBands + band]
                                   : batch.ring[SlotOfAge(batch, age)].older[band];
  }
}

__device__ inline WindowFound Verify(const WindowBatch& batch, uint32_t text, uint32_t age,
                                     uint32_t bands) {
  const Sketch& probe = batch.sketches[batch.row_of[text]];
  const bool in_batch = age <= batch.ages.rows;
  const uint32_t other_row = in_batch ? batch.row_of[batch.ages.rows - age] : 0;
  const uint64_t slot = in_batch ? 0 : SlotOfAge(batch, age);
  const uint8_t* oph = in_batch ? batch.sketches[other_row].oph : batch.ring[slot].oph;
  const uint64_t* simhash = in_batch ? batch.sketches[other_row].simhash : batch.ring[slot].simhash;
  uint32_t equal = 0, distance = 0;
  for (uint32_t i = 0; i < kSimHashWords; ++i) {
    equal += EqualNibbles(reinterpret_cast<const uint64_t*>(probe.oph)[i],
                          reinterpret_cast<const uint64_t*>(oph)[i]);
    distance += __popcll(probe.simhash[i] ^ simhash[i]);
  }
  return {in_batch ? batch.row_ids[other_row] : batch.ring_ids[slot],
          batch.row_of[text],
          age,
          static_cast<uint16_t>(bands),
          static_cast<uint16_t>(equal),
          static_cast<uint16_t>(distance),
          0};
}

// All candidates of one text, by one warp: lane b walks band b's links, the warp sorts what was
// reached, and each text is verified once.
__device__ inline void CollectText(const WindowBatch& batch, uint32_t text, CollectShared& shared,
                                   WindowFound* found) {
  const uint32_t lane = threadIdx.x;
  if (lane == 0) {
    shared.count = 0;
    if (batch.popular[text] != 0) {
      atomicAdd(&batch.counts[kWindowPopular], static_cast<uint32_t>(__popc(batch.popular[text])));
    }
  }
  __syncwarp();
  WalkLinks(batch, text, shared);
  __syncwarp();
  const uint32_t count = shared.count;
  if (count == 0) return;
  uint32_t padded = 64;
  while (padded < count) padded *= 2;
  for (uint32_t i = count + lane; i < padded; i += 32) shared.notes[i] = 0xffffffffu;
  __syncwarp();
  for (uint32_t size = 2; size <= padded; size *= 2) {
    for (uint32_t step = size / 2; step > 0; step /= 2) {
      for (uint32_t i = lane; i < padded / 2; i += 32) {
        const uint32_t low = 2 * step * (i / step) + i % step;
        const uint32_t a = shared.notes[low], b = shared.notes[low + step];
        if ((a > b) == ((low & size) == 0)) {
          shared.notes[low] = b;
          shared.notes[low + step] = a;
        }
      }
      __syncwarp();
    }
  }
  for (uint32_t i = lane; i < count; i += 32) {
    const uint32_t age = shared.notes[i];
    if (i > 0 && shared.notes[i - 1] == age) continue;
    uint32_t bands = 1;
    while (i + bands < count && shared.notes[i + bands] == age) ++bands;
    found[atomicAdd(&batch.counts[kWindowFound], 1u)] = Verify(batch, text, age, bands);
  }
}

// Word t of a text goes into the ring; the texts' places are those behind the head.
__device__ inline void StoreWord(const WindowBatch& batch, uint32_t text, uint32_t t) {
  static_assert(sizeof(WindowText) == 4 * kStoreThreads);
  const Sketch& sketch = batch.sketches[batch.row_of[text]];
  uint64_t slot = batch.head_slot + text;
  if (slot >= batch.ring_texts) slot -= batch.ring_texts;
  WindowText& stored = batch.ring[slot];
  if (t < 32) {
    stored.older[t] = batch.older[text * kBands + t];
  } else if (t < 48) {
    reinterpret_cast<uint32_t*>(stored.oph)[t - 32] =
        reinterpret_cast<const uint32_t*>(sketch.oph)[t - 32];
  } else {
    reinterpret_cast<uint32_t*>(stored.simhash)[t - 48] =
        reinterpret_cast<const uint32_t*>(sketch.simhash)[t - 48];
  }
  if (t == 0) batch.ring_ids[slot] = batch.row_ids[batch.row_of[text]];
}

__device__ inline void SweepBucket(const WindowBatch& batch, uint64_t bucket) {
  for (uint32_t i = 0; i < kBucketEntries; ++i) {
    BucketEntry& entry = batch.buckets[bucket].entries[i];
    if (entry.count != 0 && !batch.ages.Live(entry.newest)) entry = {};
  }
}

}  // namespace stillwatch::gpu
