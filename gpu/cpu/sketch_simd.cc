// The vectorised sketch, compiled once for each instruction set (Highway picks at run time).
// OPH: shingle hashes a vector at a time; densification with AVX-512 by walking the probe sequences of
//   32 bins side by side, the full bins being 128 bits of a register; elsewhere by solving each empty
//   bin's probe sequence for the attempt that reaches each full bin, and taking the least.
// SimHash: counters are bit slices: tokens of equal weight go through carry-save adders (Harley and
//   Seal; Mula, Kurz, Lemire 2018), whose outputs ripple into 20 planes; the comparison with half
//   of all weights runs on the planes, so no counter is ever unpacked.
// Embedding: rows of equal weight are summed in int16 (at most 256 of them), then shifted into
// int32.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "gpu/cpu/sketch_simd.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include <bit>
#include <cstring>

#include "gpu/cpu/sketch_row.h"
#include "gpu/sketch/oph.h"
#include "gpu/sketch/simhash.h"

#ifndef STILLWATCH_GPU_CPU_SKETCH_SIMD_ONCE
#define STILLWATCH_GPU_CPU_SKETCH_SIMD_ONCE
namespace stillwatch::gpu {

inline constexpr uint32_t kChunkTokens = 256;  // int16 sums of int8 rows cannot overflow
inline constexpr uint32_t kPad = 16;           // whole vectors may be stored past a list's end
inline constexpr uint32_t kPlanes = 20;        // weights of a text sum to at most 2^19

struct alignas(64) SimdScratch {
  // Bin i is reached from full bin j at attempt (j - first) / step mod 128; j * mul + add, modulo
  // 2^16, is that attempt in the upper 7 bits and j in the lower ones.
  uint16_t donor_mul[kOphBins];
  uint16_t donor_add[kOphBins];
  uint16_t donors[kOphBins];
  uint16_t probe_first[kOphBins];  // ProbesOf each bin
  uint16_t probe_step[kOphBins];
  uint32_t bins[kOphBins];
  uint32_t hashes[kChunkTokens + kPad];
  uint32_t by_weight[kWeightShifts][kChunkTokens + kPad];
  uint32_t planes[kPlanes][kSimHashWords32];
  int32_t sums[kEmbeddingDims];
};

}  // namespace stillwatch::gpu
#endif

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

// ---- OPH

HWY_INLINE void TakeMinimum(uint32_t hash, uint32_t* bins) {
  uint32_t& bin = bins[BinOf(hash)];
  bin = hash < bin ? hash : bin;
}

HWY_INLINE void AddSegment(const SketchTables& tables, const uint32_t* tokens, uint32_t begin,
                           uint32_t end, SimdScratch* scratch) {
  const D32 d;
  const uint32_t seed = tables.seeds.shingle;
  const V32 base = hn::Set(d, seed + kShingleTokens * kPrime4);
  const V32 prime1 = hn::Set(d, kPrime1);
  const V32 prime2 = hn::Set(d, kPrime2);
  const V32 prime3 = hn::Set(d, kPrime3);
  const V32 hash_max = hn::Set(d, kShingleHashMax);
  const uint32_t shingles = ShinglesOf(end - begin);
  const uint32_t in_vectors = shingles / kLanes * kLanes;  // 0 when the only shingle is short
  uint32_t* hashes = scratch->hashes;
  for (uint32_t done = 0; done < in_vectors;) {
    const uint32_t count = HWY_MIN(in_vectors - done, kChunkTokens);
    const uint32_t* at = tokens + begin + done;
    for (uint32_t i = 0; i < count; i += kLanes) {
      V32 sum = hn::Add(base, hn::Mul(hn::LoadU(d, at + i), prime1));
      sum = hn::Add(sum, hn::Mul(hn::LoadU(d, at + i + 1), prime2));
      sum = hn::Add(sum, hn::Mul(hn::LoadU(d, at + i + 2), prime3));
      hn::Store(hn::Min(MixLanes(sum), hash_max), d, hashes + i);
    }
    for (uint32_t i = 0; i < count; ++i) TakeMinimum(hashes[i], scratch->bins);
    done += count;
  }
  for (uint32_t i = in_vectors; i < shingles; ++i) {
    TakeMinimum(ShingleHash(tokens, begin + i, end, seed), scratch->bins);
  }
}

#if HWY_TARGET <= HWY_AVX3

// Walks the probe sequences of 32 empty bins side by side. full: bit b % 16 of word b / 16 is set when
// bin b is full; empty: the lanes that look for a donor. At least one bin is full.
HWY_INLINE __m512i WalkProbes(__m512i first, __m512i step, __m512i full, __mmask32 empty) {
  const __m512i ones = _mm512_set1_epi16(1);
  const __m512i bin_mask = _mm512_set1_epi16(kOphBins - 1);
  const __m512i bit_mask = _mm512_set1_epi16(15);
  __m512i bin = first;
  for (;;) {
    const __m512i word = _mm512_permutexvar_epi16(_mm512_srli_epi16(bin, 4), full);
    const __m512i bit = _mm512_sllv_epi16(ones, _mm512_and_si512(bin, bit_mask));
    empty &= _mm512_testn_epi16_mask(word, bit);
    if (empty == 0) return bin;
    bin = _mm512_mask_add_epi16(bin, empty, bin, step);
    bin = _mm512_and_si512(bin, bin_mask);
  }
}

// Sixteen of the 128 bins, which lie in eight registers.
HWY_INLINE __m512i LookUpBins(const __m512i* bins, __m512i at) {
  const __m512i low = _mm512_permutex2var_epi32(bins[0], at, bins[1]);
  const __m512i second = _mm512_permutex2var_epi32(bins[2], at, bins[3]);
  const __m512i third = _mm512_permutex2var_epi32(bins[4], at, bins[5]);
  const __m512i high = _mm512_permutex2var_epi32(bins[6], at, bins[7]);
  const __mmask16 odd = _mm512_test_epi32_mask(at, _mm512_set1_epi32(32));
  const __mmask16 upper = _mm512_test_epi32_mask(at, _mm512_set1_epi32(64));
  return _mm512_mask_blend_epi32(upper, _mm512_mask_blend_epi32(odd, low, second),
                                 _mm512_mask_blend_epi32(odd, third, high));
}

HWY_INLINE void Densify(const SketchTables& /*tables*/, SimdScratch* scratch, uint32_t* values) {
  const __m512i empty_bin = _mm512_set1_epi32(-1);
  const __m512i bins[8] = {
      _mm512_load_si512(scratch->bins),      _mm512_load_si512(scratch->bins + 16),
      _mm512_load_si512(scratch->bins + 32), _mm512_load_si512(scratch->bins + 48),
      _mm512_load_si512(scratch->bins + 64), _mm512_load_si512(scratch->bins + 80),
      _mm512_load_si512(scratch->bins + 96), _mm512_load_si512(scratch->bins + 112)};
  alignas(16) uint16_t words[8];
  for (size_t i = 0; i < 8; ++i) {
    words[i] = static_cast<uint16_t>(_mm512_cmpneq_epi32_mask(bins[i], empty_bin));
  }
  const __m512i full = _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(words)));
  for (size_t i = 0; i < 4; ++i) {
    const __mmask32 empty = ~(static_cast<uint32_t>(words[2 * i + 1]) << 16 | words[2 * i]);
    const __m512i donors = WalkProbes(_mm512_load_si512(scratch->probe_first + 32 * i),
                                      _mm512_load_si512(scratch->probe_step + 32 * i), full, empty);
    const __m512i low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(donors));
    const __m512i high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(donors, 1));
    _mm512_store_si512(values + 32 * i, _mm512_mask_mov_epi32(bins[2 * i], static_cast<__mmask16>(empty),
                                                              LookUpBins(bins, low)));
    _mm512_store_si512(values + 32 * i + 16,
                       _mm512_mask_mov_epi32(bins[2 * i + 1], static_cast<__mmask16>(empty >> 16),
                                             LookUpBins(bins, high)));
  }
}

#else

// Above this many full bins, probing the few empty ones is cheaper than solving for all.
constexpr uint32_t kFullBinsToProbe = 100;

// donors[i] = the full bin that bin i takes its value from, for every i.
HWY_INLINE void SolveDonors(const uint16_t* full, uint32_t full_count, SimdScratch* scratch) {
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

HWY_INLINE void Densify(const SketchTables& tables, SimdScratch* scratch, uint32_t* values) {
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

#endif

HWY_INLINE void Oph(const SketchTables& tables, const uint32_t* tokens, uint32_t count,
                    uint32_t cut, SimdScratch* scratch, Sketch* out) {
  std::memset(scratch->bins, 0xff, sizeof scratch->bins);
  const uint32_t first_end = SegmentsOf(count, cut).first_end;
  AddSegment(tables, tokens, 0, first_end, scratch);
  AddSegment(tables, tokens, first_end, count, scratch);

  alignas(64) uint32_t values[kOphBins];
  Densify(tables, scratch, values);
  for (uint32_t b = 0; b < kBands; ++b) out->bands[b] = BandKey(values, b, tables.seeds.band);
  for (uint32_t i = 0; i < kOphBins / 2; ++i) {
    out->oph[i] =
        static_cast<uint8_t>(BinNibble(values[2 * i]) | BinNibble(values[2 * i + 1]) << 4);
  }
}

// ---- Tokens of a chunk by weight

struct WeightCounts {
  uint32_t tokens[kWeightShifts];
};

HWY_INLINE WeightCounts SplitByWeight(const SketchTables& tables, const uint32_t* tokens,
                                      uint32_t count, SimdScratch* scratch) {
  const D32 d;
  const hn::RebindToSigned<D32> di;
  const RarityView& table = tables.rarity;
  const int32_t* lower = reinterpret_cast<const int32_t*>(table.entries);
  const int32_t* upper = lower + table.half_mask + 1;
  const V32 half_mask = hn::Set(d, table.half_mask);
  const V32 low_byte = hn::Set(d, 255);
  const V32 zero = hn::Zero(d);
  const V32 unknown = hn::Set(d, table.unknown_class);
  WeightCounts counts = {};
  uint32_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const V32 token = hn::LoadU(d, tokens + i);
    const V32 high = hn::ShiftRight<8>(token);
    const V32 low = hn::And(token, low_byte);
    const auto place = [&](uint32_t multiplier) HWY_ATTR {
      const V32 hashed = hn::ShiftRight<12>(hn::Mul(high, hn::Set(d, multiplier)));
      return hn::BitCast(di, hn::And(hn::Add(hashed, low), half_mask));
    };
    const auto found = [&](V32 entry) HWY_ATTR {
      const auto same = hn::Eq(hn::ShiftRight<8>(entry), high);
      return hn::IfThenElseZero(same, hn::And(entry, low_byte));
    };
    const V32 one = hn::BitCast(d, hn::GatherIndex(di, lower, place(kRarityPlace1)));
    const V32 two = hn::BitCast(d, hn::GatherIndex(di, upper, place(kRarityPlace2)));
    V32 rarity = hn::Or(found(one), found(two));  // a hash is listed at one place only
    rarity = hn::IfThenElse(hn::Eq(rarity, zero), unknown, rarity);
    // Classes fall into weights at 80, 128 and 176: see WeightShiftOf.
    const auto from1 = hn::Gt(rarity, hn::Set(d, 79));
    const auto from2 = hn::Gt(rarity, hn::Set(d, 127));
    const auto from3 = hn::Gt(rarity, hn::Set(d, 175));
#if HWY_TARGET <= HWY_AVX3
    const auto append = [&](uint32_t k, auto is_weight) HWY_ATTR {
      hn::StoreU(hn::Compress(token, is_weight), d, scratch->by_weight[k] + counts.tokens[k]);
      counts.tokens[k] += static_cast<uint32_t>(hn::CountTrue(d, is_weight));
    };
    append(0, hn::Not(from1));
    append(1, hn::AndNot(from2, from1));
    append(2, hn::AndNot(from3, from2));
    append(3, from3);
#else  // without an instruction for it Compress is slower than going token by token
    alignas(64) uint32_t shifts[kLanes];
    const V32 negated = hn::Add(hn::Add(hn::VecFromMask(d, from1), hn::VecFromMask(d, from2)),
                                hn::VecFromMask(d, from3));
    hn::Store(hn::Sub(zero, negated), d, shifts);
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const uint32_t k = shifts[lane];
      scratch->by_weight[k][counts.tokens[k]++] = tokens[i + lane];
    }
#endif
  }
  for (; i < count; ++i) {
    const uint32_t k = WeightShiftOf(RarityClassOf(table, tokens[i]));
    scratch->by_weight[k][counts.tokens[k]++] = tokens[i];
  }
  return counts;
}

// ---- SimHash

// (sum, carry) of three bit vectors; the sum stays in `a`.
HWY_INLINE V32 CarrySave(V32& a, V32 b, V32 c) {
#if HWY_TARGET <= HWY_AVX3
  const V32 carry{_mm512_ternarylogic_epi32(a.raw, b.raw, c.raw, 0xe8)};  // majority
  a = hn::Xor3(a, b, c);
#else
  const V32 differ = hn::Xor(a, b);
  const V32 carry = hn::OrAnd(hn::And(a, b), differ, c);
  a = hn::Xor(differ, c);
#endif
  return carry;
}

// Adds one bit vector into the planes, at plane `from`.
HWY_INLINE void Ripple(V32 carry, uint32_t from, uint32_t planes, uint32_t* plane0) {
  const D32 d;
  for (uint32_t p = from; p < planes; ++p) {
    uint32_t* plane = plane0 + p * kSimHashWords32;
    const V32 old = hn::Load(d, plane);
    hn::Store(hn::Xor(old, carry), d, plane);
    carry = hn::And(old, carry);
  }
}

// Four tokens into the running sums; the carry of weight 4. Tokens past `count` count as nothing,
// which only the last call of a list has to look at.
template <bool kWhole>
HWY_INLINE V32 CountFour(const uint32_t* tokens, uint32_t count, V32 word_seed, V32& ones,
                         V32& twos) {
  const D32 d;
  V32 words[4];
#pragma GCC unroll 4
  for (uint32_t i = 0; i < 4; ++i) {
    words[i] =
        kWhole || i < count ? MixLanes(hn::Xor(hn::Set(d, tokens[i]), word_seed)) : hn::Zero(d);
  }
  const V32 twos_a = CarrySave(ones, words[0], words[1]);
  const V32 twos_b = CarrySave(ones, words[2], words[3]);
  return CarrySave(twos, twos_a, twos_b);
}

// Counts, for kLanes words of the expansion, the tokens of one weight into the planes.
HWY_INLINE void CountTokens(const uint32_t* tokens, uint32_t count, uint32_t shift, uint32_t planes,
                            V32 word_seed, uint32_t* plane0) {
  const D32 d;
  V32 ones = hn::Zero(d), twos = ones, fours = ones, eights = ones;
  uint32_t i = 0;
  for (; i + 16 <= count; i += 16) {
    V32 fours_a = CountFour<true>(tokens + i, 4, word_seed, ones, twos);
    V32 fours_b = CountFour<true>(tokens + i + 4, 4, word_seed, ones, twos);
    const V32 eights_a = CarrySave(fours, fours_a, fours_b);
    fours_a = CountFour<true>(tokens + i + 8, 4, word_seed, ones, twos);
    fours_b = CountFour<true>(tokens + i + 12, 4, word_seed, ones, twos);
    const V32 eights_b = CarrySave(fours, fours_a, fours_b);
    Ripple(CarrySave(eights, eights_a, eights_b), shift + 4, planes, plane0);
  }
  for (; i < count; i += 4) {
    const V32 fours_a = CountFour<false>(tokens + i, count - i, word_seed, ones, twos);
    const V32 eights_a = hn::And(fours, fours_a);
    fours = hn::Xor(fours, fours_a);
    Ripple(hn::And(eights, eights_a), shift + 4, planes, plane0);
    eights = hn::Xor(eights, eights_a);
  }
  Ripple(ones, shift, planes, plane0);
  Ripple(twos, shift + 1, planes, plane0);
  Ripple(fours, shift + 2, planes, plane0);
  Ripple(eights, shift + 3, planes, plane0);
}

// Bits whose count in the planes is more than half of weight_all.
HWY_INLINE V32 MoreThanHalf(const uint32_t* plane0, uint32_t planes, uint32_t weight_all) {
  const D32 d;
  const uint32_t half = weight_all / 2;  // 2 * count > all  <=>  count > floor(all / 2)
  V32 more = hn::Zero(d);
  V32 equal = hn::Not(more);
  for (uint32_t p = planes; p-- > 0;) {
    const V32 plane = hn::Load(d, plane0 + p * kSimHashWords32);
    if ((half >> p & 1) != 0) {
      equal = hn::And(equal, plane);
    } else {
      more = hn::OrAnd(more, equal, plane);
      equal = hn::AndNot(plane, equal);
    }
  }
  return more;
}

// ---- Embedding

// sums[0 .. lanes of V) += vector << shift.
template <class V>
HWY_INLINE void AddShifted(V vector, int shift, int32_t* sums) {
  const hn::DFromV<V> d16;
  const hn::Half<decltype(d16)> half;
  const hn::RepartitionToWide<decltype(d16)> d32;
  int32_t* upper = sums + hn::MaxLanes(d32);
  const auto low_sums = hn::PromoteTo(d32, hn::LowerHalf(half, vector));
  const auto high_sums = hn::PromoteTo(d32, hn::UpperHalf(half, vector));
  hn::Store(hn::Add(hn::Load(d32, sums), hn::ShiftLeftSame(low_sums, shift)), d32, sums);
  hn::Store(hn::Add(hn::Load(d32, upper), hn::ShiftLeftSame(high_sums, shift)), d32, upper);
}

HWY_INLINE void SumRows(const EmbeddingView& table, const uint32_t* tokens, uint32_t count,
                        int shift, int32_t* sums) {
  const hn::CappedTag<int16_t, 32> d16;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  constexpr size_t kLanes16 = hn::MaxLanes(d16);
  for (size_t first = 0; first < kEmbeddingDims; first += 4 * kLanes16) {
    auto a = hn::Zero(d16), b = a, c = a, e = a;
    for (uint32_t i = 0; i < count; ++i) {
      const int8_t* row = EmbeddingRow(table, tokens[i]) + first;
      a = hn::Add(a, hn::PromoteTo(d16, hn::Load(d8, row)));
      b = hn::Add(b, hn::PromoteTo(d16, hn::Load(d8, row + kLanes16)));
      c = hn::Add(c, hn::PromoteTo(d16, hn::Load(d8, row + 2 * kLanes16)));
      e = hn::Add(e, hn::PromoteTo(d16, hn::Load(d8, row + 3 * kLanes16)));
    }
    AddShifted(a, shift, sums + first);
    AddShifted(b, shift, sums + first + kLanes16);
    AddShifted(c, shift, sums + first + 2 * kLanes16);
    AddShifted(e, shift, sums + first + 3 * kLanes16);
  }
}

HWY_INLINE void ScaleSums(const int32_t* sums, int8_t* out) {
  const hn::CappedTag<int32_t, 16> d;
  const hn::RepartitionToWide<decltype(d)> d64;
  const hn::Rebind<int8_t, decltype(d)> d8;
  constexpr size_t kLanesI = hn::MaxLanes(d);
  auto squares = hn::Zero(d64);
  for (size_t i = 0; i < kEmbeddingDims; i += kLanesI) {
    const auto even = hn::Load(d, sums + i);
    const auto odd = hn::BitCast(
        d, hn::ShiftRight<32>(hn::BitCast(hn::RebindToUnsigned<decltype(d64)>(), even)));
    squares = hn::Add(squares, hn::MulEven(even, even));
    squares = hn::Add(squares, hn::MulEven(odd, odd));
  }
  const int64_t sum_of_squares = hn::GetLane(hn::SumOfLanes(d64, squares));
  const EmbeddingScale scale = EmbeddingScaleOf(static_cast<uint64_t>(sum_of_squares));
  const auto factor = hn::Set(d, scale.factor);
  const auto half = hn::Set(d, 0x8000);
  for (size_t i = 0; i < kEmbeddingDims; i += kLanesI) {
    const auto shifted = hn::ShiftRightSame(hn::Load(d, sums + i), static_cast<int>(scale.shift));
    auto scaled = hn::ShiftRight<16>(hn::Add(hn::Mul(shifted, factor), half));
    scaled = hn::Max(hn::Min(scaled, hn::Set(d, 127)), hn::Set(d, -127));
    hn::StoreU(hn::DemoteTo(d8, scaled), d8, out + i);
  }
}

// SimHash and embedding share the split of tokens by weight.
template <bool kSimHash, bool kEmbedding>
HWY_INLINE void SumTokens(const SketchTables& tables, const uint32_t* tokens, uint32_t count,
                          SimdScratch* scratch, Sketch* out) {
  const uint32_t planes = static_cast<uint32_t>(std::bit_width(count << (kWeightShifts - 1)));
  std::memset(scratch->planes, 0, planes * sizeof scratch->planes[0]);
  std::memset(scratch->sums, 0, sizeof scratch->sums);
  const D32 d;
  uint32_t weight_all = 0;
  for (uint32_t done = 0; done < count; done += kChunkTokens) {
    const uint32_t in_chunk = HWY_MIN(count - done, kChunkTokens);
    if constexpr (kEmbedding) {
      for (uint32_t i = 0; i < in_chunk; ++i) {
        const int8_t* row = EmbeddingRow(tables.embedding, tokens[done + i]);
        __builtin_prefetch(row);
        __builtin_prefetch(row + 64);
      }
    }
    const WeightCounts counts = SplitByWeight(tables, tokens + done, in_chunk, scratch);
    for (uint32_t k = 0; k < kWeightShifts; ++k) {
      if (counts.tokens[k] == 0) continue;
      weight_all += counts.tokens[k] << k;
      for (uint32_t j = 0; kSimHash && j < kSimHashWords32; j += kLanes) {
        CountTokens(scratch->by_weight[k], counts.tokens[k], k, planes,
                    hn::LoadU(d, tables.seeds.simhash + j), scratch->planes[0] + j);
      }
      if constexpr (kEmbedding) {
        SumRows(tables.embedding, scratch->by_weight[k], counts.tokens[k], static_cast<int>(k),
                scratch->sums);
      }
    }
  }
  if constexpr (kSimHash) {
    alignas(64) uint32_t words[kSimHashWords32];
    for (uint32_t j = 0; j < kSimHashWords32; j += kLanes) {
      hn::Store(MoreThanHalf(scratch->planes[0] + j, planes, weight_all), d, words + j);
    }
    std::memcpy(out->simhash, words, sizeof words);  // little-endian: word 2k is the low half
  }
  if constexpr (kEmbedding) ScaleSums(scratch->sums, out->embedding);
}

template <bool kOph, bool kSimHash, bool kEmbedding>
HWY_INLINE void SketchParts(const SketchTables& tables, const uint32_t* tokens, uint32_t count,
                            uint32_t cut, SimdScratch* scratch, Sketch* out) {
  std::memset(static_cast<void*>(out), 0, sizeof *out);
  out->versions = tables.versions;
  out->tokens = count;
  if (count == 0) return;
  if constexpr (kOph) Oph(tables, tokens, count, cut, scratch, out);
  if constexpr (kSimHash || kEmbedding) {
    SumTokens<kSimHash, kEmbedding>(tables, tokens, count, scratch, out);
  }
}

void SketchRow(const SketchTables& tables, const uint32_t* tokens, uint32_t count, uint32_t cut,
               SimdScratch* scratch, Sketch* out) {
  SketchParts<true, true, true>(tables, tokens, count, cut, scratch, out);
}
void OphRow(const SketchTables& tables, const uint32_t* tokens, uint32_t count, uint32_t cut,
            SimdScratch* scratch, Sketch* out) {
  SketchParts<true, false, false>(tables, tokens, count, cut, scratch, out);
}
void SimHashRow(const SketchTables& tables, const uint32_t* tokens, uint32_t count, uint32_t cut,
                SimdScratch* scratch, Sketch* out) {
  SketchParts<false, true, false>(tables, tokens, count, cut, scratch, out);
}
void EmbeddingOnlyRow(const SketchTables& tables, const uint32_t* tokens, uint32_t count,
                      uint32_t cut, SimdScratch* scratch, Sketch* out) {
  SketchParts<false, false, true>(tables, tokens, count, cut, scratch, out);
}

}  // namespace stillwatch::gpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace stillwatch::gpu {

HWY_EXPORT(SketchRow);
HWY_EXPORT(OphRow);
HWY_EXPORT(SimHashRow);
HWY_EXPORT(EmbeddingOnlyRow);

SimdChoice ChooseSketchRowSimd(SketchPart part) {
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  const int64_t best = hwy::SupportedTargets() & -hwy::SupportedTargets() & HWY_TARGETS;
  const char* name = best <= HWY_AVX3   ? "avx512"
                     : best == HWY_AVX2 ? "avx2"
                     : best == HWY_SSE4 ? "sse4"
                                        : "simd128";
  switch (part) {
    case SketchPart::kOph:
      return {&HWY_DYNAMIC_DISPATCH(OphRow), name};
    case SketchPart::kSimHash:
      return {&HWY_DYNAMIC_DISPATCH(SimHashRow), name};
    case SketchPart::kEmbedding:
      return {&HWY_DYNAMIC_DISPATCH(EmbeddingOnlyRow), name};
    case SketchPart::kAll:
      break;
  }
  return {&HWY_DYNAMIC_DISPATCH(SketchRow), name};
}

SimdScratch* NewSimdScratch(uint32_t probe_seed) {
  auto* scratch = new SimdScratch();
  for (uint32_t i = 0; i < kOphBins; ++i) {
    const ProbeSequence probes = ProbesOf(i, probe_seed);
    scratch->probe_first[i] = static_cast<uint16_t>(probes.first);
    scratch->probe_step[i] = static_cast<uint16_t>(probes.step);
    uint32_t inverse = 1;
    while (inverse * probes.step % kOphBins != 1) inverse += 2;
    scratch->donor_mul[i] = static_cast<uint16_t>((inverse << 9) + 1);
    scratch->donor_add[i] = static_cast<uint16_t>((0u - probes.first * inverse) << 9);
  }
  return scratch;
}

void DeleteSimdScratch(SimdScratch* scratch) { delete scratch; }

}  // namespace stillwatch::gpu
#endif
