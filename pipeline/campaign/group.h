// One group of accounts as the assembler sees it: who is in it, which cores carry it, and the counts that
// its judgement rests on. Plain data, made anew at each evaluation.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "pipeline/evidence/core_finder.h"
#include "pipeline/evidence/work_division.h"
#include "pipeline/profile/profile.h"

namespace stillwatch::pipeline {

struct Hit {
  uint32_t request;       // index in the account's profile
  uint32_t core;          // the core that says most
  int32_t content_nats;
  int32_t tuple_nats;
  uint32_t time_s, text_hash;  // of the request: its index is good for one evaluation only
};

struct GroupMember {
  uint32_t account = 0, owner = 0;
  AccountId id;
  int32_t score = 0;      // 1/256 nat: its hits against the benign rate, itself left out of the fit, and its kin
  int32_t kin_nats = 0;   // ... of these, what conversations that moved to and from other members say
  uint32_t requests = 0;  // remembered
  uint32_t cores = 0;     // distinct
  uint32_t first_s = 0, last_s = 0;
  std::vector<Hit> hits;
};

// Counts over the hits of a group, for the families and the look-alike checks.
struct GroupCounts {
  uint32_t owners = 0;
  uint32_t hits = 0;
  uint32_t benign_requests = 0, benign_hits = 0;  // of accounts outside, suspects left out
  uint32_t benign_rate_ppm = 0;                   // never below the floor
  uint32_t templates = 0;          // cores that enough owners hold and that go apart from one another
  uint32_t mixing_owners = 0;      // owners with hits of two templates
  uint32_t overlapping_hits = 0;   // text that another owner sent too
  uint64_t hit_pairs = 0, equal_pairs = 0;  // of hits of different owners; with equal text
  uint32_t conversation_hits = 0;  // with earlier turns
  uint32_t eliciting_hits = 0;
  uint32_t borrowers = 0;          // owners that pass by text alone
  uint32_t days = 0;               // traffic days with hits
  uint32_t multilingual = 0;       // owners that ask in many languages (tunables.languages_many)
  uint32_t outside_multilingual = 0, outside_owners = 0;
  // Division of work.
  uint64_t payload_pairs = 0;      // of different owners under one core
  uint64_t collisions = 0;         // ... with equal payload
  uint32_t crossing_pairs = 0;     // one payload under two cores, two owners
  Continuity continuity;           // of the group's owners
  Continuity cohort;               // of owners outside, by as many requests each
  uint32_t draws = 0;              // matched groups of owners outside (group_layer.h)
};

// What one layer found of a group as a whole (group_layer.h).
struct Finding {
  int32_t nats = 0;                    // 1/256, net of the cohort, capped
  bool known = false;                  // false: there was too little to compare
  std::array<uint64_t, 8> counts = {};  // what its sentence tells; each layer names its own
};
inline constexpr size_t kGroupLayers = 7;

// Edges of layer 2 inside the group, and accounts with such an edge outside it.
struct IdentityCounts {
  uint32_t edges = 0, accounts = 0;
  uint64_t events = 0;
  uint32_t outside_accounts = 0, outside = 0;  // with an edge; of
};

struct GroupEvidence {
  int32_t content = 0, work = 0, stack = 0, elicitation = 0;  // 1/256 nat, capped
  int32_t timing = 0, identity = 0;
  int32_t content_without_parameters = 0;
};

struct Group {
  std::vector<GroupMember> members;  // sorted by id
  std::vector<GroupMember> borrowers;  // pass by text alone, not with their parameters
  CoreSet cores;
  uint32_t founding_anchor = 0;
  GroupCounts counts;
  IdentityCounts identity;
  GroupEvidence evidence;
  std::array<Finding, kGroupLayers> findings;  // in the order of GroupLayers()
};

// Members and borrowers leave; the owners are counted anew.
template <typename IsOut>
void RemoveMembersIf(IsOut is_out, Group* group) {
  std::erase_if(group->members, is_out);
  std::erase_if(group->borrowers, is_out);
  std::vector<uint32_t> owners;
  for (const GroupMember& member : group->members) owners.push_back(member.owner);
  std::sort(owners.begin(), owners.end());
  group->counts.owners = static_cast<uint32_t>(std::unique(owners.begin(), owners.end()) - owners.begin());
}

}  // namespace stillwatch::pipeline
