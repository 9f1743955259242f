// What most kinds are made of: a script says what to ask, a caller asks it on one account at given times.
// Scripts of a campaign are shared by its callers; drivers ask in time order, so the deal is deterministic.
#pragma once

#include <memory>

#include "tools/stillgen/kinds/kind.h"
#include "tools/stillgen/person.h"

namespace stillwatch::stillgen {

class Script {
 public:
  virtual ~Script() = default;
  // Fills an empty prompt (model, system, messages, parameters) for a new conversation.
  virtual void Begin(Prompt* prompt) = 0;
  // Adds the next turn after an answer and sets the pause before it; false: the conversation is over.
  // All that a conversation knows is in its prompt.
  virtual bool Continue(const Answer& answer, Prompt* prompt, int64_t* pause_ns) {
    (void)answer, (void)prompt, (void)pause_ns;
    return false;
  }
};

// Sampling parameters as one caller sets them.
struct Tuning {
  std::string model;  // empty: as the script says
  int temperature_milli = -1, top_p_milli = -1, max_tokens = -1;
  void Apply(Prompt* prompt) const;
};
Tuning OwnTuning(const World& world, Rng& rng);  // as people choose

// `tunings`: none leaves what the script says, one is kept, of several each conversation takes one.
std::unique_ptr<Actor> MakeScriptActor(Account* account, std::shared_ptr<Script> script, std::vector<int64_t> times, Rng rng,
                                       std::vector<Tuning> tunings = {}, bool harvest = false);

// Adds the answer to the conversation as the assistant's turn.
void AddAnswer(const Answer& answer, Prompt* prompt);
// Adds the answer and what the person asks next; returns the pause before it, in the median `median_s`.
int64_t AddFollowUp(const Answer& answer, double median_s, Person* person, Rng& rng, Prompt* prompt);
// Adds the answer's tool calls and made-up results; false when it called none.
bool AddToolRound(const World& world, Rng& rng, const Answer& answer, Prompt* prompt);

// Adds a caller with people's times: so many conversations a day, log-uniform, at least one.
void AddPersonCaller(World* world, Account* account, std::shared_ptr<Script> script, double low_a_day, double high_a_day, Rng rng,
                     std::vector<Tuning> tunings = {});

}  // namespace stillwatch::stillgen
