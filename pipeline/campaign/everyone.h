// What the layers of a whole group ask of everybody outside, owner by owner and summed up: made once a look, so that a group
// costs what its own owners cost. A layer takes the group's owners off the sums. Batch thread; only read.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "pipeline/campaign/fit.h"
#include "pipeline/evidence/concentration.h"
#include "pipeline/policy/tunables.h"

namespace stillwatch::pipeline {

// What cohorts are matched by.
struct OwnerKind {
  uint32_t dialects = 0;
  int volume = 0;  // power of two of its exchanges
  auto operator<=>(const OwnerKind&) const = default;
};

// What an owner chose in most of some requests.
struct StackChoice {
  std::pair<uint32_t, uint32_t> parameters, transport;  // given the model; given the client family
  uint32_t client = 0;
};
StackChoice StackChoiceOf(std::span<const RememberedRequest* const> requests);

// One choice an owner; what stands second is 0 where nothing is known.
struct OneChoice {
  std::vector<std::pair<uint32_t, uint32_t>> of;  // by place
  ChoiceSums sums;                                // of those known
  uint64_t known = 0;
};

struct Everyone {
  struct Owner {
    uint32_t owner = 0;
    uint32_t asking = 0;  // its requests that elicit (layer 5)
    uint64_t exchanges = 0;  // of its accounts that have requests
    std::span<const RequestRef> requests;
    OwnerKind kind;
    StackChoice stack;
    bool prober = false;  // layer 10's rule
  };
  std::span<const Profile> profiles;
  std::vector<Owner> owners;             // that have requests, ascending; its index is an owner's place
  std::vector<uint32_t> place_of_owner;  // UINT32_MAX: none
  std::map<OwnerKind, std::vector<uint32_t>> of_kind;  // places, in an order that has nothing to do with arrival
  uint64_t requests = 0, asking = 0, exchanges = 0;  // of all owners
  uint32_t first_hour = 0, hours = 0;  // that profiles can hold of the whole population's life
  ChoiceSums parameters, clients, transports;  // as StackChoice; transports that are known
  OneChoice signups, networks;
  uint64_t probers = 0;
  std::vector<uint64_t> cluster_requests;  // by semantic cluster (layer 4), of all accounts that have requests
};

Everyone MakeEveryone(std::span<const Profile> profiles, std::span<const RequestRef> requests, const Tunables& tunables);

// Distinct accounts of an owner that have requests.
std::vector<uint32_t> AccountsOf(std::span<const RequestRef> requests);

}  // namespace stillwatch::pipeline
