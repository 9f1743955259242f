// The template script, which low and slow campaigns use too.
#pragma once

#include "tools/stillgen/kinds/harvest.h"

namespace stillwatch::stillgen {

class TemplateScript : public Script {
 public:
  TemplateScript(const World& world, Rng rng);
  void Begin(Prompt* prompt) override;

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
