// The template dealer, which low and slow campaigns use too.
#pragma once

#include "tools/stillgen/kinds/harvest.h"

namespace stillwatch::stillgen {

class TemplateDealer : public Dealer {
 public:
  TemplateDealer(const World& world, Rng rng);
  void Deal(Prompt* prompt) override;

 private:
  const World* world_;
  Rng rng_;
  QuestionDeck deck_;
  std::string model_;
  std::vector<std::string> forms_;
  int temperatures_[2];
  int max_tokens_;
};

}  // namespace stillwatch::stillgen
