// What the layers that count cores have in common at one look: every remembered request, whose it is, which cores it
// holds, and which cores are everybody's. Made once a look; the layers only read it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/evidence/core_finder.h"
#include "pipeline/evidence/fragment_runs.h"
#include "pipeline/evidence/public_core.h"
#include "pipeline/evidence/public_list.h"
#include "pipeline/policy/tunables.h"
#include "pipeline/profile/profile.h"

namespace stillwatch::pipeline {

// What is remembered, and of whom: all that is counted at a look starts here.
struct LookRequests {
  uint32_t owners = 0;
  std::vector<uint32_t> owner_of;    // by account
  std::vector<RequestRef> requests;  // sorted by owner
  std::vector<ClientChoice> choices;  // by request
  Likeness likeness;                 // of the owners, by client
  FragmentRuns runs;                 // of the requests
  bool runs_of_all = false;          // of all fragments; else there are too many, and `runs` has those that are sampled
};

struct CoreLook : LookRequests {
  std::span<const Profile> profiles;
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

LookRequests ReadRequests(std::span<const Profile> profiles, const Tunables& tunables);

// `list`: published prompts, public whoever sends them; may be null.
CoreLook LookAtCores(std::span<const Profile> profiles, const Tunables& tunables, const PublicList* list = nullptr);

}  // namespace stillwatch::pipeline
