#include "pipeline/evidence/core_look.h"

#include <algorithm>
#include <numeric>

#include "pipeline/evidence/flat_map.h"
#include "pipeline/evidence/public_core.h"

namespace stillwatch::pipeline {

std::vector<uint32_t> OwnerIndexes(std::span<const Profile> profiles, uint32_t* owners) {
  FlatMap<uint32_t> index(profiles.size());
  std::vector<uint32_t> result(profiles.size());
  *owners = 0;
  for (size_t i = 0; i < profiles.size(); ++i) {
    uint32_t& dense = index[profiles[i].owner];
    if (dense == 0) dense = ++*owners;
    result[i] = dense - 1;
  }
  return result;
}

std::vector<RequestRef> AllRequests(std::span<const Profile> profiles, std::span<const uint32_t> owners) {
  std::vector<uint32_t> order(profiles.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return owners[a] < owners[b]; });
  std::vector<RequestRef> requests;
  for (uint32_t account : order) {
    for (const RememberedRequest& request : profiles[account].remembered()) {
      requests.push_back({account, owners[account], &request});
    }
  }
  return requests;
}

namespace {

// The runs may have so many entries more than one search for cores: four bytes each.
constexpr uint64_t kRunsOver = 8;

CoreOptions OptionsOf(uint32_t owners, const Tunables& tunables) {
  return {.owners_min = tunables.core_owners_min,
          .owners_max = CoreOwnersMax(owners, tunables),
          .texts_min = tunables.core_owners_min,
          .merge_percent = tunables.core_merge_percent,
          .entries_max = tunables.index_entries_max};
}

}  // namespace

LookRequests ReadRequests(std::span<const Profile> profiles, const Tunables& tunables) {
  LookRequests look;
  look.owner_of = OwnerIndexes(profiles, &look.owners);
  look.requests = AllRequests(profiles, look.owner_of);
  look.choices.reserve(look.requests.size());
  for (const RequestRef& ref : look.requests) look.choices.push_back(ChoiceOf(*ref.request));
  look.likeness = LikenessOf(look.requests, look.choices);
  look.runs_of_all = CountEntries(look.requests) <= kRunsOver * tunables.index_entries_max;
  const uint32_t one_in = look.runs_of_all ? 1 : SampledOneIn(look.requests, OptionsOf(look.owners, tunables));
  look.runs = FragmentRuns(look.requests, tunables.core_owners_min, one_in);
  return look;
}

CoreLook LookAtCores(std::span<const Profile> profiles, const Tunables& tunables, const PublicList* list) {
  CoreLook look{ReadRequests(profiles, tunables), profiles, {}, {}};
  look.cores = FindCores(look.requests, look.runs, OptionsOf(look.owners, tunables));
  PublicCores public_cores(look.likeness, look.cores.cores.size());
  for (size_t i = 0; i < look.requests.size(); ++i) public_cores.Note(look.requests[i].owner, look.choices[i], look.cores.held(i));
  look.is_public = public_cores.Find(tunables);
  if (list != nullptr) list->Mark(look.cores, &look.is_public);
  return look;
}

}  // namespace stillwatch::pipeline
