// What campaigns have in common: a script hands out work without repeating it, and callers on many
// accounts send it, with cover traffic on the same accounts. How alike the accounts are on the outside
// (parameters, hours, stack, age, addresses) is drawn by the seed, or hidden by WorldOptions::disguise.
#pragma once

#include <memory>
#include <optional>

#include "tools/stillgen/kinds/script.h"

namespace stillwatch::stillgen {

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

// The outside of a campaign, drawn once.
class CampaignOutside {
 public:
  // `api`: the one dialect that the work needs; none: any.
  CampaignOutside(const World& world, Rng rng, std::optional<Api> api = std::nullopt);

  void Dress(Account* account, Rng& rng) const;       // stack, age, addresses
  std::vector<Tuning> TuningsFor(Rng& rng) const;     // of one account; none: as the script says
  std::vector<int64_t> Times(int64_t count, Rng& rng) const;

 private:
  enum class Sharing { kAsDealt, kOne, kFew, kAccount, kRequest };
  enum class Hours { kEven, kShift, kPeople };

  const World* world_;
  const ClientStack* stacks_[2];
  Api apis_[2];
  bool own_stacks_, aged_;
  std::optional<Api> api_;
  double oldest_days_;
  Sharing sharing_;
  std::vector<Tuning> tunings_;
  Hours hours_;
  int64_t shift_start_ns_, shift_length_ns_;
  std::vector<Address> exits_;  // shared proxies; empty: own addresses
};

struct HarvestPace {
  double low, high;    // harvesting requests an account a day, log-uniform; a shorter run counts as a day
  double cover;        // benign requests for each harvesting one
  double turns = 1;    // requests a conversation, about
  std::optional<Api> api = std::nullopt;
  bool as_dealt = false;  // the parameters are part of the work
};
// A pace out of a wide range: `low` to `high` requests an account a day, of which a campaign draws a stretch.
HarvestPace DrawPace(const World& world, double low, double high, double cover, Rng& rng);
// Requests of one account in the whole run.
double DrawRequests(const World& world, const HarvestPace& pace, Rng& rng);

// Adds `accounts` accounts and their actors for one campaign. The script lives as long as the actors.
void AddHarvesters(World* world, Campaign* campaign, std::shared_ptr<Script> script, const HarvestPace& pace,
                   int accounts, Rng rng);

// The work of T1, T2 or T4, by chance.
std::shared_ptr<Script> AnyHarvestScript(const World& world, Rng rng);

// Ordinary chat on a campaign's account: `requests` in all, about.
void AddCover(World* world, Account* account, double requests, Rng rng);

}  // namespace stillwatch::stillgen
