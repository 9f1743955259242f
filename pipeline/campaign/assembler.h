// Groups from edges. Reads only edges and profiles (contract): `replay --edges FILE` runs it alone. Edges
// propose: label propagation over the accounts splits them into seeds; each seed is fitted and grown
// (fit.h), small pure seeds first; groups that admit each other's members are one.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "pipeline/campaign/fit.h"
#include "pipeline/evidence/edge.h"
#include "pipeline/profile/profile_table.h"

namespace stillwatch::pipeline {

// `edges` sorted by accounts and layer. Edges of accounts without a profile are left out; `unknown` counts them.
std::vector<Seed> ProposeSeeds(std::span<const EdgeRecord> edges, const ProfileTable& profiles,
                               const Tunables& tunables, uint64_t* unknown);

// Measured groups, by founding anchor. `known`: campaigns of before, tried again beside what the edges
// propose, so that a group does not vanish because its seed fell apart. `correct`: may take members out of a group before
// it is measured; one that is left too small is none. `look`: what is remembered in the profiles, where it was read already.
std::vector<Group> AssembleGroups(std::span<const EdgeRecord> edges, std::vector<Seed> known,
                                  const ProfileTable& profiles, std::optional<LookRequests> look, const Tunables& tunables,
                                  uint64_t* unknown, const std::function<void(Group*)>& correct = {});

}  // namespace stillwatch::pipeline
