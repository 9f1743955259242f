// From a proposed set of accounts to a fitted group. The cores are found in the requests that made the
// links (never in all requests of the accounts: cover would dilute them); every request of every account
// is then scored alone, by its likelihood ratio against requests from outside, with the account itself
// left out; accounts are admitted or let go, and the fit is made again, at most `growth_rounds` times.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "pipeline/campaign/group.h"
#include "pipeline/campaign/kin.h"
#include "pipeline/evidence/core_finder.h"
#include "pipeline/evidence/core_holders.h"
#include "pipeline/evidence/core_look.h"
#include "pipeline/evidence/flat_map.h"
#include "pipeline/evidence/fragment_postings.h"
#include "pipeline/evidence/public_core.h"
#include "pipeline/policy/tunables.h"

namespace stillwatch::pipeline {

// How often the owners use which settings (model and parameters) and which model; each owner counts at most three times for
// one setting: no single owner sets a rate.
struct SettingsCounts {
  FlatMap<uint32_t> settings, models;
  uint32_t SettingsOf(uint32_t key) const { return CountIn(settings, key); }
  uint32_t ModelsOf(uint32_t key) const { return CountIn(models, key); }

 private:
  static uint32_t CountIn(const FlatMap<uint32_t>& counts, uint32_t key) {
    const uint32_t* count = counts.Find(key);
    return count == nullptr ? 0 : *count;
  }
};

// What all fits of one evaluation share, so that a fit costs what its cores' requests cost and not what everybody's do.
struct Population {
  std::span<const Profile> profiles;
  std::vector<uint32_t> owner_of;   // by account
  std::vector<RequestRef> requests;  // sorted by owner
  std::vector<ClientChoice> choices;  // by request
  uint32_t owners = 0;
  Likeness likeness;  // of its owners, by client
  std::vector<uint32_t> first_of_account;  // its first request in `requests`; the rest follows in the profile's order
  std::vector<uint32_t> first_of_owner;    // by owner, and the end
  FragmentPostings postings;               // of `requests`
  SettingsCounts settings;                 // of all owners
  std::vector<bool> multilingual;          // by owner: asks in many languages
  uint32_t multilingual_owners = 0;
  Kin kin;
};
// `look`: what is remembered in the profiles.
Population MakePopulation(std::span<const Profile> profiles, LookRequests look, const Tunables& tunables);

// A remembered request, also after it moved within its profile.
struct RequestName {
  uint32_t account, time_s, text_hash;
  auto operator<=>(const RequestName&) const = default;
};

struct Seed {
  std::vector<uint32_t> accounts;    // sorted
  std::vector<uint32_t> anchors;     // fragments named by the edges, sorted
  std::vector<RequestName> requests;  // of a campaign of before: its hits, sorted. Else empty: all with an anchor
  bool is_pool = false;               // accounts of one hand, of which nothing says yet what they share: all requests, no anchors
};

// Fits the groups of one look, one after another; what they ask in common is kept between them. The population must outlive it.
class GroupFitter {
 public:
  GroupFitter(const Population& population, const Tunables& tunables);
  ~GroupFitter();

  // Nothing when fewer than group_accounts_min owners remain.
  std::optional<Group> Fitted(const Seed& seed);

 private:
  class Fit;
  CoreHolders holders_;
  std::unique_ptr<Fit> fit_;
};

}  // namespace stillwatch::pipeline
