// Public cores, the live rule: a core is everybody's when those who use it are as unlike one another as any
// accounts of this population. Likeness is counted in pairs of owners, which needs no size of its own: how many
// pairs send the core with the same model and parameters, to the same model, or by the same client family, against
// the share of all pairs of owners that do (Simpson's index; the Renyi entropy of order 2). What people pass on
// (phrases, prompt packs, viral prompts, famous jailbreaks) is sent with each one's own client and settings; a
// campaign has to vary all of them to look so. Frequency plays no part: the biggest campaigns are more frequent than any
// framework. Integers only; batch thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/evidence/core_finder.h"
#include "pipeline/policy/tunables.h"

namespace stillwatch::pipeline {

// What of a request tells clients apart.
struct ClientChoice {
  enum Feature : size_t { kSettings, kModel, kClient, kFeatures };
  std::array<uint32_t, kFeatures> values = {};  // model with parameters, model, client family
};
// A model and its parameters, as one key.
inline uint32_t SettingsOf(const RememberedRequest& r) { return static_cast<uint32_t>(r.model) << 16 | r.parameters; }
inline ClientChoice ChoiceOf(const RememberedRequest& r) { return {{SettingsOf(r), r.model, r.client}}; }

// How alike the owners of a list of requests are, by feature: pairs of owners with the same value, and all pairs.
struct Likeness {
  std::array<uint64_t, ClientChoice::kFeatures> equal_pairs = {};
  uint64_t pairs = 0;
};

// Counts pairs of owners with the same value, in a small table that is cleared by forgetting its round.
class EqualPairs {
 public:
  uint64_t Of(std::span<const ClientChoice> owners, size_t feature);

 private:
  struct Slot {
    uint32_t value = 0, count = 0;
    uint64_t round = 0;
  };
  std::vector<Slot> slots_;
  uint64_t round_ = 0;
};

// An owner counts by the first of its requests. `requests` sorted by owner.
Likeness LikenessOf(std::span<const RequestRef> requests);
Likeness LikenessOf(std::span<const RequestRef> requests, std::span<const ClientChoice> choices);
// Of choices, one an owner.
Likeness LikenessOf(std::span<const ClientChoice> owners, EqualPairs* pairs);

// Whether owners are alike in a feature beyond what chance or another crowd of people would give: more than
// public_likeness_percent of the population's equal pairs, and two pairs more.
bool MoreAlike(const Likeness& some, const Likeness& population, size_t feature, const Tunables& tunables);

// The owners of a core, or all, and how many requests are remembered of them.
struct OwnersOf {
  uint64_t owners = 0, requests = 0;
};

// How many owners (in 1/256) would hold both of two cores if those who hold the one held the other as often as those who do
// not: the larger of both ways round, by heads and by requests. Independent use of all, which counts the
// campaign itself among "all", cannot tell the largest ones: k owners of N share two cores at most N / k times as often.
// That none of few others holds it says little: three more count.
uint64_t ExpectedAsAmongOthersQ8(const OwnersOf& a, const OwnersOf& b, uint64_t together, const OwnersOf& all);

// So far beyond that, that something ties the two. (From public_lift_min times what independent use gives on two cores are
// tied; this is its square, which only cores of a fifth of all owners or requests can reach without the other.)
bool TiedAgainstOthers(uint64_t together, uint64_t among_others_q8, const Tunables& tunables);

// Whether a core is everybody's, by the choices of its owners, one each.
class PublicRule {
 public:
  PublicRule(const Likeness& population, const Tunables& tunables) : population_(population), tunables_(tunables) {}

  // Fewer than group_accounts_min are too few to tell: then it is not.
  bool IsPublic(std::span<const ClientChoice> owners);

 private:
  const Likeness population_;
  const Tunables& tunables_;
  EqualPairs pairs_;
};

// Collects who holds which core, then answers for each. Owners must come one after another.
class PublicCores {
 public:
  PublicCores(const Likeness& population, size_t cores) : population_(population), last_owner_(cores, UINT32_MAX) {}

  void Note(uint32_t owner, const ClientChoice& choice, std::span<const uint32_t> cores);
  // By core: true when it is public. Cores of fewer than group_accounts_min owners are not: too few to tell.
  std::vector<bool> Find(const Tunables& tunables);

 private:
  struct Use {
    uint32_t core;
    ClientChoice choice;
  };

  const Likeness population_;
  std::vector<uint32_t> last_owner_;  // by core
  std::vector<Use> uses_;
};

}  // namespace stillwatch::pipeline
