// Which language an instruction is mostly written in: its stratum. Frequencies are fair only beside those of the same
// language: what few people here write looks rare, and few subjects look dealt, whoever asks. A shipped list of the commonest
// function words (of scripts without blanks: the commonest pairs of characters), hashed under the salt when loaded; the
// language with most of them wins. Texts without any (code, numbers, a language that is not listed) are kUnlisted. It sees
// token hashes only. Batch thread; nothing is allocated after construction.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace stillwatch::pipeline {

inline constexpr uint8_t kUnlisted = 0;
inline constexpr uint8_t kLanguages = 16;  // kUnlisted included; fits four bits

class LanguageExpert {
 public:
  explicit LanguageExpert(Salt salt);
  // Of the first 256 tokens. Ties go to the lower number.
  uint8_t Of(std::span<const uint32_t> tokens) const;

 private:
  struct Entry {
    uint32_t hash = 0;
    uint16_t languages = 0;  // bit set: a word may belong to several; 0: empty
  };
  std::vector<Entry> table_;
};

// A set of languages, one bit each.
using LanguageSet = uint16_t;
inline constexpr LanguageSet kEveryLanguage = 0xffff;
constexpr bool Holds(LanguageSet set, uint8_t language) { return (set >> language & 1) != 0; }
// How often each language comes: one Note a request. Those with a tenth of all at least.
class LanguageCounts {
 public:
  void Note(uint8_t language) { ++counts_[language % kLanguages], ++all_; }
  LanguageSet Common() const;
  LanguageSet AllButLargest() const;

 private:
  uint32_t counts_[kLanguages] = {};
  uint32_t all_ = 0;
};

// "english" ... ; "unlisted".
std::string_view LanguageName(uint8_t language);

}  // namespace stillwatch::pipeline
