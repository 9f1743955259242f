#include "pipeline/evidence/public_core.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/hash.h"
#include "base/mutant.h"

namespace stillwatch::pipeline {

uint64_t EqualPairs::Of(std::span<const ClientChoice> owners, size_t feature) {
  if (slots_.size() < owners.size() * 2) slots_.assign(std::bit_ceil(owners.size() * 4), Slot{}), round_ = 0;
  ++round_;
  uint64_t pairs = 0;
  for (const ClientChoice& choice : owners) {
    const uint32_t value = choice.values[feature];
    size_t at = Mix32(value) & (slots_.size() - 1);
    while (slots_[at].round == round_ && slots_[at].value != value) at = (at + 1) & (slots_.size() - 1);
    Slot& slot = slots_[at];
    if (slot.round != round_) slot = {value, 0, round_};
    pairs += slot.count++;
  }
  return pairs;
}

Likeness LikenessOf(std::span<const RequestRef> requests) {
  std::vector<ClientChoice> choices;
  for (const RequestRef& ref : requests) choices.push_back(ChoiceOf(*ref.request));
  return LikenessOf(requests, choices);
}

Likeness LikenessOf(std::span<const RequestRef> requests, std::span<const ClientChoice> choices) {
  std::vector<ClientChoice> owners;
  uint32_t last = UINT32_MAX;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].owner == last) continue;
    last = requests[i].owner;
    owners.push_back(choices[i]);
  }
  EqualPairs pairs;
  return LikenessOf(owners, &pairs);
}

Likeness LikenessOf(std::span<const ClientChoice> owners, EqualPairs* pairs) {
  Likeness likeness;
  const uint64_t n = owners.size();
  likeness.pairs = n * (n - (n != 0)) / 2;
  for (size_t feature = 0; feature < ClientChoice::kFeatures; ++feature) likeness.equal_pairs[feature] = pairs->Of(owners, feature);
  return likeness;
}

bool MoreAlike(const Likeness& some, const Likeness& population, size_t feature, const Tunables& tunables) {
  if (population.pairs == 0) return false;
  const uint64_t share_q16 = (population.equal_pairs[feature] << 16) / population.pairs;  // pairs stay below 2^40
  const uint64_t expected_q8 = some.pairs * share_q16 >> 8;
  const uint64_t bound_q8 = std::max(expected_q8 * tunables.public_likeness_percent / 100, expected_q8 + 512);
  return some.equal_pairs[feature] * 256 > bound_q8;
}

uint64_t ExpectedAsAmongOthersQ8(const OwnersOf& a, const OwnersOf& b, uint64_t together, const OwnersOf& all) {
  // Of those without `given`, the holders of `of`, times how many more those with it are.
  const auto one_way = [&](const OwnersOf& of, const OwnersOf& given) {
    const uint64_t others_q8 = (of.owners - std::min(of.owners, together) + 3) * 256;
    const uint64_t by_owners = others_q8 * given.owners / std::max<uint64_t>(all.owners - std::min(all.owners, given.owners), 1);
    const uint64_t by_requests = others_q8 * given.requests / std::max<uint64_t>(all.requests - std::min(all.requests, given.requests), 1);
    return std::max(by_owners, by_requests);
  };
  return std::max(one_way(a, b), one_way(b, a));
}

bool TiedAgainstOthers(uint64_t together, uint64_t among_others_q8, const Tunables& tunables) {
  if (MutantIs("detect.lift_hides_the_largest")) return false;
  return together * 256 >= among_others_q8 * tunables.public_lift_min * tunables.public_lift_min;
}

bool PublicRule::IsPublic(std::span<const ClientChoice> owners) {
  if (population_.pairs == 0 || owners.size() < tunables_.group_accounts_min) return false;
  const Likeness likeness = LikenessOf(owners, &pairs_);
  for (size_t feature = 0; feature < ClientChoice::kFeatures; ++feature) {
    if (MoreAlike(likeness, population_, feature, tunables_)) return false;
  }
  return !MutantIs("detect.no_public_cores");
}

void PublicCores::Note(uint32_t owner, const ClientChoice& choice, std::span<const uint32_t> cores) {
  for (uint32_t core : cores) {
    if (last_owner_[core] == owner) continue;
    last_owner_[core] = owner;
    uses_.push_back({core, choice});
  }
}

std::vector<bool> PublicCores::Find(const Tunables& tunables) {
  std::vector<bool> is_public(last_owner_.size(), false);
  // By core, each in the order noted.
  std::vector<uint32_t> start(last_owner_.size() + 1, 0);
  for (const Use& use : uses_) ++start[use.core + 1];
  std::partial_sum(start.begin(), start.end(), start.begin());
  std::vector<ClientChoice> by_core(uses_.size());
  std::vector<uint32_t> fill(start.begin(), start.end() - 1);
  for (const Use& use : uses_) by_core[fill[use.core]++] = use.choice;
  PublicRule rule(population_, tunables);
  for (size_t core = 0; core < is_public.size(); ++core) {
    is_public[core] = rule.IsPublic({by_core.data() + start[core], start[core + 1] - start[core]});
  }
  return is_public;
}

}  // namespace stillwatch::pipeline
