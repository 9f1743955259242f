// OPH-128 and band keys of one text, vectorised. Included by sketch_simd.cc once for each instruction set; all
// of them equal gpu/sketch/oph.h bit for bit.
//   Bins: hashes a vector at a time; the minima one by one, in general registers.
//   Densification: with AVX-512 the probe sequences of all bins are walked side by side. A full bin is its own
//   donor, so values come out of one table look-up in any order: in stripes (the values of bins 0, 4, 8 ..,
//   then those of bins 1, 5, 9 ..), as band keys and packed bins need them. With VBMI the 128 bins are bytes
//   of two registers, and a step of all sequences is two look-ups; without it they are bits.
//   Elsewhere each empty bin's probe sequence is solved for the attempt that reaches each full bin.
#ifndef STILLWATCH_GPU_CPU_OPH_SIMD_ONCE
#define STILLWATCH_GPU_CPU_OPH_SIMD_ONCE
#include <cstring>

#include "gpu/cpu/sketch_row.h"
#include "gpu/sketch/oph.h"

namespace stillwatch::gpu {

inline constexpr uint32_t kOphHashes = 256;  // made before their bins are updated
inline constexpr uint32_t kOphPad = 16;      // a last vector may begin before the others' end

// Constants of the probe seed and the band seed, and what a text needs while it is sketched.
struct alignas(64) OphScratch {
  // Lane l of 128 in stripes is bin 4 * (l % 32) + l / 32.
  uint8_t stripe_bin[kOphBins];
  uint8_t stripe_first[kOphBins];  // ProbesOf that bin
  uint8_t stripe_step[kOphBins];
  uint32_t band_base[kBands];  // what BandKey adds to the values
  // Bin i is reached from full bin j at attempt (j - first) / step mod 128; j * mul + add, modulo
  // 2^16, is that attempt in the upper 7 bits and j in the lower ones.
  uint16_t donor_mul[kOphBins];
  uint16_t donor_add[kOphBins];
  uint16_t donors[kOphBins];
  uint32_t bins[kOphBins];
  uint32_t hashes[kOphPad + kOphHashes + kOphPad];

  OphScratch(uint32_t probe_seed, uint32_t band_seed) {
    for (uint32_t lane = 0; lane < kOphBins; ++lane) {
      const uint32_t bin = 4 * (lane % 32) + lane / 32;
      const ProbeSequence probes = ProbesOf(bin, probe_seed);
      stripe_bin[lane] = static_cast<uint8_t>(bin);
      stripe_first[lane] = static_cast<uint8_t>(probes.first);
      stripe_step[lane] = static_cast<uint8_t>(probes.step);
      uint32_t inverse = 1;
      while (inverse * probes.step % kOphBins != 1) inverse += 2;
      donor_mul[bin] = static_cast<uint16_t>((inverse << 9) + 1);
      donor_add[bin] = static_cast<uint16_t>((0u - probes.first * inverse) << 9);
    }
    for (uint32_t band = 0; band < kBands; ++band) band_base[band] = (band + 1) * kPrime5 + band_seed;
  }
};

}  // namespace stillwatch::gpu
#endif

#if defined(STILLWATCH_GPU_CPU_OPH_SIMD_H) == defined(HWY_TARGET_TOGGLE)
#ifdef STILLWATCH_GPU_CPU_OPH_SIMD_H
#undef STILLWATCH_GPU_CPU_OPH_SIMD_H
#else
#define STILLWATCH_GPU_CPU_OPH_SIMD_H
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace stillwatch::gpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D32 = hn::CappedTag<uint32_t, 16>;
using V32 = hn::Vec<D32>;
constexpr size_t kLanes = hn::MaxLanes(D32());

HWY_INLINE V32 MixLanes(V32 x) {
  const D32 d;
  x = hn::Xor(x, hn::ShiftRight<16>(x));
  x = hn::Mul(x, hn::Set(d, 0x85ebca6bu));
  x = hn::Xor(x, hn::ShiftRight<13>(x));
  x = hn::Mul(x, hn::Set(d, 0xc2b2ae35u));
  return hn::Xor(x, hn::ShiftRight<16>(x));
}

// ---- Bins

// The compiler would take the minimum in a vector register, and wait for the way there and back.
HWY_INLINE void TakeMinimum(uint32_t hash, uint32_t* bins) {
  uint32_t* bin = bins + BinOf(hash);
  uint32_t least = *bin;
  asm("" : "+r"(hash), "+r"(least));
  *bin = hash < least ? hash : least;
}

// Hashes of `count` (1..kOphHashes) shingles of three tokens that start at `tokens`. A vector's worth of
// shingles must be there: the last vector begins early rather than end late, and `hashes` has room before it.
HWY_INLINE void HashShingles(const uint32_t* tokens, uint32_t count, uint32_t seed, uint32_t* hashes) {
  const D32 d;
  const V32 base = hn::Set(d, seed + kShingleTokens * kPrime4);
  const V32 prime1 = hn::Set(d, kPrime1);
  const V32 prime2 = hn::Set(d, kPrime2);
  const V32 prime3 = hn::Set(d, kPrime3);
  const V32 hash_max = hn::Set(d, kShingleHashMax);
  const auto hash_at = [&](ptrdiff_t i) HWY_ATTR {
    V32 sum = hn::Add(base, hn::Mul(hn::LoadU(d, tokens + i), prime1));
    sum = hn::Add(sum, hn::Mul(hn::LoadU(d, tokens + i + 1), prime2));
    sum = hn::Add(sum, hn::Mul(hn::LoadU(d, tokens + i + 2), prime3));
    hn::StoreU(hn::Min(MixLanes(sum), hash_max), d, hashes + i);
  };
  const auto lanes = static_cast<ptrdiff_t>(kLanes), last = static_cast<ptrdiff_t>(count) - lanes;
  for (ptrdiff_t i = 0; i < last; i += lanes) hash_at(i);
  hash_at(last);
}

HWY_INLINE void AddSegment(uint32_t seed, const uint32_t* tokens, uint32_t begin, uint32_t end,
                           OphScratch* scratch) {
  const uint32_t shingles = ShinglesOf(end - begin);
  if (shingles < kLanes) {
    for (uint32_t i = 0; i < shingles; ++i) {
      TakeMinimum(ShingleHash(tokens, begin + i, end, seed), scratch->bins);
    }
    return;
  }
  uint32_t* hashes = scratch->hashes + kOphPad;
  for (uint32_t done = 0; done < shingles; done += kOphHashes) {
    const uint32_t count = HWY_MIN(shingles - done, kOphHashes);
    HashShingles(tokens + begin + done, count, seed, hashes);
    for (uint32_t i = 0; i < count; ++i) TakeMinimum(hashes[i], scratch->bins);
  }
}

// ---- Densification

#if HWY_TARGET <= HWY_AVX3

// The 128 bins as they lie in eight registers.
struct BinRegisters {
  __m512i part[8];

  // Of 16 bins by number, their values.
  HWY_INLINE __m512i At(__m512i at) const {
    const __m512i low = _mm512_permutex2var_epi32(part[0], at, part[1]);
    const __m512i second = _mm512_permutex2var_epi32(part[2], at, part[3]);
    const __m512i third = _mm512_permutex2var_epi32(part[4], at, part[5]);
    const __m512i high = _mm512_permutex2var_epi32(part[6], at, part[7]);
    const __mmask16 odd = _mm512_test_epi32_mask(at, _mm512_set1_epi32(32));
    const __mmask16 upper = _mm512_test_epi32_mask(at, _mm512_set1_epi32(64));
    return _mm512_mask_blend_epi32(upper, _mm512_mask_blend_epi32(odd, low, second),
                                   _mm512_mask_blend_epi32(odd, third, high));
  }
  HWY_INLINE uint64_t Empty(size_t quarter_pair) const {  // of 64 bins, a bit for each empty one
    const __m512i empty = _mm512_set1_epi32(static_cast<int>(kEmptyBin));
    uint64_t bits = 0;
    for (size_t i = 0; i < 4; ++i) {
      const __mmask16 mask = _mm512_cmpeq_epi32_mask(part[4 * quarter_pair + i], empty);
      bits |= uint64_t{mask} << (16 * i);
    }
    return bits;
  }
};

// The donors of all bins, one a byte, in stripes. At least one bin is full.
struct Donors {
  __m512i low, high;
};

#if HWY_TARGET <= HWY_AVX3_DL

HWY_INLINE Donors FindDonors(const OphScratch& scratch, uint64_t empty_low, uint64_t empty_high) {
  const __m512i table_low = _mm512_movm_epi8(empty_low), table_high = _mm512_movm_epi8(empty_high);
  // All ones where the bin is empty. Of a bin's number the look-up takes the lower seven bits.
  const auto empty = [&](__m512i bin) HWY_ATTR {
    return _mm512_permutex2var_epi8(table_low, bin, table_high);
  };
  const auto step = [](__m512i bin, __m512i step, __m512i is_empty) HWY_ATTR {
    return _mm512_add_epi8(bin, _mm512_and_si512(step, is_empty));
  };
  const __m512i step_low = _mm512_load_si512(scratch.stripe_step);
  const __m512i step_high = _mm512_load_si512(scratch.stripe_step + 64);
  const auto start = [&](size_t lane) HWY_ATTR {
    const __m512i self = _mm512_load_si512(scratch.stripe_bin + lane);
    return _mm512_mask_mov_epi8(self, _mm512_movepi8_mask(empty(self)),
                                _mm512_load_si512(scratch.stripe_first + lane));
  };
  Donors at = {start(0), start(64)};
  for (;;) {
    __m512i any = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int attempt = 0; attempt < 4; ++attempt) {
      const __m512i of_low = empty(at.low), of_high = empty(at.high);
      at.low = step(at.low, step_low, of_low);
      at.high = step(at.high, step_high, of_high);
      any = _mm512_or_si512(of_low, of_high);
    }
    if (_mm512_test_epi8_mask(any, any) == 0) break;
  }
  const __m512i number = _mm512_set1_epi8(kOphBins - 1);
  return {_mm512_and_si512(at.low, number), _mm512_and_si512(at.high, number)};
}

#else

// 32 bins, 16 bits each. full: bit b % 16 of word b / 16 is set when bin b is full.
HWY_INLINE __m256i WalkProbes(const OphScratch& scratch, size_t lane, __m512i full) {
  const auto load = [lane](const uint8_t* from) HWY_ATTR {
    return _mm512_cvtepu8_epi16(_mm256_load_si256(reinterpret_cast<const __m256i*>(from + lane)));
  };
  const auto is_empty = [full](__m512i bin) HWY_ATTR {
    const __m512i word = _mm512_permutexvar_epi16(_mm512_srli_epi16(bin, 4), full);
    const __m512i bit = _mm512_and_si512(bin, _mm512_set1_epi16(15));
    return _mm512_testn_epi16_mask(word, _mm512_sllv_epi16(_mm512_set1_epi16(1), bit));
  };
  const __m512i step = load(scratch.stripe_step);
  __m512i bin = load(scratch.stripe_bin);
  bin = _mm512_mask_mov_epi16(bin, is_empty(bin), load(scratch.stripe_first));
  for (;;) {
    const __mmask32 empty = is_empty(bin);
    if (empty == 0) return _mm512_cvtepi16_epi8(bin);
    bin = _mm512_mask_add_epi16(bin, empty, bin, step);
    bin = _mm512_and_si512(bin, _mm512_set1_epi16(kOphBins - 1));
  }
}

HWY_INLINE Donors FindDonors(const OphScratch& scratch, uint64_t empty_low, uint64_t empty_high) {
  const __m512i full = _mm512_broadcast_i32x4(
      _mm_set_epi64x(static_cast<int64_t>(~empty_high), static_cast<int64_t>(~empty_low)));
  const auto half = [&](size_t lane) HWY_ATTR {
    return _mm512_inserti64x4(_mm512_castsi256_si512(WalkProbes(scratch, lane, full)),
                              WalkProbes(scratch, lane + 32, full), 1);
  };
  return {half(0), half(64)};
}

#endif

// 16 bands: their keys, and their bins cut to four bits. v: values of their first, second, third and fourth bins.
HWY_INLINE void FinishBands(const OphScratch& scratch, size_t band, const __m512i (&v)[4], Sketch* out) {
  const auto times = [&](size_t i, uint32_t prime) HWY_ATTR {
    return _mm512_mullo_epi32(v[i], _mm512_set1_epi32(static_cast<int>(prime)));
  };
  const __m512i sum = _mm512_add_epi32(
      _mm512_add_epi32(times(0, kPrime1), times(1, kPrime2)),
      _mm512_add_epi32(_mm512_add_epi32(times(2, kPrime3), times(3, kPrime4)),
                       _mm512_load_si512(scratch.band_base + band)));
  _mm512_store_si512(out->bands + band, MixLanes(V32{sum}).raw);

  // BinNibble of each, in its place of 16 bits. 0xca takes its second where the mask is set, else its third.
  const __m512i upper = _mm512_ternarylogic_epi32(_mm512_set1_epi32(0xf0), _mm512_srli_epi32(v[1], 3),
                                                  _mm512_srli_epi32(v[0], 7), 0xca);
  const __m512i top = _mm512_ternarylogic_epi32(_mm512_set1_epi32(0xf000), _mm512_slli_epi32(v[3], 5),
                                                _mm512_slli_epi32(v[2], 1), 0xca);
  const __m512i packed = _mm512_ternarylogic_epi32(_mm512_set1_epi32(0xff00), top, upper, 0xca);
  static_assert(sizeof out->oph == kBands * 2);
  _mm256_store_si256(reinterpret_cast<__m256i*>(out->oph + 2 * band), _mm512_cvtepi32_epi16(packed));
}

HWY_INLINE void FinishOph(const SketchTables& /*tables*/, OphScratch* scratch, Sketch* out) {
  BinRegisters bins;
#pragma GCC unroll 8
  for (size_t i = 0; i < 8; ++i) bins.part[i] = _mm512_load_si512(scratch->bins + 16 * i);
  const Donors donors = FindDonors(*scratch, bins.Empty(0), bins.Empty(1));
  const auto values = [&bins](__m512i of, auto quarter) HWY_ATTR {
    return bins.At(_mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(of, quarter)));
  };
  using std::integral_constant;
  const integral_constant<int, 0> q0;
  const integral_constant<int, 1> q1;
  const integral_constant<int, 2> q2;
  const integral_constant<int, 3> q3;
  FinishBands(*scratch, 0, {values(donors.low, q0), values(donors.low, q2), values(donors.high, q0), values(donors.high, q2)}, out);
  FinishBands(*scratch, 16, {values(donors.low, q1), values(donors.low, q3), values(donors.high, q1), values(donors.high, q3)}, out);
}

#else

// Above this many full bins, probing the few empty ones is cheaper than solving for all.
constexpr uint32_t kFullBinsToProbe = 100;

// donors[i] = the full bin that bin i takes its value from, for every i.
HWY_INLINE void SolveDonors(const uint16_t* full, uint32_t full_count, OphScratch* scratch) {
  const hn::CappedTag<uint16_t, 32> d;
  constexpr size_t kLanes16 = hn::MaxLanes(d);
  constexpr size_t kGroup = 4;  // vectors in registers at once
  static_assert(kOphBins % (kGroup * kLanes16) == 0);
  using V = hn::Vec<decltype(d)>;
  for (size_t at = 0; at < kOphBins; at += kGroup * kLanes16) {
    V mul[kGroup], add[kGroup], least[kGroup];
    for (size_t g = 0; g < kGroup; ++g) {
      mul[g] = hn::Load(d, scratch->donor_mul + at + g * kLanes16);
      add[g] = hn::Load(d, scratch->donor_add + at + g * kLanes16);
      least[g] = hn::Set(d, 0xffff);
    }
    for (uint32_t k = 0; k < full_count; ++k) {
      const V j = hn::Set(d, full[k]);
      for (size_t g = 0; g < kGroup; ++g) {
        least[g] = hn::Min(least[g], hn::Add(hn::Mul(j, mul[g]), add[g]));
      }
    }
    for (size_t g = 0; g < kGroup; ++g) {
      hn::Store(hn::And(least[g], hn::Set(d, kOphBins - 1)), d,
                scratch->donors + at + g * kLanes16);
    }
  }
}

HWY_INLINE void Densify(const SketchTables& tables, OphScratch* scratch, uint32_t* values) {
  uint16_t full[kOphBins];
  uint32_t full_count = 0;
  for (uint32_t i = 0; i < kOphBins; ++i) {
    full[full_count] = static_cast<uint16_t>(i);
    full_count += scratch->bins[i] != kEmptyBin ? 1 : 0;
  }
  std::memcpy(values, scratch->bins, sizeof scratch->bins);
  if (full_count == kOphBins) return;
  if (full_count >= kFullBinsToProbe) {
    for (uint32_t i = 0; i < kOphBins; ++i) {
      if (scratch->bins[i] == kEmptyBin) {
        values[i] = scratch->bins[DonorOf(i, scratch->bins, tables.seeds.probe)];
      }
    }
    return;
  }
  SolveDonors(full, full_count, scratch);
  for (uint32_t i = 0; i < kOphBins; ++i) {
    const uint32_t taken = scratch->bins[scratch->donors[i]];
    values[i] = scratch->bins[i] != kEmptyBin ? scratch->bins[i] : taken;
  }
}

HWY_INLINE void FinishOph(const SketchTables& tables, OphScratch* scratch, Sketch* out) {
  alignas(64) uint32_t values[kOphBins];
  Densify(tables, scratch, values);
  for (uint32_t b = 0; b < kBands; ++b) out->bands[b] = BandKey(values, b, tables.seeds.band);
  for (uint32_t i = 0; i < kOphBins / 2; ++i) {
    out->oph[i] =
        static_cast<uint8_t>(BinNibble(values[2 * i]) | BinNibble(values[2 * i + 1]) << 4);
  }
}

#endif

// count > 0.
HWY_INLINE void Oph(const SketchTables& tables, const uint32_t* tokens, uint32_t count,
                    uint32_t cut, OphScratch* scratch, Sketch* out) {
  std::memset(scratch->bins, 0xff, sizeof scratch->bins);
  const uint32_t first_end = SegmentsOf(count, cut).first_end;
  AddSegment(tables.seeds.shingle, tokens, 0, first_end, scratch);
  if (first_end != count) AddSegment(tables.seeds.shingle, tokens, first_end, count, scratch);
  FinishOph(tables, scratch, out);
}

}  // namespace stillwatch::gpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
