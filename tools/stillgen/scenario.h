// Which kinds take part and how many accounts each has. Mix text: "chat=400,t1=2x60,classroom=3x40"
// (groups x accounts); a number of accounts may be a range, "t1=1x20..2000", of which the seed draws one,
// log-uniform. Named scenarios are mixes; numbers vary with the seed unless given.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/stillgen/kinds/kind.h"

namespace stillwatch::stillgen {

struct KindEntry {
  std::string_view name;
  bool campaign;
  BuildKind build;
  std::string_view what;
};
std::span<const KindEntry> Kinds();

struct MixPart {
  const KindEntry* kind;
  Share share;
};
using Mix = std::vector<MixPart>;

Result<Mix> ParseMix(std::string_view text);

struct Scenario {
  std::string_view name;
  std::string_view mix;   // at the default size
  double hours;
  std::string_view what;
};
std::span<const Scenario> Scenarios();
Result<Scenario> FindScenario(std::string_view name);

// Shifts the benign numbers of a mix by the seed (each by a factor from 0.6 to 1.6) and then scales all
// benign accounts so that the whole has about `accounts` (0: as they come). Campaigns keep their size.
void VaryMix(Mix* mix, uint64_t seed, int accounts);

// Settles every range.
void DrawRanges(Mix* mix, uint64_t seed);
// Gives every campaign so many accounts.
void SetPools(Mix* mix, int accounts);
// Scales the benign kinds (groups where there are several, else accounts) until campaign accounts are this
// share of all; at least one of each kind stays.
void SetPrevalence(Mix* mix, double prevalence);

void BuildWorld(const Mix& mix, World* world);

}  // namespace stillwatch::stillgen
