#include "base/text/ascii_tokens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>

namespace stillwatch::text {
namespace {

// What a strip of text is, character by character.
struct Expected {
  std::string folded;
  std::vector<uint16_t> starts, ends;
};
Expected ScanByCharacter(const std::string& text) {
  Expected expected;
  CharClass before = CharClass::kSpace;
  for (size_t at = 0; at < text.size() && at < kStripBytes; ++at) {
    const auto c = static_cast<uint8_t>(text[at]);
    if (c >= 0x80) break;
    expected.folded += static_cast<char>(AsciiFold(c));
    const CharClass now = AsciiClass(c);
    if (now != before && before != CharClass::kSpace) expected.ends.push_back(static_cast<uint16_t>(at));
    if (now != before && now != CharClass::kSpace) expected.starts.push_back(static_cast<uint16_t>(at));
    before = now;
  }
  return expected;
}

void ExpectEach(const std::string& text) {
  const Expected expected = ScanByCharacter(text);
  // Its own allocation, so that a sanitizer sees a byte read behind the text.
  const auto bytes = std::make_unique<uint8_t[]>(text.size());
  std::copy(text.begin(), text.end(), bytes.get());
  for (const AsciiScanner scan : AsciiScanners()) {
    AsciiStrip strip;
    scan(bytes.get(), text.size(), &strip);
    ASSERT_EQ(strip.length, expected.folded.size()) << text;
    EXPECT_EQ(std::string(strip.folded, strip.folded + strip.length), expected.folded);
    ASSERT_EQ(strip.runs, expected.ends.size()) << text;
    ASSERT_EQ(strip.open, expected.starts.size() > expected.ends.size());
    EXPECT_EQ(std::vector<uint16_t>(strip.starts, strip.starts + expected.starts.size()), expected.starts) << text;
    EXPECT_EQ(std::vector<uint16_t>(strip.ends, strip.ends + strip.runs), expected.ends) << text;
    if (strip.open) {
      EXPECT_EQ(strip.open_class, AsciiClass(static_cast<uint8_t>(text[strip.length - 1])));
    }
  }
}

TEST(AsciiTokens, EveryCharacterIsOfItsClassInEveryScanner) {
  for (int c = 1; c < 128; ++c) {
    const char one = static_cast<char>(c);
    ExpectEach({one});
    ExpectEach({' ', one, 'a', one, '.', one});
  }
}

// Blocks of 64 with a run a byte, of one run, and all between; texts that end at and beside a block's end and a strip's.
TEST(AsciiTokens, ScannersWriteTheSame) {
  constexpr std::string_view kinds[] = {"abcXYZ019_", ".,;!\"{}", " \n\t\x7f"};
  std::mt19937_64 rng(7);
  for (int round = 0; round < 20'000; ++round) {
    const size_t near[] = {1 + rng() % 600, 64 + rng() % 3 - 1, 512 + rng() % 3 - 1, 128};
    const uint64_t run_length = 1 + rng() % (round % 2 == 0 ? 2 : 40), foreign = round % 5 == 0 ? 100 : ~0ull;
    std::string text;
    while (text.size() < near[rng() % 4]) {
      const std::string_view of = kinds[rng() % 3];
      for (uint64_t left = 1 + rng() % run_length; left != 0; --left) text += of[rng() % of.size()];
      if (rng() % foreign == 0 && !text.empty()) text += "\xc3\xa9";
    }
    ExpectEach(text);
  }
}

}  // namespace
}  // namespace stillwatch::text
