#include "pipeline/evidence/public_core.h"

#include <algorithm>
#include <numeric>

#include "base/mutant.h"

namespace stillwatch::pipeline {

namespace {

// Pairs of equal values in a sorted list.
uint64_t EqualPairs(std::span<const uint32_t> sorted) {
  uint64_t pairs = 0;
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i;
    while (end < sorted.size() && sorted[end] == sorted[i]) ++end;
    const uint64_t n = end - i;
    pairs += n * (n - 1) / 2;
    i = end;
  }
  return pairs;
}

// Of choices, one an owner. `values` is scratch.
template <typename Choices>
Likeness Count(const Choices& choices, std::vector<uint32_t>* values) {
  Likeness likeness;
  const uint64_t n = choices.size();
  likeness.pairs = n * (n - (n != 0)) / 2;
  for (size_t feature = 0; feature < ClientChoice::kFeatures; ++feature) {
    values->clear();
    for (const auto& entry : choices) values->push_back(entry.choice.values[feature]);
    std::sort(values->begin(), values->end());
    likeness.equal_pairs[feature] = EqualPairs(*values);
  }
  return likeness;
}

}  // namespace

ClientChoice ChoiceOf(const RememberedRequest& request) {
  return {{SettingsOf(request), request.model, request.client}};
}

Likeness LikenessOf(std::span<const RequestRef> requests) {
  struct Owner {
    ClientChoice choice;
  };
  std::vector<Owner> owners;
  uint32_t last = UINT32_MAX;
  for (const RequestRef& ref : requests) {
    if (ref.owner == last) continue;
    last = ref.owner;
    owners.push_back({ChoiceOf(*ref.request)});
  }
  std::vector<uint32_t> values;
  return Count(owners, &values);
}

bool MoreAlike(const Likeness& some, const Likeness& population, size_t feature, const Tunables& tunables) {
  if (population.pairs == 0) return false;
  const uint64_t share_q16 = (population.equal_pairs[feature] << 16) / population.pairs;  // pairs stay below 2^40
  const uint64_t expected_q8 = some.pairs * share_q16 >> 8;
  const uint64_t bound_q8 = std::max(expected_q8 * tunables.public_likeness_percent / 100, expected_q8 + 512);
  return some.equal_pairs[feature] * 256 > bound_q8;
}

bool SharedBeyondChance(uint64_t together, uint64_t expected_q8, uint64_t fewer, const Tunables& tunables) {
  const uint64_t lift = expected_q8 * tunables.public_lift_min;
  const uint64_t halfway = expected_q8 + (std::max(fewer * 256, expected_q8) - expected_q8) / 2;
  if (MutantIs("detect.lift_hides_the_largest")) return together * 256 >= lift;
  return together * 256 >= std::min(lift, std::max<uint64_t>(halfway, tunables.public_lift_min * 256));
}

void PublicCores::Note(const RequestRef& ref, std::span<const uint32_t> cores) {
  for (uint32_t core : cores) {
    if (last_owner_[core] == ref.owner) continue;
    last_owner_[core] = ref.owner;
    uses_.push_back({core, ChoiceOf(*ref.request)});
  }
}

std::vector<bool> PublicCores::Find(const Tunables& tunables) {
  std::vector<bool> is_public(last_owner_.size(), false);
  if (population_.pairs == 0) return is_public;
  // By core, each in the order noted.
  std::vector<uint32_t> start(last_owner_.size() + 1, 0);
  for (const Use& use : uses_) ++start[use.core + 1];
  std::partial_sum(start.begin(), start.end(), start.begin());
  std::vector<Use> by_core(uses_.size());
  std::vector<uint32_t> fill(start.begin(), start.end() - 1);
  for (const Use& use : uses_) by_core[fill[use.core]++] = use;
  std::vector<uint32_t> values;
  for (size_t core = 0; core < is_public.size(); ++core) {
    const std::span<const Use> mine(by_core.data() + start[core], start[core + 1] - start[core]);
    if (mine.size() < tunables.public_owners_min) continue;
    const Likeness likeness = Count(mine, &values);
    bool alike = false;
    for (size_t feature = 0; feature < ClientChoice::kFeatures; ++feature) {
      alike |= MoreAlike(likeness, population_, feature, tunables);
    }
    is_public[core] = !alike && !MutantIs("detect.no_public_cores");
  }
  return is_public;
}

}  // namespace stillwatch::pipeline
