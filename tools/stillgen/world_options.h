// The options that capture and play share: which world to build.
#pragma once

#include <memory>

#include "tools/stillgen/options.h"
#include "tools/stillgen/world.h"

namespace stillwatch::stillgen {

struct BuiltWorld {
  std::unique_ptr<World> world;
  std::string mix;          // as built, for the truth
  std::string account_key;  // empty: none given
};

// scenario, mix, seed, split, accounts, hours, days, scale, sse, cover, pool, prevalence, harvest-a-day,
// disguise, start, account-key, exact
std::vector<std::string_view> WorldOptionNames();
// `hours`: the scenario's own length when neither --hours nor --days is given and this is negative.
Result<BuiltWorld> WorldFromOptions(const Options& options, double hours);

}  // namespace stillwatch::stillgen
