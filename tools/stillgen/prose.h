// Made-up prose: answers, documents, tool results, system prompts. A pool of sentences from a grammar,
// made once a run, from which texts are put together by copying; fast enough for gigabytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/stillgen/rng.h"

namespace stillwatch::stillgen {

class Prose {
 public:
  explicit Prose(Rng rng);

  // About `bytes` of text, whole sentences, now and then a paragraph or a list.
  std::string Text(Rng& rng, size_t bytes) const;
  std::string_view Sentence(Rng& rng) const;
  static std::string Word(Rng& rng);       // a noun
  static std::string Name(Rng& rng);       // a person
  static std::string Product(Rng& rng);    // "Aldora 340"
  static std::string Subject(Rng& rng);    // a field of study or work, two to four words

 private:
  std::vector<std::string> sentences_;
};

}  // namespace stillwatch::stillgen
