// What campaigns have in common: a dealer hands out work without repeating it, and harvesting actors on
// many accounts send it, evenly over the day, with cover traffic on the same accounts.
#pragma once

#include <memory>

#include "tools/stillgen/kinds/kind.h"

namespace stillwatch::stillgen {

// One campaign's source of work, shared by its actors (drivers ask in time order, so the deal is
// deterministic).
class Dealer {
 public:
  virtual ~Dealer() = default;
  // Fills model, system, messages and parameters.
  virtual void Deal(Prompt* prompt) = 0;
};

// The questions of a campaign: a shuffled deck over a few subjects, dealt from the top, begun again at
// the end.
class QuestionDeck {
 public:
  QuestionDeck(const World& world, Rng rng);
  const std::string& Next();

 private:
  const World* world_;
  std::vector<int> order_;
  size_t next_ = 0;
};

// The client side of a campaign: few stacks, drawn once; accounts get one of them each.
struct CampaignStack {
  CampaignStack(Rng rng);
  void Dress(Account* account, Rng& rng) const;

  const ClientStack* stacks[2];
  Api apis[2];
};

struct HarvestPace {
  double low, high;    // harvesting requests an account in the whole run, log-uniform
  double cover;        // benign requests for each harvesting one
};

// Adds `accounts` accounts and their actors for one campaign. The dealer lives as long as the actors.
void AddHarvesters(World* world, Campaign* campaign, std::shared_ptr<Dealer> dealer, const HarvestPace& pace,
                   int accounts, Rng rng);

}  // namespace stillwatch::stillgen
