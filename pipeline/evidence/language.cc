#include "pipeline/evidence/language.h"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>

#include "base/text/tokenizer.h"

namespace stillwatch::pipeline {

namespace {

struct Words {
  std::string_view language;
  std::string_view words;
};
constexpr Words kWords[] = {
#include "pipeline/evidence/language_words.inc"
};
static_assert(std::size(kWords) < 64, "one bit each in LanguageSet");

constexpr uint32_t kWordsMin = 2;  // one alone may be a name, or a slip

size_t Slot(uint32_t token, size_t size) { return Mix32(token) & (size - 1); }

}  // namespace

LanguageExpert::LanguageExpert(Salt fleet) {
  const text::TokenHasher hasher(fleet);
  std::vector<Entry> entries;
  for (size_t i = 0; i < std::size(kWords); ++i) {
    for (uint32_t token : text::HashesOf(kWords[i].words, hasher)) entries.push_back({token, static_cast<uint8_t>(i + 1)});
  }
  table_.resize(std::bit_ceil(entries.size() * 4));  // seldom a second probe for a word that is not listed
  for (const Entry& entry : entries) {
    size_t at = Slot(entry.token, table_.size());
    while (table_[at].language != 0 && table_[at].token != entry.token) at = (at + 1) & (table_.size() - 1);
    if (table_[at].language == 0) table_[at] = entry;
  }
}

uint8_t LanguageExpert::Of(std::span<const uint32_t> tokens) const {
  std::array<uint32_t, std::size(kWords) + 1> found{};
  for (uint32_t token : tokens) {
    size_t at = Slot(token, table_.size());
    while (table_[at].language != 0 && table_[at].token != token) at = (at + 1) & (table_.size() - 1);
    ++found[table_[at].language];
  }
  found[0] = 0;
  const auto most = std::max_element(found.begin(), found.end());
  if (*most < kWordsMin || std::count(found.begin(), found.end(), *most) > 1) return 0;
  return static_cast<uint8_t>(most - found.begin());
}

std::string_view LanguageExpert::Name(uint8_t language) { return language == 0 ? "" : kWords[language - 1].language; }

size_t LanguageExpert::Languages() { return std::size(kWords); }

}  // namespace stillwatch::pipeline
