// The vectorised sketch, compiled once for each instruction set (Highway picks at run time).
// OPH: oph_simd.h.
// SimHash: counters are bit slices: tokens of equal weight go through carry-save adders (Harley and
//   Seal; Mula, Kurz, Lemire 2018), whose outputs ripple into 20 planes; the comparison with half
//   of all weights runs on the planes, so no counter is ever unpacked.
// Embedding: rows of equal weight are summed in int16 (at most 256 of them), then shifted into
// int32.
#define HWY_WANT_AVX3_DL  // VBMI
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "gpu/cpu/sketch_simd.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include <bit>
#include <cstring>

#include "gpu/cpu/oph_simd.h"
#include "gpu/cpu/sketch_row.h"
#include "gpu/sketch/simhash.h"

#ifndef STILLWATCH_GPU_CPU_SKETCH_SIMD_ONCE
#define STILLWATCH_GPU_CPU_SKETCH_SIMD_ONCE
namespace stillwatch::gpu {

inline constexpr uint32_t kChunkTokens = 256;  // int16 sums of int8 rows cannot overflow
inline constexpr uint32_t kPad = 16;           // whole vectors may be stored past a list's end
inline constexpr uint32_t kPlanes = 20;        // weights of a text sum to at most 2^19

struct alignas(64) SimdScratch {
  OphScratch oph;
  uint32_t by_weight[kWeightShifts][kChunkTokens + kPad] = {};
  uint32_t planes[kPlanes][kSimHashWords32] = {};
  int32_t sums[kEmbeddingDims] = {};

  explicit SimdScratch(const SketchSeeds& seeds) : oph(seeds.probe, seeds.band) {}
};

}  // namespace stillwatch::gpu
#endif

HWY_BEFORE_NAMESPACE();
namespace stillwatch::gpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

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
  const hn::CappedTag<uint8_t, 64> d;
  auto* bytes = reinterpret_cast<uint8_t*>(out);  // by stores: the compiler would take `rep stos`
  for (size_t i = 0; i < sizeof *out; i += hn::MaxLanes(d)) hn::Store(hn::Zero(d), d, bytes + i);
  out->versions = tables.versions;
  out->tokens = count;
  if (count == 0) return;
  if constexpr (kOph) Oph(tables, tokens, count, cut, &scratch->oph, out);
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

SimdScratch* NewSimdScratch(const SketchSeeds& seeds) {
  return new SimdScratch(seeds);
}

void DeleteSimdScratch(SimdScratch* scratch) { delete scratch; }

}  // namespace stillwatch::gpu
#endif
