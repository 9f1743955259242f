// What each code point becomes before its token is hashed: the normalisation of docs/text.md as a table
// (Unicode 14.0). Pure functions over constant data; any thread.
#pragma once

#include <cstdint>
#include <span>

namespace stillwatch::text {

enum class CharClass : uint8_t {
  kSpace,   // ends a token
  kWord,    // letters, marks, digits, '_'
  kPunct,   // all else that is seen
  kIgnore,  // zero-width: as if it were not there
  kBigram,  // scripts written without blanks
};

// The replacement of an invalid UTF-8 sequence.
inline constexpr uint32_t kReplacement = 0xFFFD;

struct Folded {
  CharClass first_class;             // class when `sequence` is empty (the code point stays as it is)
  std::span<const uint32_t> sequence;  // else what takes its place, each a fixed point of folding
};

// `code_point` up to 0x10FFFF; larger ones are kSpace.
Folded Fold(uint32_t code_point);

}  // namespace stillwatch::text
