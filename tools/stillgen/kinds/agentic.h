// The agentic script, which migrating campaigns use too.
#pragma once

#include "tools/stillgen/kinds/harvest.h"

namespace stillwatch::stillgen {

class AgenticScript : public Script {
 public:
  AgenticScript(const World& world, Rng rng);
  void Begin(Prompt* prompt) override;
  bool Continue(const Answer& answer, Prompt* prompt, int64_t* pause_ns) override;

 private:
  const World* world_;
  Rng rng_;
  std::string model_;
  int64_t next_id_;
  std::vector<std::string> systems_, projects_;
  std::vector<const ToolSpec*> tools_;
};

}  // namespace stillwatch::stillgen
