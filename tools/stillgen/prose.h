// Made-up prose and names out of a split's words: texts of answers and documents. Built once, then read
// only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/stillgen/grammar.h"
#include "tools/stillgen/rng.h"

namespace stillwatch::stillgen {

class Prose {
 public:
  // Keeps `grammar`.
  Prose(Rng rng, const Grammar* grammar);

  // About `bytes` of text, whole sentences, now and then a paragraph or a list.
  std::string Text(Rng& rng, size_t bytes) const;
  std::string_view Sentence(Rng& rng) const;
  const std::string& Word(Rng& rng) const { return rng.Pick(*nouns_); }
  const std::string& Adjective(Rng& rng) const { return rng.Pick(*adjectives_); }
  std::string Name(Rng& rng) const;       // a person
  std::string Product(Rng& rng) const;    // "Aldora 340"
  std::string Subject(Rng& rng) const;    // a field of study or work, two to four words

  // Fills {noun} and {adjective} (each time anew), {subject}, {product}, {k} (a number from 3 to 12).
  std::string Dress(std::string_view pattern, Rng& rng) const;

 private:
  std::string Instance(std::string_view pattern, Rng& rng) const;

  const Grammar* grammar_;
  const std::vector<std::string>*nouns_, *adjectives_, *verbs_;
  std::vector<std::string> sentences_;
};

}  // namespace stillwatch::stillgen
