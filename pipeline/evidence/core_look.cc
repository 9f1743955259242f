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

CoreLook LookAtCores(std::span<const Profile> profiles, const Tunables& tunables, const PublicList* list) {
  CoreLook look;
  look.profiles = profiles;
  const std::vector<uint32_t> owner_of = OwnerIndexes(profiles, &look.owners);
  look.requests = AllRequests(profiles, owner_of);
  look.cores = FindCores(
      look.requests, {.owners_min = tunables.core_owners_min,
                      .owners_max = CoreOwnersMax(look.owners, tunables),
                      .texts_min = tunables.core_texts_min,
                      .merge_percent = tunables.core_merge_percent,
                      .entries_max = tunables.index_entries_max});
  PublicCores public_cores(LikenessOf(look.requests), look.cores.cores.size());
  for (size_t i = 0; i < look.requests.size(); ++i) public_cores.Note(look.requests[i], look.cores.held(i));
  look.is_public = public_cores.Find(tunables);
  if (list != nullptr) list->Mark(look.cores, &look.is_public);
  return look;
}

}  // namespace stillwatch::pipeline
