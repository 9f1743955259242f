// The fast path of the tokenizer: pure ASCII text, a strip at a time.
//
// ScanAscii classifies up to kStripBytes bytes, 64 at once (AVX-512 where the processor has it, AVX2, or a table), writes the
// folded bytes, and finds where runs of one class start and end. The text before must have ended with no
// token open. Called by Tokenizer only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/text/fold_table.h"

namespace stillwatch::text {

inline constexpr size_t kStripBytes = 512;

struct AsciiStrip {
  // Folded bytes of the strip, then at least 16 readable ones.
  alignas(64) uint8_t folded[kStripBytes + 64];
  // Runs of words and punctuation, in order: [starts[i], ends[i]). An open last run has a start only.
  uint16_t starts[kStripBytes + 32];
  uint16_t ends[kStripBytes + 32];
  uint32_t runs = 0;               // closed ones
  bool open = false;               // the text went on where the strip ended: starts[runs] is valid
  CharClass open_class = CharClass::kSpace;
  size_t length = 0;               // bytes taken: to the strip's end or the first byte that is not ASCII
};

// Reads at most `size` bytes at `text`; size > 0 and the first byte is ASCII.
void ScanAscii(const uint8_t* text, size_t size, AsciiStrip* strip);

// The variants that this processor runs, the slowest first; ScanAscii is the last. All write the same, which a test holds.
using AsciiScanner = void (*)(const uint8_t* text, size_t size, AsciiStrip* strip);
std::vector<AsciiScanner> AsciiScanners();

// Class and folded form of one ASCII character.
CharClass AsciiClass(uint8_t c);
uint8_t AsciiFold(uint8_t c);

}  // namespace stillwatch::text
