#include "pipeline/evidence/elicitation.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/hash.h"

namespace stillwatch::pipeline {

namespace {

struct Phrase {
  std::string_view text;
  uint8_t sixteenths;
  ElicitationClass elicitation_class;
};
constexpr Phrase kPhrases[] = {
#include "pipeline/evidence/elicitation_words.inc"
};
static_assert(std::size(kPhrases) <= 64, "one bit for each phrase");

// A class adds at most this: ten words of one kind are no more than one clear phrase and a half.
constexpr uint32_t kClassMax = 36;
constexpr uint32_t kWordsMax = 3;

uint64_t Extend(uint64_t key, uint32_t token) { return Mix64(key * 0x9e3779b97f4a7c15ull + token + 1) | 1; }

}  // namespace

ElicitationExpert::ElicitationExpert(const TokenHash& hash) : table_(256) {
  for (size_t i = 0; i < std::size(kPhrases); ++i) {
    uint64_t key = 0;
    std::string_view rest = kPhrases[i].text;
    while (!rest.empty()) {
      const size_t space = std::min(rest.find(' '), rest.size());
      const uint32_t token = hash(rest.substr(0, space));
      if (key == 0) first_[token / 64 % std::size(first_)] |= 1ull << token % 64;
      key = Extend(key, token);
      rest.remove_prefix(std::min(space + 1, rest.size()));
    }
    size_t at = key >> 32 & (table_.size() - 1);
    while (table_[at].key != 0) at = (at + 1) & (table_.size() - 1);
    table_[at] = {key, static_cast<uint8_t>(i), kPhrases[i].sixteenths,
                  static_cast<uint8_t>(kPhrases[i].elicitation_class)};
  }
}

const ElicitationExpert::Entry* ElicitationExpert::Find(uint64_t key) const {
  for (size_t at = key >> 32 & (table_.size() - 1);; at = (at + 1) & (table_.size() - 1)) {
    if (table_[at].key == key) return &table_[at];
    if (table_[at].key == 0) return nullptr;
  }
}

Elicitation ElicitationExpert::Judge(std::span<const uint32_t> tokens) const {
  uint64_t seen = 0;
  uint32_t by_class[8] = {};
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!(first_[tokens[i] / 64 % std::size(first_)] >> tokens[i] % 64 & 1)) continue;
    uint64_t key = 0;
    for (size_t n = 0; n < kWordsMax && i + n < tokens.size(); ++n) {
      key = Extend(key, tokens[i + n]);
      const Entry* entry = Find(key);
      if (entry == nullptr || seen >> entry->index & 1) continue;
      seen |= 1ull << entry->index;
      by_class[std::countr_zero(entry->classes)] += entry->sixteenths;
    }
  }
  Elicitation result;
  uint32_t sum = 0;
  for (int c = 0; c < 8; ++c) {
    if (by_class[c] == 0) continue;
    result.classes |= static_cast<uint8_t>(1u << c);
    sum += std::min(by_class[c], kClassMax);
  }
  result.sixteenths = static_cast<uint8_t>(std::min(sum, 255u));
  return result;
}

}  // namespace stillwatch::pipeline
