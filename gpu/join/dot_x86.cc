// Dot-product tiles for AVX2 (pmaddwd on values widened to int16: exact for every int8) and for
// AVX-512 VNNI (vpdpbusd on values plus 128, put right by 128 times the sum of the query).
#include <cstring>

#include "gpu/join/representatives.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace stillwatch::gpu {
namespace {

#pragma GCC push_options
#pragma GCC target("avx2")

constexpr uint32_t kAvx2Queries = 4;

void Avx2Tile(const uint8_t* block, const int8_t* queries, uint32_t query_count,
              const int32_t* thresholds, int32_t* dots, uint64_t* above) {
  alignas(32) int16_t wide[kAvx2Queries][kEmbeddingDims] = {};
  for (uint32_t q = 0; q < query_count; ++q) {
    for (uint32_t d = 0; d < kEmbeddingDims; ++d) wide[q][d] = queries[q * kEmbeddingDims + d];
    above[q] = 0;
  }
  for (uint32_t row = 0; row < kBlockRows; row += 16) {
    __m256i sums[kAvx2Queries][2];
    for (auto& pair : sums) pair[0] = pair[1] = _mm256_setzero_si256();
    for (uint32_t d = 0; d < kEmbeddingDims; d += 2) {
      const uint8_t* at = block + d * kBlockRows + row * 2;
      const __m256i low =
          _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(at)));
      const __m256i high =
          _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(at + 16)));
#pragma GCC unroll 4
      for (uint32_t q = 0; q < kAvx2Queries; ++q) {
        int32_t pair;
        std::memcpy(&pair, &wide[q][d], 4);
        const __m256i query = _mm256_set1_epi32(pair);
        sums[q][0] = _mm256_add_epi32(sums[q][0], _mm256_madd_epi16(low, query));
        sums[q][1] = _mm256_add_epi32(sums[q][1], _mm256_madd_epi16(high, query));
      }
    }
    for (uint32_t q = 0; q < query_count; ++q) {
      const __m256i threshold = _mm256_set1_epi32(thresholds[q]);
      for (uint32_t half = 0; half < 2; ++half) {
        _mm256_store_si256(reinterpret_cast<__m256i*>(dots + q * kBlockRows + row + 8 * half),
                           sums[q][half]);
        const int mask =
            _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(sums[q][half], threshold)));
        above[q] |= static_cast<uint64_t>(static_cast<uint32_t>(mask)) << (row + 8 * half);
      }
    }
  }
}
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vnni")

constexpr uint32_t kVnniQueries =
    6;  // 24 sums, 4 block vectors and one query group in 32 registers

template <uint32_t kQueries>
void VnniTileOf(const uint8_t* block, const int8_t* queries, const int32_t* thresholds,
                int32_t* dots, uint64_t* above) {
  __m512i sums[kQueries][4];
#pragma GCC unroll 6
  for (uint32_t q = 0; q < kQueries; ++q) {
    // sum(query) by vpdpbusd with ones; the stored values are 128 too large.
    const __m512i* at = reinterpret_cast<const __m512i*>(queries + q * kEmbeddingDims);
    __m512i ones = _mm512_setzero_si512();
    ones = _mm512_dpbusd_epi32(ones, _mm512_set1_epi8(1), _mm512_loadu_si512(at));
    ones = _mm512_dpbusd_epi32(ones, _mm512_set1_epi8(1), _mm512_loadu_si512(at + 1));
    const __m512i start = _mm512_set1_epi32(-128 * _mm512_reduce_add_epi32(ones));
    for (auto& sum : sums[q]) sum = start;
  }
  for (uint32_t d = 0; d < kEmbeddingDims; d += 4) {
    const __m512i* at = reinterpret_cast<const __m512i*>(block + d * kBlockRows);
    const __m512i row0 = _mm512_loadu_si512(at);
    const __m512i row1 = _mm512_loadu_si512(at + 1);
    const __m512i row2 = _mm512_loadu_si512(at + 2);
    const __m512i row3 = _mm512_loadu_si512(at + 3);
#pragma GCC unroll 6
    for (uint32_t q = 0; q < kQueries; ++q) {
      int32_t four;
      std::memcpy(&four, queries + q * kEmbeddingDims + d, 4);
      const __m512i query = _mm512_set1_epi32(four);
      sums[q][0] = _mm512_dpbusd_epi32(sums[q][0], row0, query);
      sums[q][1] = _mm512_dpbusd_epi32(sums[q][1], row1, query);
      sums[q][2] = _mm512_dpbusd_epi32(sums[q][2], row2, query);
      sums[q][3] = _mm512_dpbusd_epi32(sums[q][3], row3, query);
    }
  }
#pragma GCC unroll 6
  for (uint32_t q = 0; q < kQueries; ++q) {
    const __m512i threshold = _mm512_set1_epi32(thresholds[q]);
    above[q] = 0;
#pragma GCC unroll 4
    for (uint32_t v = 0; v < 4; ++v) {
      _mm512_storeu_si512(dots + q * kBlockRows + 16 * v, sums[q][v]);
      above[q] |= static_cast<uint64_t>(_mm512_cmpgt_epi32_mask(sums[q][v], threshold)) << (16 * v);
    }
  }
}

void VnniTile(const uint8_t* block, const int8_t* queries, uint32_t query_count,
              const int32_t* thresholds, int32_t* dots, uint64_t* above) {
  switch (query_count) {
    case 1:
      return VnniTileOf<1>(block, queries, thresholds, dots, above);
    case 2:
      return VnniTileOf<2>(block, queries, thresholds, dots, above);
    case 3:
      return VnniTileOf<3>(block, queries, thresholds, dots, above);
    case 4:
      return VnniTileOf<4>(block, queries, thresholds, dots, above);
    case 5:
      return VnniTileOf<5>(block, queries, thresholds, dots, above);
    case 6:
      return VnniTileOf<6>(block, queries, thresholds, dots, above);
    default:
      CHECK(false);
  }
}
#pragma GCC pop_options

}  // namespace

DotKernel Avx2DotKernel() {
  return {"avx2", 2, 0, kAvx2Queries, __builtin_cpu_supports("avx2") ? Avx2Tile : nullptr};
}
DotKernel VnniDotKernel() {
  const bool runs = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512vnni");
  return {"avx512-vnni", 4, 0x80, kVnniQueries, runs ? VnniTile : nullptr};
}

}  // namespace stillwatch::gpu

#else

namespace stillwatch::gpu {
DotKernel Avx2DotKernel() { return {"avx2", 2, 0, 4, nullptr}; }
DotKernel VnniDotKernel() { return {"avx512-vnni", 4, 0x80, 6, nullptr}; }
}  // namespace stillwatch::gpu

#endif
