#include "dataplane/packet/checksum.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <cstring>

#include "base/endian.h"

namespace stillwatch::dataplane {

namespace {

#if defined(__AVX2__)
// Sums 32-bit words into four 64-bit lanes, two accumulators deep; takes a multiple of 64 bytes.
uint64_t SumWide(const uint8_t* at, size_t blocks) {
  const __m256i low_half = _mm256_set1_epi64x(0xffffffff);
  __m256i even = _mm256_setzero_si256(), odd = even;
  for (; blocks > 0; --blocks, at += 64) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32));
    even = _mm256_add_epi64(even, _mm256_and_si256(a, low_half));
    odd = _mm256_add_epi64(odd, _mm256_srli_epi64(a, 32));
    even = _mm256_add_epi64(even, _mm256_and_si256(b, low_half));
    odd = _mm256_add_epi64(odd, _mm256_srli_epi64(b, 32));
  }
  alignas(32) uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), _mm256_add_epi64(even, odd));
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}
#else
uint64_t SumWide(const uint8_t* at, size_t blocks) {
  uint64_t even = 0, odd = 0;
  for (; blocks > 0; --blocks, at += 64) {
    for (int i = 0; i < 64; i += 8) {
      even += LoadLe<uint32_t>(at + i);
      odd += LoadLe<uint32_t>(at + i + 4);
    }
  }
  return even + odd;
}
#endif

}  // namespace

uint64_t InternetSum(Bytes data) {
  // A sum of 32-bit words is congruent to that of 16-bit words (RFC 1071, section 2 (C)).
  const uint8_t* at = data.data();
  size_t left = data.size();
  uint64_t sum = SumWide(at, left / 64);
  at += left / 64 * 64;
  left %= 64;
  for (; left >= 4; left -= 4, at += 4) sum += LoadLe<uint32_t>(at);
  if (left > 0) {
    uint8_t rest[4] = {};
    std::memcpy(rest, at, left);
    sum += LoadLe<uint32_t>(rest);
  }
  return sum;
}

uint16_t FoldSum(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace stillwatch::dataplane
