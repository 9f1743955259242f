// A relay: conversations of many callers over a pool of accounts. Turns move between accounts, and a
// question that one account was refused (429) goes to the next at once. Used by campaigns and by a customer
// who balances own keys.
#pragma once

#include "tools/stillgen/kinds/script.h"

namespace stillwatch::stillgen {

class RelayPool {
 public:
  RelayPool(std::vector<Account*> accounts, double sticky, Rng rng)
      : accounts_(std::move(accounts)), sticky_(sticky), rng_(rng) {}

  // The account of the next turn, when the last was on `before` (null: the first).
  Account* Next(Account* before);
  Account* Other(Account* than);

 private:
  std::vector<Account*> accounts_;
  double sticky_;  // chance that a turn stays
  Rng rng_;
};

// One caller behind the relay. `server_keeps`: conversations go on by the id of the last response.
std::unique_ptr<Actor> MakeRelayLane(std::shared_ptr<RelayPool> pool, std::shared_ptr<Script> script, std::vector<int64_t> times,
                                     Rng rng, std::vector<Tuning> tunings, bool harvest, bool server_keeps, std::string end_user = "");

// What a person asks (person.h), as a script.
std::shared_ptr<Script> MakePersonScript(const World& world, Rng rng);

}  // namespace stillwatch::stillgen
