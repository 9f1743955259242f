// What one person asks: first questions from the shared corpus by interest, sometimes in an own habitual
// wording, and follow-ups. Used by people of every kind and for the cover traffic of campaigns.
#pragma once

#include <string>

#include "tools/stillgen/world.h"

namespace stillwatch::stillgen {

class Person {
 public:
  // `language`: writes in it; English when empty.
  Person(const World& world, Rng rng, std::string language = "");

  std::string FirstQuestion();
  std::string FollowUp();

  // Chance that another turn follows.
  double talkative() const { return talkative_; }

 private:
  const World* world_;
  Rng rng_;
  Subject favourites_[2];
  std::string habit_;  // own wrapper with {question}; empty for most people
  double talkative_;
  std::string language_;
};

// A person's sessions over the run: each a conversation of several turns on one account. `times` are
// the sessions' starts.
std::unique_ptr<Actor> MakePersonActor(const World& world, Account* account, Rng rng,
                                       std::vector<int64_t> times, std::string language = "");

}  // namespace stillwatch::stillgen
