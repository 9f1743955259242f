// The paraphrasing script, which campaigns under cover use too.
#pragma once

#include "tools/stillgen/kinds/harvest.h"

namespace stillwatch::stillgen {

class ParaphraseScript : public Script {
 public:
  ParaphraseScript(const World& world, Rng rng);
  void Begin(Prompt* prompt) override;

 private:
  using Family = std::vector<std::string_view>;  // sections in order; "" is the question's place

  const World* world_;
  Rng rng_;
  QuestionDeck deck_;
  std::string model_;
  std::vector<Family> families_;
  double noise_;
  int max_tokens_;
};

}  // namespace stillwatch::stillgen
