#include "dataplane/llm/strong_id.h"

#include <bit>
#include <cstddef>
#include <cstdint>

namespace stillwatch::dataplane {
namespace {

constexpr uint32_t kBitsMin = 64 * 16;  // all in 1/16 bit
constexpr size_t kReadMax = 128;
constexpr int kDistinctMin = 6;         // of 16 random hex digits fewer differ once in 50,000
constexpr size_t kLettersRandomMin = 16;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsAlnum(char c) { return IsDigit(c) || IsLower(c) || IsUpper(c); }

// log2 of the alphabet that a run of letters and digits draws from; 0: words.
uint32_t BitsOfOne(std::string_view run) {
  size_t digits = 0, lower = 0, upper = 0, beyond_hex = 0, turns = 0;
  for (size_t i = 0; i < run.size(); ++i) {
    const char c = run[i];
    digits += IsDigit(c), lower += IsLower(c), upper += IsUpper(c);
    beyond_hex += !IsDigit(c) && (c | 0x20) > 'f';
    turns += i != 0 && IsUpper(c) != IsUpper(run[i - 1]);
  }
  const bool mixed = lower != 0 && upper != 0;
  if (digits == run.size()) return 53;
  if (digits == 0) return run.size() >= kLettersRandomMin && mixed && turns * 8 >= run.size() * 3 ? 91 : 0;
  if (beyond_hex == 0) return 64;
  return mixed ? 95 : 82;
}

}  // namespace

bool IsStrongId(std::string_view id) {
  id = id.substr(0, kReadMax);
  uint64_t distinct[4] = {};
  uint32_t bits = 0;
  for (size_t i = 0; i < id.size();) {
    size_t end = i;
    while (end < id.size() && IsAlnum(id[end])) ++end;
    const uint32_t of_one = BitsOfOne(id.substr(i, end - i));
    for (size_t at = i; at < end && of_one != 0; ++at) {
      if (at >= i + 2 && id[at] == id[at - 1] && id[at] == id[at - 2]) continue;  // padding says nothing
      const auto c = static_cast<uint8_t>(id[at]);
      distinct[c / 64] |= 1ull << c % 64;
      bits += of_one;
    }
    i = end + 1;
  }
  int different = 0;
  for (uint64_t word : distinct) different += std::popcount(word);
  return bits >= kBitsMin && different >= kDistinctMin;
}

}  // namespace stillwatch::dataplane
