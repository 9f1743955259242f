// What the window's kernels and their host code agree on.
#pragma once

#include <cstdint>

#include "gpu/backend.h"
#include "gpu/window/bucket.h"
#include "gpu/window/window.h"

namespace stillwatch::gpu {

inline constexpr uint32_t kWindowThreads = 128;  // of the kernels with a thread an item
inline constexpr uint32_t kStoreThreads = 64;    // one block a text, one thread a word
inline constexpr uint32_t kNotesMax = 2'048;     // candidates of a row before equal ones are joined
inline constexpr uint32_t kItemTextBits = 27;    // of an item: (band, key) above, text below
inline constexpr uint32_t kInsertTextBits = 17;  // of an insert: bucket, text, band in the low 5

// One batch, by value. Addresses are device memory.
struct WindowBatch {
  Bucket* buckets;
  uint64_t bucket_count;
  WindowText* ring;
  uint64_t* ring_ids;
  uint64_t ring_texts;
  uint64_t head_slot;
  const Sketch* sketches;
  const uint64_t* row_ids;
  const uint32_t* row_of;  // row of the batch's i-th text that has tokens
  uint64_t* items;         // sorted by (band, key), text; padded with ~0 to a power of two
  uint64_t* inserts;       // sorted by bucket, text, band; padded likewise
  uint32_t* older;         // texts x kBands
  uint32_t* popular;       // texts
  uint32_t* counts;        // of kWindow.. below
  WindowAges ages;
  uint32_t head;  // low 32 bits of the first text's sequence number
  uint32_t texts;
  uint32_t padded;  // items with padding
  uint32_t pairs_max;
};
inline constexpr uint32_t kWindowEvicted = 0, kWindowPopular = 1, kWindowFound = 2;
inline constexpr uint32_t kWindowCounts = 3;

// A candidate before those of one id are joined. age: of its text, 1 for the batch's last.
struct WindowFound {
  uint64_t id;
  uint32_t row;
  uint32_t age;
  uint16_t bands, oph_equal, simhash_distance, reserved;
};
static_assert(sizeof(WindowFound) == 24);

}  // namespace stillwatch::gpu
