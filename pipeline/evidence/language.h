// Which language an instruction is written in, as far as its function words tell: a shipped list of words that one language alone
// has (language_words.inc says where they come from), hashed under the fleet's salt as instructions are. A language is never
// evidence against anybody. It tells a group whose accounts all ask in many languages from a class, whose students ask in their own.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/hash.h"

namespace stillwatch::pipeline {

class LanguageExpert {
 public:
  explicit LanguageExpert(Salt fleet);

  // A language's number, from 1 on; 0 where fewer than two of its words are there, or another has as many.
  uint8_t Of(std::span<const uint32_t> tokens) const;
  // Its English name, for tests and for people; "" for 0.
  static std::string_view Name(uint8_t language);
  static size_t Languages();

 private:
  struct Entry {
    uint32_t token = 0;
    uint8_t language = 0;  // 0: empty
  };
  std::vector<Entry> table_;  // open addressing, a power of two
};

// Of requests: how many different ones are known.
class LanguageSet {
 public:
  void Add(uint8_t language) { bits_ |= uint64_t{language != 0} << (language & 63); }
  uint32_t size() const { return static_cast<uint32_t>(std::popcount(bits_)); }

 private:
  uint64_t bits_ = 0;
};

}  // namespace stillwatch::pipeline
