#include "base/text/ascii_tokens.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace stillwatch::text {
namespace {

struct AsciiTable {
  std::array<uint8_t, 128> char_class{};
  std::array<uint8_t, 128> folded{};
};

constexpr AsciiTable MakeTable() {
  AsciiTable table;
  for (uint8_t c = 0; c < 128; ++c) {
    const bool upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z';
    const bool digit = c >= '0' && c <= '9';
    CharClass char_class = CharClass::kPunct;
    if (upper || lower || digit || c == '_') char_class = CharClass::kWord;
    if (c <= 0x20 || c == 0x7f) char_class = CharClass::kSpace;
    table.char_class[c] = static_cast<uint8_t>(char_class);
    table.folded[c] = upper ? static_cast<uint8_t>(c + 32) : digit ? '0' : c;
  }
  return table;
}
constexpr AsciiTable kTable = MakeTable();

// One bit a byte of a 64-byte block.
struct Masks {
  uint64_t word, space, not_ascii;
};

#if defined(__AVX2__)
inline __m256i AtMost(__m256i value, uint8_t limit) {  // unsigned value <= limit
  return _mm256_cmpeq_epi8(_mm256_min_epu8(value, _mm256_set1_epi8(static_cast<char>(limit))), value);
}

inline void Classify32(const uint8_t* text, uint8_t* folded, uint32_t* word, uint32_t* space,
                       uint32_t* not_ascii) {
  const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text));
  const __m256i lower = _mm256_or_si256(x, _mm256_set1_epi8(0x20));
  const __m256i letter = AtMost(_mm256_sub_epi8(lower, _mm256_set1_epi8('a')), 25);
  const __m256i digit = AtMost(_mm256_sub_epi8(x, _mm256_set1_epi8('0')), 9);
  const __m256i underscore = _mm256_cmpeq_epi8(x, _mm256_set1_epi8('_'));
  const __m256i blank =
      _mm256_or_si256(AtMost(x, 0x20), _mm256_cmpeq_epi8(x, _mm256_set1_epi8(0x7f)));
  __m256i out = _mm256_blendv_epi8(x, lower, letter);
  out = _mm256_blendv_epi8(out, _mm256_set1_epi8('0'), digit);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(folded), out);
  const __m256i in_word = _mm256_or_si256(_mm256_or_si256(letter, digit), underscore);
  *word = static_cast<uint32_t>(_mm256_movemask_epi8(in_word));
  *space = static_cast<uint32_t>(_mm256_movemask_epi8(blank));
  *not_ascii = static_cast<uint32_t>(_mm256_movemask_epi8(x));
}

inline Masks Classify64(const uint8_t* text, uint8_t* folded) {
  uint32_t word[2], space[2], not_ascii[2];
  for (int half = 0; half < 2; ++half) {
    Classify32(text + 32 * half, folded + 32 * half, &word[half], &space[half], &not_ascii[half]);
  }
  const auto join = [](const uint32_t* halves) {
    return static_cast<uint64_t>(halves[1]) << 32 | halves[0];
  };
  return {join(word), join(space), join(not_ascii)};
}
#else
inline Masks Classify64(const uint8_t* text, uint8_t* folded) {
  Masks masks{0, 0, 0};
  for (uint32_t i = 0; i < 64; ++i) {
    const uint64_t bit = 1ull << i;
    if (text[i] >= 128) {
      masks.not_ascii |= bit;
      continue;
    }
    folded[i] = kTable.folded[text[i]];
    const auto char_class = static_cast<CharClass>(kTable.char_class[text[i]]);
    if (char_class == CharClass::kWord) masks.word |= bit;
    if (char_class == CharClass::kSpace) masks.space |= bit;
  }
  return masks;
}
#endif

// Writes base + the index of each set bit; returns how many. Writes up to 8 places too many, which is
// cheaper than a branch for each.
inline uint32_t Flatten(uint64_t bits, uint32_t base, uint16_t* out) {
  const uint32_t count = static_cast<uint32_t>(std::popcount(bits));
  for (uint32_t done = 0; done < count; done += 8) {
    for (uint32_t i = 0; i < 8; ++i) {
      out[done + i] = static_cast<uint16_t>(base + static_cast<uint32_t>(std::countr_zero(bits)));
      bits &= bits - 1;
    }
  }
  return count;
}

}  // namespace

CharClass AsciiClass(uint8_t c) { return static_cast<CharClass>(kTable.char_class[c]); }
uint8_t AsciiFold(uint8_t c) { return kTable.folded[c]; }

void ScanAscii(const uint8_t* text, size_t size, AsciiStrip* strip) {
  uint64_t carry_word = 0, carry_space = 1;  // class of the byte before: none open
  uint32_t starts = 0, ends = 0;
  size_t at = 0;
  const size_t limit = size < kStripBytes ? size : kStripBytes;
  bool stop = false;
  while (at < limit && !stop) {
    const size_t left = limit - at;
    uint64_t valid = ~0ull;
    Masks masks;
    if (left >= 64) {
      masks = Classify64(text + at, strip->folded + at);
    } else {  // never read past the text
      uint8_t block[64];
      std::memset(block, ' ', sizeof block);
      std::memcpy(block, text + at, left);
      masks = Classify64(block, strip->folded + at);
      valid = (1ull << left) - 1;
    }
    size_t taken = left < 64 ? left : 64;
    if (masks.not_ascii != 0) [[unlikely]] {
      taken = static_cast<size_t>(std::countr_zero(masks.not_ascii));
      valid = taken == 0 ? 0 : ~0ull >> (64 - taken);
      stop = true;
    }
    const uint64_t word_before = masks.word << 1 | carry_word;
    const uint64_t space_before = masks.space << 1 | carry_space;
    const uint64_t change = ((masks.word ^ word_before) | (masks.space ^ space_before)) & valid;
    starts += Flatten(change & ~masks.space, static_cast<uint32_t>(at), strip->starts + starts);
    ends += Flatten(change & ~space_before, static_cast<uint32_t>(at), strip->ends + ends);
    if (taken != 0) {
      carry_word = masks.word >> (taken - 1) & 1;
      carry_space = masks.space >> (taken - 1) & 1;
    }
    at += taken;
  }
  strip->runs = ends;
  strip->open = starts > ends;
  strip->open_class = carry_word != 0 ? CharClass::kWord : CharClass::kPunct;
  strip->length = at;
}

}  // namespace stillwatch::text
