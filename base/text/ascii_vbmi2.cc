#include "base/text/ascii_scan.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace stillwatch::text {
namespace {

// A class in a byte's upper bits, of all 128 characters.
constexpr uint8_t kWordBit = 0x80, kSpaceBit = 0x40;
constexpr auto kClassBits = [] {
  std::array<uint8_t, 128> bits{};
  for (uint8_t c = 0; c < 128; ++c) {
    const auto char_class = static_cast<CharClass>(kAsciiTable.char_class[c]);
    bits[c] = char_class == CharClass::kWord ? kWordBit : char_class == CharClass::kSpace ? kSpaceBit : 0;
  }
  return bits;
}();
constexpr auto kPlaces = [] {
  std::array<uint8_t, 64> places{};
  for (uint8_t i = 0; i < 64; ++i) places[i] = i;
  return places;
}();

// On each function, since clang knows no pragma for it.
#define VBMI2 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2")))

VBMI2 inline __m512i LookUp(const std::array<uint8_t, 128>& table, __m512i at) {
  return _mm512_permutex2var_epi8(_mm512_loadu_si512(table.data()), at, _mm512_loadu_si512(table.data() + 64));
}

struct Vbmi2Block {
  VBMI2 static AsciiMasks Classify(const uint8_t* text, uint64_t valid, uint8_t* folded) {
    const __m512i x = _mm512_maskz_loadu_epi8(_cvtu64_mask64(valid), text);
    const __m512i class_bits = LookUp(kClassBits, x);
    _mm512_storeu_si512(folded, LookUp(kAsciiTable.folded, x));
    return {_cvtmask64_u64(_mm512_movepi8_mask(class_bits)),
            _cvtmask64_u64(_mm512_test_epi8_mask(class_bits, _mm512_set1_epi8(kSpaceBit))), _cvtmask64_u64(_mm512_movepi8_mask(x))};
  }

  VBMI2 static uint32_t Flatten(uint64_t bits, uint32_t base, uint16_t* out) {
    const uint32_t count = static_cast<uint32_t>(std::popcount(bits));
    const __m512i places = _mm512_maskz_compress_epi8(_cvtu64_mask64(bits), _mm512_loadu_si512(kPlaces.data()));
    const __m512i first = _mm512_set1_epi16(static_cast<int16_t>(base));
    _mm512_storeu_si512(out, _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(places)), first));
    if (count > 32) [[unlikely]] {
      _mm512_storeu_si512(out + 32, _mm512_add_epi16(_mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(places, 1)), first));
    }
    return count;
  }
};

}  // namespace

VBMI2 void ScanAsciiVbmi2(const uint8_t* text, size_t size, AsciiStrip* strip) { ScanBlocks<Vbmi2Block>(text, size, strip); }

bool HasVbmi2() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
}

}  // namespace stillwatch::text
#endif
