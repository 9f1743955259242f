// The loop of ScanAscii, for any way of looking at 64 bytes. Included by its variants only.
#pragma once

#include <array>
#include <bit>

#include "base/mutant.h"
#include "base/text/ascii_tokens.h"

namespace stillwatch::text {

struct AsciiTable {
  std::array<uint8_t, 128> char_class{};
  std::array<uint8_t, 128> folded{};
};

constexpr AsciiTable MakeAsciiTable() {
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
inline constexpr AsciiTable kAsciiTable = MakeAsciiTable();

// One bit a byte of a 64-byte block.
struct AsciiMasks {
  uint64_t word, space, not_ascii;
};

// Block::Classify(text, valid, folded) reads the bytes of `valid` (a run of low bits) and writes 64 folded ones;
// Block::Flatten(bits, base, out) writes base + the index of each set bit and returns how many, and may write up to 31 places more.
template <typename Block>
[[gnu::always_inline]] inline void ScanBlocks(const uint8_t* text, size_t size, AsciiStrip* strip) {
  uint64_t carry_word = 0, carry_space = 1;  // class of the byte before: none open
  uint32_t starts = 0, ends = 0;
  size_t at = 0;
  const size_t limit = size < kStripBytes ? size : kStripBytes;
  bool stop = false;
  while (at < limit && !stop) {
    size_t taken = limit - at < 64 ? limit - at : 64;
    uint64_t valid = ~0ull >> (64 - taken);
    const AsciiMasks masks = Block::Classify(text + at, valid, strip->folded + at);
    if ((masks.not_ascii & valid) != 0) [[unlikely]] {
      taken = static_cast<size_t>(std::countr_zero(masks.not_ascii));
      valid = taken == 0 ? 0 : ~0ull >> (64 - taken);
      stop = true;
    }
    const uint64_t word_before = masks.word << 1 | carry_word;
    const uint64_t space_before = masks.space << 1 | carry_space;
    const uint64_t change = ((masks.word ^ word_before) | (masks.space ^ space_before)) & valid;
    starts += Block::Flatten(change & ~masks.space, static_cast<uint32_t>(at), strip->starts + starts);
    ends += Block::Flatten(change & ~space_before, static_cast<uint32_t>(at), strip->ends + ends);
    if (taken != 0 && !MutantIs("text.block_forgets_token")) {
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

#if defined(__x86_64__)
// AVX-512 with VBMI and VBMI2, and whether this processor has them.
void ScanAsciiVbmi2(const uint8_t* text, size_t size, AsciiStrip* strip);
bool HasVbmi2();
#endif

}  // namespace stillwatch::text
