// What the layers that count cores have in common at one look: every remembered request, whose it is, which cores it
// holds, and which cores are everybody's. Made once a look; the layers only read it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/evidence/core_finder.h"
#include "pipeline/evidence/public_list.h"
#include "pipeline/policy/tunables.h"
#include "pipeline/profile/profile.h"

namespace stillwatch::pipeline {

struct CoreLook {
  std::span<const Profile> profiles;
  uint32_t owners = 0;
  std::vector<RequestRef> requests;  // sorted by owner
  CoreSet cores;                     // held(i): of requests[i]
  std::vector<bool> is_public;       // by core
};

// Of so many owners, those that may share a fragment before it is everyone's.
inline uint32_t CoreOwnersMax(uint32_t owners, const Tunables& tunables) {
  return std::max(owners / tunables.core_owner_share_max, tunables.group_accounts_min);
}

// Dense owner indexes for profiles: equal owners, equal index. Ordered by first appearance.
std::vector<uint32_t> OwnerIndexes(std::span<const Profile> profiles, uint32_t* owners);

// Every remembered request, sorted by owner index.
std::vector<RequestRef> AllRequests(std::span<const Profile> profiles, std::span<const uint32_t> owners);

// `list`: published prompts, public whoever sends them; may be null.
CoreLook LookAtCores(std::span<const Profile> profiles, const Tunables& tunables, const PublicList* list = nullptr);

}  // namespace stillwatch::pipeline
