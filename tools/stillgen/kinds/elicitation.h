// The elicitation script, which low and slow campaigns use too.
#pragma once

#include "tools/stillgen/kinds/harvest.h"

namespace stillwatch::stillgen {

class ElicitationScript : public Script {
 public:
  ElicitationScript(const World& world, Rng rng);
  void Begin(Prompt* prompt) override;

 private:
  std::string Trace();   // asks for the whole reasoning
  std::string Grading(); // asks for marks against a rubric

  const World* world_;
  Rng rng_;
  QuestionDeck deck_;
  std::string model_;
  std::vector<std::string> openings_, demands_, contracts_, criteria_;  // this campaign's own wordings
  int temperature_milli_, max_tokens_;
  bool effort_;
};

}  // namespace stillwatch::stillgen
