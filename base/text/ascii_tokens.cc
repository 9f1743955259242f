#include "base/text/ascii_tokens.h"

#include <bit>
#include <cstring>

#include "base/text/ascii_scan.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace stillwatch::text {
namespace {

// What 64 bytes are, with what the compiler's target has for it.
struct PlainBlock {
#if defined(__AVX2__)
  static __m256i AtMost(__m256i value, uint8_t limit) {  // unsigned value <= limit
    return _mm256_cmpeq_epi8(_mm256_min_epu8(value, _mm256_set1_epi8(static_cast<char>(limit))), value);
  }

  static void Classify32(const uint8_t* text, uint8_t* folded, uint32_t* word, uint32_t* space, uint32_t* not_ascii) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text));
    const __m256i lower = _mm256_or_si256(x, _mm256_set1_epi8(0x20));
    const __m256i letter = AtMost(_mm256_sub_epi8(lower, _mm256_set1_epi8('a')), 25);
    const __m256i digit = AtMost(_mm256_sub_epi8(x, _mm256_set1_epi8('0')), 9);
    const __m256i underscore = _mm256_cmpeq_epi8(x, _mm256_set1_epi8('_'));
    const __m256i blank = _mm256_or_si256(AtMost(x, 0x20), _mm256_cmpeq_epi8(x, _mm256_set1_epi8(0x7f)));
    __m256i out = _mm256_blendv_epi8(x, lower, letter);
    out = _mm256_blendv_epi8(out, _mm256_set1_epi8('0'), digit);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(folded), out);
    const __m256i in_word = _mm256_or_si256(_mm256_or_si256(letter, digit), underscore);
    *word = static_cast<uint32_t>(_mm256_movemask_epi8(in_word));
    *space = static_cast<uint32_t>(_mm256_movemask_epi8(blank));
    *not_ascii = static_cast<uint32_t>(_mm256_movemask_epi8(x));
  }

  static AsciiMasks Whole(const uint8_t* text, uint8_t* folded) {
    uint32_t word[2], space[2], not_ascii[2];
    for (int half = 0; half < 2; ++half) {
      Classify32(text + 32 * half, folded + 32 * half, &word[half], &space[half], &not_ascii[half]);
    }
    const auto join = [](const uint32_t* halves) { return static_cast<uint64_t>(halves[1]) << 32 | halves[0]; };
    return {join(word), join(space), join(not_ascii)};
  }
#else
  static AsciiMasks Whole(const uint8_t* text, uint8_t* folded) {
    AsciiMasks masks{0, 0, 0};
    for (uint32_t i = 0; i < 64; ++i) {
      const uint64_t bit = 1ull << i;
      if (text[i] >= 128) {
        masks.not_ascii |= bit;
        continue;
      }
      folded[i] = kAsciiTable.folded[text[i]];
      const auto char_class = static_cast<CharClass>(kAsciiTable.char_class[text[i]]);
      if (char_class == CharClass::kWord) masks.word |= bit;
      if (char_class == CharClass::kSpace) masks.space |= bit;
    }
    return masks;
  }
#endif

  static AsciiMasks Classify(const uint8_t* text, uint64_t valid, uint8_t* folded) {
    if (valid == ~0ull) return Whole(text, folded);
    uint8_t block[64];  // never read past the text
    std::memset(block, ' ', sizeof block);
    std::memcpy(block, text, static_cast<size_t>(std::popcount(valid)));
    return Whole(block, folded);
  }

  // Up to 8 places too many are cheaper than a branch for each.
  static uint32_t Flatten(uint64_t bits, uint32_t base, uint16_t* out) {
    const uint32_t count = static_cast<uint32_t>(std::popcount(bits));
    for (uint32_t done = 0; done < count; done += 8) {
      for (uint32_t i = 0; i < 8; ++i) {
        out[done + i] = static_cast<uint16_t>(base + static_cast<uint32_t>(std::countr_zero(bits)));
        bits &= bits - 1;
      }
    }
    return count;
  }
};

void ScanPlainly(const uint8_t* text, size_t size, AsciiStrip* strip) { ScanBlocks<PlainBlock>(text, size, strip); }

}  // namespace

CharClass AsciiClass(uint8_t c) { return static_cast<CharClass>(kAsciiTable.char_class[c]); }
uint8_t AsciiFold(uint8_t c) { return kAsciiTable.folded[c]; }

std::vector<AsciiScanner> AsciiScanners() {
  std::vector<AsciiScanner> scanners{ScanPlainly};
#if defined(__x86_64__)
  if (HasVbmi2()) scanners.push_back(ScanAsciiVbmi2);
#endif
  return scanners;
}

void ScanAscii(const uint8_t* text, size_t size, AsciiStrip* strip) {
  static const AsciiScanner fastest = AsciiScanners().back();
  fastest(text, size, strip);
}

}  // namespace stillwatch::text
