// One bucket of the LSH window: a cache line of eight entries. Kernel bodies.
//
// An entry stands for one (band, key) and points at the newest text that has it; from there the
// texts' own links lead to older ones (window.h). Bucket address and tag together are exactly
// (band, key), so two keys are never taken for one another. Texts are named by sequence number, of
// which an entry keeps 32 bits: ages (numbers back from the end of the batch) are exact as long as
// dead entries are swept out before 2^32 texts have passed, which the window does. The epoch of an
// entry is that of its newest text, so it needs no field: epochs are ranges of sequence numbers.
#pragma once

#include <cstdint>

#include "gpu/host_device.h"

namespace stillwatch::gpu {

inline constexpr uint32_t kBucketEntries = 8;
inline constexpr uint32_t kBandKeyBits = 37;  // band in the low 5
inline constexpr uint32_t kTagBits = 20;
inline constexpr uint64_t kBucketsMin = 1ull << (kBandKeyBits - kTagBits);
inline constexpr uint32_t kEntryCountMax = 63;

struct BucketEntry {
  uint32_t newest;
  uint32_t tag : 20;
  uint32_t count_before : 6;  // texts of the epoch before the newest text's, saturating
  uint32_t count : 6;         // texts of the newest text's epoch, saturating; 0: the entry is empty
};
static_assert(sizeof(BucketEntry) == 8);

struct alignas(64) Bucket {
  BucketEntry entries[kBucketEntries];
};

// Ages of one batch. A text that the batch brings has age 1 (the last) .. rows (the first).
struct WindowAges {
  uint32_t end;         // low 32 bits of the sequence number after the batch
  uint32_t rows;        // texts of the batch
  uint32_t live_max;    // an older text no longer matches
  uint32_t epoch_max;   // age of the oldest text of this epoch
  uint32_t before_max;  // age of the oldest text of the epoch before

  SW_HOST_DEVICE uint32_t AgeOf(uint32_t sequence) const { return end - sequence; }
  SW_HOST_DEVICE bool Live(uint32_t sequence) const { return AgeOf(sequence) <= live_max; }
};

SW_HOST_DEVICE inline uint64_t BandKeyWithBand(uint32_t key, uint32_t band) {
  return static_cast<uint64_t>(key) << 5 | band;
}
SW_HOST_DEVICE inline uint64_t BucketOf(uint64_t band_key, uint64_t buckets) {
#if defined(__CUDA_ARCH__)
  return __umul64hi(band_key << (64 - kBandKeyBits), buckets);
#else
  return static_cast<uint64_t>(static_cast<unsigned __int128>(band_key) * buckets >> kBandKeyBits);
#endif
}
SW_HOST_DEVICE inline uint32_t TagOf(uint64_t band_key) {
  return static_cast<uint32_t>(band_key) & ((1u << kTagBits) - 1);
}

// Index of the live entry with this tag, or kBucketEntries.
SW_HOST_DEVICE inline uint32_t FindLive(const Bucket& bucket, uint32_t tag,
                                        const WindowAges& ages) {
  for (uint32_t i = 0; i < kBucketEntries; ++i) {
    const BucketEntry& entry = bucket.entries[i];
    if (entry.tag == tag && entry.count != 0 && ages.Live(entry.newest)) return i;
  }
  return kBucketEntries;
}

// Texts of a live entry in this epoch and the one before.
struct EntryCounts {
  uint32_t before;
  uint32_t now;
};
SW_HOST_DEVICE inline EntryCounts CountsOf(const BucketEntry& entry, const WindowAges& ages) {
  const uint32_t age = ages.AgeOf(entry.newest);
  if (age <= ages.epoch_max) return {entry.count_before, entry.count};
  if (age <= ages.before_max) return {entry.count, 0};
  return {0, 0};
}

// Makes `sequence` the newest text of `tag`. A full bucket gives up its oldest entry (the lower
// index of two as old); true when that one was still live.
SW_HOST_DEVICE inline bool InsertKey(Bucket& bucket, uint32_t tag, uint32_t sequence,
                                     const WindowAges& ages) {
  uint32_t at = FindLive(bucket, tag, ages);
  if (at != kBucketEntries) {
    BucketEntry& entry = bucket.entries[at];
    const EntryCounts counts = CountsOf(entry, ages);
    entry.newest = sequence;
    entry.count_before = counts.before;
    entry.count = counts.now < kEntryCountMax ? counts.now + 1 : kEntryCountMax;
    return false;
  }
  uint32_t oldest_age = 0;
  bool evicts = true;
  for (uint32_t i = 0; i < kBucketEntries && evicts; ++i) {
    const BucketEntry& entry = bucket.entries[i];
    const uint32_t age = ages.AgeOf(entry.newest);
    evicts = entry.count != 0 && age <= ages.live_max;
    if (!evicts || age > oldest_age) {
      oldest_age = age;
      at = i;
    }
  }
  BucketEntry& entry = bucket.entries[at];
  entry.newest = sequence;
  entry.tag = tag;
  entry.count_before = 0;
  entry.count = 1;
  return evicts;
}

}  // namespace stillwatch::gpu
