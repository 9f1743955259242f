#include "gpu/flow/flow_x86.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <climits>
#include <cstring>

namespace stillwatch::gpu {
namespace {

int32_t WeightsOf(const FlowFilters& filters, uint32_t filter, uint32_t tap) {
  int32_t word;
  std::memcpy(&word, filters.weights[filter][tap], sizeof word);
  return word;
}

#pragma GCC push_options
#pragma GCC target("avx2")

// A filter's sums of eight steps at a time; the lanes past the last step stand aside.
void Avx2Convolve(const uint32_t* words, uint32_t count, const FlowFilters& filters,
                  int32_t* maxima, int32_t* totals) {
  const __m256i ones = _mm256_set1_epi16(1), least = _mm256_set1_epi32(INT32_MIN);
  const __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  for (uint32_t f = 0; f < kFlowFilters; ++f) {
    const uint32_t group = f / kFlowGroupFilters;
    __m256i weights[kFlowTaps];
    for (uint32_t tap = 0; tap < kFlowTaps; ++tap) {
      weights[tap] = _mm256_set1_epi32(WeightsOf(filters, f, tap));
    }
    __m256i greatest = least, total = _mm256_setzero_si256();
    for (uint32_t step = 0; step < count; step += 8) {
      __m256i pairs = _mm256_setzero_si256();
      for (uint32_t tap = 0; tap < kFlowTaps; ++tap) {
        const uint32_t* at = words + static_cast<int32_t>(step) + TapOffset(group, tap);
        const __m256i steps = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(steps, weights[tap]));
      }
      const __m256i sums = _mm256_madd_epi16(pairs, ones);
      const __m256i used =
          _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(count - step)), places);
      greatest = _mm256_max_epi32(greatest, _mm256_blendv_epi8(least, sums, used));
      total = _mm256_add_epi32(total, _mm256_and_si256(sums, used));
    }
    alignas(32) int32_t greatest_of[8], total_of[8];
    _mm256_store_si256(reinterpret_cast<__m256i*>(greatest_of), greatest);
    _mm256_store_si256(reinterpret_cast<__m256i*>(total_of), total);
    maxima[f] = greatest_of[0];
    totals[f] = total_of[0];
    for (uint32_t lane = 1; lane < 8; ++lane) {
      maxima[f] = greatest_of[lane] > maxima[f] ? greatest_of[lane] : maxima[f];
      totals[f] += total_of[lane];
    }
  }
}
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw")

// How products of bytes are summed by fours: with BW in two steps, the first into 16 bits, which hold them.
struct BwProducts {
  [[gnu::always_inline]] static __m512i Add(__m512i pairs, __m512i steps, __m512i weights) {
    return _mm512_add_epi16(pairs, _mm512_maddubs_epi16(steps, weights));
  }
  [[gnu::always_inline]] static __m512i Sums(__m512i pairs) { return _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)); }
};
// With VNNI in one. By name, since the rest of the loop is compiled for both.
struct VnniProducts {
  [[gnu::always_inline]] static __m512i Add(__m512i sums, __m512i steps, __m512i weights) {
    asm("vpdpbusd %[weights], %[steps], %[sums]" : [sums] "+v"(sums) : [steps] "v"(steps), [weights] "v"(weights));
    return sums;
  }
  [[gnu::always_inline]] static __m512i Sums(__m512i sums) { return sums; }
};

// The lanes of `step` .. `step` + 15 that are steps of the flow.
[[gnu::always_inline]] inline __mmask16 Used(uint32_t count, uint32_t step) {
  return static_cast<__mmask16>(count - step >= 16 ? 0xffff : (1u << (count - step)) - 1);
}

template <typename Products>
void Avx512Convolve(const uint32_t* words, uint32_t count, const FlowFilters& filters,
                    int32_t* maxima, int32_t* totals) {
  for (uint32_t f = 0; f < kFlowFilters; ++f) {
    const uint32_t group = f / kFlowGroupFilters;
    __m512i weights[kFlowTaps];
    for (uint32_t tap = 0; tap < kFlowTaps; ++tap) {
      weights[tap] = _mm512_set1_epi32(WeightsOf(filters, f, tap));
    }
    __m512i greatest = _mm512_set1_epi32(INT32_MIN), total = _mm512_setzero_si512();
    for (uint32_t step = 0; step < count; step += 16) {
      __m512i products = _mm512_setzero_si512();
      for (uint32_t tap = 0; tap < kFlowTaps; ++tap) {
        const uint32_t* at = words + static_cast<int32_t>(step) + TapOffset(group, tap);
        products = Products::Add(products, _mm512_loadu_si512(at), weights[tap]);
      }
      const __m512i sums = Products::Sums(products);
      const __mmask16 used = Used(count, step);
      greatest = _mm512_mask_max_epi32(greatest, used, greatest, sums);
      total = _mm512_mask_add_epi32(total, used, total, sums);
    }
    maxima[f] = _mm512_reduce_max_epi32(greatest);
    totals[f] = _mm512_reduce_add_epi32(total);
  }
}

constexpr auto* kBwConvolve = &Avx512Convolve<BwProducts>;
constexpr auto* kVnniConvolve = &Avx512Convolve<VnniProducts>;
#pragma GCC pop_options

}  // namespace

FlowKernel FlowKernelX86(const CpuFeatures& features) {
  if (features.avx512 && features.vnni) return {"avx512-vnni", kVnniConvolve};
  if (features.avx512) return {"avx512", kBwConvolve};
  if (features.avx2) return {"avx2", Avx2Convolve};
  return {"scalar", nullptr};
}

}  // namespace stillwatch::gpu

#else

namespace stillwatch::gpu {
FlowKernel FlowKernelX86(const CpuFeatures&) { return {"scalar", nullptr}; }
}  // namespace stillwatch::gpu

#endif
