// Dot-product tiles for AVX2 and AVX-512 (pmaddwd on values widened to int16: exact for every int8) and
// for AVX-512 VNNI (vpdpbusd on values plus 128; the sums start at -128 times the sum of the query). The
// queries of an AVX2 tile are spelt out by a parameter pack: in a loop GCC -O2 keeps the sums in memory.
#include <algorithm>
#include <climits>
#include <cstring>
#include <utility>

#include "gpu/join/representatives.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace stillwatch::gpu {
namespace {

#pragma GCC push_options
#pragma GCC target("avx2")

constexpr uint32_t kAvx2Queries = 4;

[[gnu::always_inline]] inline void Avx2Step(__m256i low, __m256i high, const int16_t* query, __m256i* sums) {
  int32_t pair;
  std::memcpy(&pair, query, 4);
  const __m256i group = _mm256_set1_epi32(pair);
  sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(low, group));
  sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(high, group));
}

[[gnu::always_inline]] inline uint64_t Avx2Above(const __m256i* sums, int32_t threshold, int32_t* dots) {
  const __m256i least = _mm256_set1_epi32(threshold);
  uint64_t above = 0;
  for (uint32_t half = 0; half < 2; ++half) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(dots + 8 * half), sums[half]);
    const int mask = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(sums[half], least)));
    above |= static_cast<uint64_t>(static_cast<uint32_t>(mask)) << (8 * half);
  }
  return above;
}

template <uint32_t... q>
void Avx2Rows(std::integer_sequence<uint32_t, q...>, const uint8_t* at, const int16_t* wide,
              const int32_t* thresholds, int32_t* dots, uint64_t* above, uint32_t row) {
  __m256i sums[sizeof...(q)][2];
  ((sums[q][0] = sums[q][1] = _mm256_setzero_si256()), ...);
  for (uint32_t d = 0; d < kEmbeddingDims; d += 2, at += 2 * kBlockRows) {
    const __m256i low = _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(at)));
    const __m256i high = _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(at + 16)));
    (Avx2Step(low, high, wide + q * kEmbeddingDims + d, sums[q]), ...);
  }
  ((above[q] |= Avx2Above(sums[q], thresholds[q], dots + q * kBlockRows + row) << row), ...);
}

void Avx2Tile(const uint8_t* block, const int8_t* queries, uint32_t query_count,
              const int32_t* /*starts*/, const int32_t* thresholds, int32_t* dots, uint64_t* above) {
  alignas(32) int16_t wide[kAvx2Queries * kEmbeddingDims] = {};
  int32_t least[kAvx2Queries] = {};
  uint64_t found[kAvx2Queries] = {};
  for (uint32_t i = 0; i < query_count * kEmbeddingDims; ++i) wide[i] = queries[i];
  for (uint32_t q = 0; q < query_count; ++q) least[q] = thresholds[q];
  for (uint32_t row = 0; row < kBlockRows; row += 16) {
    Avx2Rows(std::make_integer_sequence<uint32_t, kAvx2Queries>(), block + row * 2, wide, least, dots,
             found, row);
  }
  for (uint32_t q = 0; q < query_count; ++q) above[q] = found[q];
}
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw")

constexpr uint32_t kAvx512Queries = 4;

[[gnu::always_inline]] inline void Avx512Step(__m512i low, __m512i high, const int16_t* query, __m512i* sums) {
  int32_t pair;
  std::memcpy(&pair, query, 4);
  const __m512i group = _mm512_set1_epi32(pair);
  sums[0] = _mm512_add_epi32(sums[0], _mm512_madd_epi16(low, group));
  sums[1] = _mm512_add_epi32(sums[1], _mm512_madd_epi16(high, group));
}

[[gnu::always_inline]] inline uint64_t Avx512Above(const __m512i* sums, int32_t threshold, int32_t* dots) {
  const __m512i least = _mm512_set1_epi32(threshold);
  _mm512_storeu_si512(dots, sums[0]);
  _mm512_storeu_si512(dots + 16, sums[1]);
  return static_cast<uint64_t>(_mm512_cmpgt_epi32_mask(sums[0], least)) |
         static_cast<uint64_t>(_mm512_cmpgt_epi32_mask(sums[1], least)) << 16;
}

// 32 rows by all queries.
template <uint32_t... q>
void Avx512Rows(std::integer_sequence<uint32_t, q...>, const uint8_t* at, const int16_t* wide,
                const int32_t* thresholds, int32_t* dots, uint64_t* above, uint32_t row) {
  __m512i sums[sizeof...(q)][2];
  ((sums[q][0] = sums[q][1] = _mm512_setzero_si512()), ...);
  for (uint32_t d = 0; d < kEmbeddingDims; d += 2, at += 2 * kBlockRows) {
    const __m512i low = _mm512_cvtepi8_epi16(_mm256_load_si256(reinterpret_cast<const __m256i*>(at)));
    const __m512i high = _mm512_cvtepi8_epi16(_mm256_load_si256(reinterpret_cast<const __m256i*>(at + 32)));
    (Avx512Step(low, high, wide + q * kEmbeddingDims + d, sums[q]), ...);
  }
  ((above[q] |= Avx512Above(sums[q], thresholds[q], dots + q * kBlockRows + row) << row), ...);
}

void Avx512Tile(const uint8_t* block, const int8_t* queries, uint32_t query_count,
                const int32_t* /*starts*/, const int32_t* thresholds, int32_t* dots, uint64_t* above) {
  alignas(64) int16_t wide[kAvx512Queries * kEmbeddingDims] = {};
  int32_t least[kAvx512Queries] = {};
  uint64_t found[kAvx512Queries] = {};
  for (uint32_t i = 0; i < query_count * kEmbeddingDims; ++i) wide[i] = queries[i];
  for (uint32_t q = 0; q < query_count; ++q) least[q] = thresholds[q];
  for (uint32_t row = 0; row < kBlockRows; row += 32) {
    Avx512Rows(std::make_integer_sequence<uint32_t, kAvx512Queries>(), block + row * 2, wide, least,
               dots, found, row);
  }
  for (uint32_t q = 0; q < query_count; ++q) above[q] = found[q];
}
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vnni")

constexpr uint32_t kVnniQueries =
    6;  // 24 sums, 4 block vectors and one query group in 32 registers

// The sums of a tile, in zmm8 to zmm31: query q has zmm(8 + 4q) to zmm(11 + 4q), one for each 16 rows.
// zmm0 to zmm3 hold the rows' group of four dimensions, zmm4 the query's. Assembly, since GCC 12 copies
// the sum of the intrinsic to and fro and then runs out of registers: 24 sums have room for no copy.
#define ACCUMULATE(offset, a, b, c, d)                       \
  "vpbroadcastd " offset "(%[query]), %%zmm4\n"              \
  "vpdpbusd %%zmm4, %%zmm0, %%zmm" #a "\n"                   \
  "vpdpbusd %%zmm4, %%zmm1, %%zmm" #b "\n"                   \
  "vpdpbusd %%zmm4, %%zmm2, %%zmm" #c "\n"                   \
  "vpdpbusd %%zmm4, %%zmm3, %%zmm" #d "\n"
#define START(offset, a, b, c, d)                            \
  "vpbroadcastd " offset "(%[starts]), %%zmm" #a "\n"        \
  "vmovdqa64 %%zmm" #a ", %%zmm" #b "\n"                     \
  "vmovdqa64 %%zmm" #a ", %%zmm" #c "\n"                     \
  "vmovdqa64 %%zmm" #a ", %%zmm" #d "\n"
#define COMPARE(offset, a, b, c, d)                          \
  "vpbroadcastd " offset "(%[thresholds]), %%zmm4\n"         \
  "vpcmpgtd %%zmm4, %%zmm" #a ", %%k1\n"                     \
  "vpcmpgtd %%zmm4, %%zmm" #b ", %%k2\n"                     \
  "vpcmpgtd %%zmm4, %%zmm" #c ", %%k3\n"                     \
  "vpcmpgtd %%zmm4, %%zmm" #d ", %%k4\n"                     \
  "kunpckwd %%k1, %%k2, %%k2\n"                              \
  "kunpckwd %%k3, %%k4, %%k4\n"                              \
  "kunpckdq %%k2, %%k4, %%k4\n"
#define STORE(at, offset, a, b, c, d)                        \
  "kmovq %%k4, " at "(%[above])\n"                           \
  "kortestq %%k4, %%k4\n"                                    \
  "je 3f\n"                                                  \
  "vmovdqu64 %%zmm" #a ", " offset "(%[dots])\n"             \
  "vmovdqu64 %%zmm" #b ", " offset "+64(%[dots])\n"          \
  "vmovdqu64 %%zmm" #c ", " offset "+128(%[dots])\n"         \
  "vmovdqu64 %%zmm" #d ", " offset "+192(%[dots])\n"         \
  "3:\n"

// All kVnniQueries queries; the caller pads.
void VnniTileOfSix(const uint8_t* block, const int8_t* queries, const int32_t* starts,
                   const int32_t* thresholds, int32_t* dots, uint64_t* above) {
  static_assert(kVnniQueries == 6 && kEmbeddingDims == 128 && kBlockRows == 64);
  uint64_t groups = kEmbeddingDims / 4;
  asm volatile(
      START("0", 8, 9, 10, 11) START("4", 12, 13, 14, 15) START("8", 16, 17, 18, 19)
      START("12", 20, 21, 22, 23) START("16", 24, 25, 26, 27) START("20", 28, 29, 30, 31)
      "2:\n"
      "vmovdqa64 (%[block]), %%zmm0\n"
      "vmovdqa64 64(%[block]), %%zmm1\n"
      "vmovdqa64 128(%[block]), %%zmm2\n"
      "vmovdqa64 192(%[block]), %%zmm3\n"
      ACCUMULATE("0", 8, 9, 10, 11) ACCUMULATE("128", 12, 13, 14, 15)
      ACCUMULATE("256", 16, 17, 18, 19) ACCUMULATE("384", 20, 21, 22, 23)
      ACCUMULATE("512", 24, 25, 26, 27) ACCUMULATE("640", 28, 29, 30, 31)
      "addq $256, %[block]\n"
      "addq $4, %[query]\n"
      "decq %[groups]\n"
      "jne 2b\n"
      COMPARE("0", 8, 9, 10, 11) STORE("0", "0", 8, 9, 10, 11)
      COMPARE("4", 12, 13, 14, 15) STORE("8", "256", 12, 13, 14, 15)
      COMPARE("8", 16, 17, 18, 19) STORE("16", "512", 16, 17, 18, 19)
      COMPARE("12", 20, 21, 22, 23) STORE("24", "768", 20, 21, 22, 23)
      COMPARE("16", 24, 25, 26, 27) STORE("32", "1024", 24, 25, 26, 27)
      COMPARE("20", 28, 29, 30, 31) STORE("40", "1280", 28, 29, 30, 31)
      : [block] "+r"(block), [query] "+r"(queries), [groups] "+r"(groups)
      : [starts] "r"(starts), [thresholds] "r"(thresholds), [dots] "r"(dots), [above] "r"(above)
      : "memory", "cc", "k1", "k2", "k3", "k4", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm8", "xmm9",
        "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19",
        "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29",
        "xmm30", "xmm31");
}
#undef ACCUMULATE
#undef START
#undef COMPARE
#undef STORE

void VnniTile(const uint8_t* block, const int8_t* queries, uint32_t query_count,
              const int32_t* starts, const int32_t* thresholds, int32_t* dots, uint64_t* above) {
  if (query_count == kVnniQueries) {
    return VnniTileOfSix(block, queries, starts, thresholds, dots, above);
  }
  int8_t padded[kVnniQueries * kEmbeddingDims] = {};
  int32_t start[kVnniQueries] = {}, least[kVnniQueries];
  uint64_t found[kVnniQueries];
  std::memcpy(padded, queries, query_count * kEmbeddingDims);
  std::memcpy(start, starts, query_count * sizeof starts[0]);
  std::fill(least, least + kVnniQueries, INT32_MAX);  // nothing is above
  std::memcpy(least, thresholds, query_count * sizeof thresholds[0]);
  VnniTileOfSix(block, padded, start, least, dots, found);
  std::memcpy(above, found, query_count * sizeof found[0]);
}
#pragma GCC pop_options

}  // namespace

DotKernel Avx2DotKernel() {
  return {"avx2", 2, 0, kAvx2Queries, FeaturesOfThisCpu().avx2 ? Avx2Tile : nullptr};
}
DotKernel Avx512DotKernel() {
  return {"avx512", 2, 0, kAvx512Queries, FeaturesOfThisCpu().avx512 ? Avx512Tile : nullptr};
}
DotKernel VnniDotKernel() {
  const CpuFeatures features = FeaturesOfThisCpu();
  const bool runs = features.avx512 && features.vnni;
  return {"avx512-vnni", 4, 0x80, kVnniQueries, runs ? VnniTile : nullptr};
}

}  // namespace stillwatch::gpu

#else

namespace stillwatch::gpu {
DotKernel Avx2DotKernel() { return {"avx2", 2, 0, 4, nullptr}; }
DotKernel Avx512DotKernel() { return {"avx512", 2, 0, 4, nullptr}; }
DotKernel VnniDotKernel() { return {"avx512-vnni", 4, 0x80, 6, nullptr}; }
}  // namespace stillwatch::gpu

#endif
