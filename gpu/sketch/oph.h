// OPH-128: one-permutation MinHash (Li, Owen, Zhang 2012) over shingles of three tokens, with
// optimal densification (Shrivastava 2017). Kernel bodies: every function is pure and takes its
// position. docs/sketches.md has the definition in words; tests hold it against independent golden
// vectors.
#pragma once

#include <cstdint>

#include "base/hash.h"
#include "base/mutant.h"
#include "gpu/backend.h"
#include "gpu/host_device.h"
#include "gpu/sketch/seeds.h"

namespace stillwatch::gpu {

// A bin that no shingle fell into, before densification.
inline constexpr uint32_t kEmptyBin = 0xffffffffu;
// Shingle hashes are cut here, so that none equals kEmptyBin.
inline constexpr uint32_t kShingleHashMax = 0xffffff7fu;

// A text is one segment, or two when it has a cut inside. A segment of n tokens has max(1, n - 2)
// shingles, none when n is 0: the only shingle of one or two tokens is what there is.
struct Segments {
  uint32_t first_end;  // the first segment is [0, first_end), the second [first_end, tokens)
};
SW_HOST_DEVICE inline Segments SegmentsOf(uint32_t tokens, uint32_t cut) {
  return {cut > 0 && cut < tokens ? cut : tokens};
}
SW_HOST_DEVICE inline uint32_t ShinglesOf(uint32_t segment_tokens) {
  if (segment_tokens == 0) return 0;
  if (segment_tokens <= kShingleTokens) return 1;
  if (MutantIs("gpu.shingle_count")) return segment_tokens - kShingleTokens;
  return segment_tokens - kShingleTokens + 1;
}

// The shingle that starts at `at`, in a segment that ends at `end` (at < end).
SW_HOST_DEVICE inline uint32_t ShingleHash(const uint32_t* tokens, uint32_t at, uint32_t end,
                                           uint32_t seed) {
  const uint32_t length = end - at < kShingleTokens ? end - at : kShingleTokens;
  uint32_t sum = seed + length * kPrime4 + tokens[at] * kPrime1;
  if (length > 1) sum += tokens[at + 1] * kPrime2;
  if (length > 2) sum += tokens[at + 2] * kPrime3;
  const uint32_t hash = Mix32(sum);
  return hash < kShingleHashMax ? hash : kShingleHashMax;
}

SW_HOST_DEVICE inline uint32_t BinOf(uint32_t shingle_hash) { return shingle_hash % kOphBins; }

// Bin i's probes for densification: first(i) + a * step(i) modulo 128 for a = 0, 1, 2 ...; the odd
// step visits every bin, so 128 attempts always end at a full bin when there is one.
struct ProbeSequence {
  uint32_t first;
  uint32_t step;
};
SW_HOST_DEVICE inline ProbeSequence ProbesOf(uint32_t bin, uint32_t seed) {
  const uint32_t x = Mix32(seed + bin * kPrime1);
  return {x % kOphBins, (x >> 7) % kOphBins | 1u};
}
// The bin whose value an empty `bin` takes. At least one bin must be full.
SW_HOST_DEVICE inline uint32_t DonorOf(uint32_t bin, const uint32_t* bins, uint32_t seed) {
  const ProbeSequence probes = ProbesOf(bin, seed);
  uint32_t donor = probes.first;
  while (bins[donor] == kEmptyBin) donor = (donor + probes.step) % kOphBins;
  return donor;
}

// Key of band b from the full-width values of bins 4b .. 4b+3.
SW_HOST_DEVICE inline uint32_t BandKey(const uint32_t* values, uint32_t band, uint32_t seed) {
  return Mix32(values[4 * band] * kPrime1 + values[4 * band + 1] * kPrime2 +
               values[4 * band + 2] * kPrime3 + values[4 * band + 3] * kPrime4 +
               (band + 1) * kPrime5 + seed);
}

// What is kept of a bin to verify candidates: four bits that neither name the bin (the low seven)
// nor are pulled to zero by taking minima (the high ones).
SW_HOST_DEVICE inline uint32_t BinNibble(uint32_t value) { return value >> 7 & 15u; }

// Bins of 128 that agree in two packed sketches of 64 bytes.
SW_HOST_DEVICE inline uint32_t EqualNibbles(uint64_t a, uint64_t b) {
  uint64_t differ = a ^ b;
  differ |= differ >> 2;
  differ |= differ >> 1;
  differ &= 0x1111111111111111ull;
#if defined(__CUDA_ARCH__)
  return 16 - __popcll(differ);
#else
  return 16 - static_cast<uint32_t>(__builtin_popcountll(differ));
#endif
}

}  // namespace stillwatch::gpu
