// Compares verdicts with the truth. Units are accounts and campaigns; requests only in the shares.
//
// A campaign is found at a rung when one verdict group at that rung or above holds at least half of its
// accounts and at least 90 % of the group's accounts are that campaign's. An account is flagged at a rung
// when any group at that rung or above lists it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "tools/stillgen/verdict_file.h"

namespace stillwatch::stillgen {

struct TruthAccount {
  std::string kind, campaign;  // campaign empty: benign
  uint64_t requests = 0;
};

struct Truth {
  std::map<std::string, TruthAccount> accounts;     // by key id
  std::map<std::string, std::string> campaigns;     // name -> type
  double prevalence = 0, share = 0, cover = 0;
};

// Key ids are taken from the file, or made with `account_key` where it has none.
Result<Truth> ReadTruth(const std::string& path, const std::string& account_key);

struct GroupReport {
  std::string campaign_id, nearest;  // the campaign that most of its accounts belong to; empty: none
  Rung rung = Rung::kNone;
  uint64_t accounts = 0, of_nearest = 0, benign = 0, unknown = 0;
};

struct CampaignReport {
  std::string name, type;
  uint64_t accounts = 0;
  bool found = false;
  std::string by;                  // campaign_id of the group that found it
  uint64_t flagged = 0;            // its accounts in any group at the rung
  uint64_t group_accounts = 0, group_hits = 0;  // of the best group: size, and accounts of this campaign
};

struct RungReport {
  Rung rung = Rung::kObserve;
  std::vector<CampaignReport> campaigns;
  uint64_t flagged = 0, flagged_campaign = 0, flagged_unknown = 0;
  std::map<std::string, std::pair<uint64_t, uint64_t>> benign;  // kind -> flagged, of how many
};

struct Report {
  std::vector<GroupReport> groups;
  std::vector<RungReport> rungs;  // observe, step_up, throttle
  Truth truth;
};

Report Compare(const Truth& truth, std::span<const Group> groups);

nlohmann::ordered_json JsonOf(const Report& report);
// A page of text for people; `groups` for the evidence sentences.
std::string TextOf(const Report& report, std::span<const Group> groups);

}  // namespace stillwatch::stillgen
