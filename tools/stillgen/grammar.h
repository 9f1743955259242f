// The words and phrases of one split (data/<split>/grammar.txt). Sections in brackets; a line is one or
// more phrases parted by '|' outside brackets; "\n" is a line break; '#' begins a comment line. Phrases
// are patterns of phrase.h. Every split has the same sections. Built once, then read only.
#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tools/stillgen/phrase.h"
#include "tools/stillgen/split.h"

namespace stillwatch::stillgen {

class Grammar {
 public:
  // Aborts when the compiled-in text cannot be read: that is a build fault.
  explicit Grammar(Split split);

  // All phrases of a section, as written. Aborts on a section that is not there.
  const std::vector<std::string>& Of(std::string_view section) const;
  std::vector<std::string_view> Sections() const;

  // One phrase of the section, expanded; slots stay.
  std::string Say(std::string_view section, Rng& rng) const;
  std::string Say(std::string_view section, Rng& rng, std::initializer_list<Slot> slots) const;
  // One phrase as it stands: for words.
  const std::string& Word(std::string_view section, Rng& rng) const;
  // `count` different phrases in random order (fewer when the section has fewer), as written.
  std::vector<std::string> Some(std::string_view section, size_t count, Rng& rng) const;

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> sections_;
};

}  // namespace stillwatch::stillgen
