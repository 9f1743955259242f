#include "tools/stillgen/report.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>

#include "base/mutant.h"
#include "tools/stillgen/truth.h"

namespace stillwatch::stillgen {
namespace {

double Ratio(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

GroupReport GroupOf(const Truth& truth, const Group& group) {
  GroupReport report;
  report.campaign_id = group.campaign_id;
  report.rung = group.rung;
  report.accounts = group.accounts.size();
  std::map<std::string, uint64_t> members;
  for (const std::string& id : group.accounts) {
    const auto found = truth.accounts.find(id);
    if (found == truth.accounts.end()) ++report.unknown;
    else if (found->second.campaign.empty()) ++report.benign;
    else ++members[found->second.campaign];
  }
  for (const auto& [name, count] : members) {
    if (count > report.of_nearest) {
      report.of_nearest = count;
      report.nearest = name;
    }
  }
  return report;
}

RungReport AtRung(const Truth& truth, std::span<const Group> groups, Rung rung) {
  RungReport report;
  report.rung = rung;
  std::set<std::string> flagged;
  std::map<std::string, CampaignReport> campaigns;
  for (const auto& [name, type] : truth.campaigns) {
    campaigns[name].name = name;
    campaigns[name].type = type;
  }
  for (const auto& [id, account] : truth.accounts) {
    if (account.campaign.empty()) ++report.benign[account.kind].second;
    else ++campaigns[account.campaign].accounts;
  }
  for (const Group& group : groups) {
    if (group.rung < rung) continue;
    flagged.insert(group.accounts.begin(), group.accounts.end());
    const GroupReport seen = GroupOf(truth, group);
    if (seen.nearest.empty()) continue;
    CampaignReport& campaign = campaigns[seen.nearest];
    if (seen.of_nearest <= campaign.group_hits) continue;
    campaign.group_hits = seen.of_nearest;
    campaign.group_accounts = seen.accounts;
    campaign.by = seen.campaign_id;
  }
  for (const std::string& id : flagged) {
    const auto found = truth.accounts.find(id);
    ++report.flagged;
    if (found == truth.accounts.end()) {
      ++report.flagged_unknown;
    } else if (found->second.campaign.empty()) {
      ++report.benign[found->second.kind].first;
    } else {
      ++report.flagged_campaign;
      ++campaigns[found->second.campaign].flagged;
    }
  }
  for (auto& [name, campaign] : campaigns) {
    campaign.found = campaign.accounts > 0 && 2 * campaign.group_hits >= campaign.accounts &&
                     10 * campaign.group_hits >= (MutantIs("stillgen.loose_purity") ? 8u : 9u) * campaign.group_accounts;
    report.campaigns.push_back(campaign);
  }
  return report;
}

template <typename... Words>
std::string Line(const char* form, Words... words) {
  char buffer[512];
  std::snprintf(buffer, sizeof buffer, form, words...);
  return std::string(buffer) + "\n";
}

}  // namespace

Result<Truth> ReadTruth(const std::string& path, const std::string& account_key) {
  std::ifstream file(path);
  if (!file) return Error{path + ": " + std::strerror(errno)};
  const auto json = nlohmann::json::parse(file, nullptr, false);
  if (!json.is_object()) return Error{path + ": no JSON object; give the file that --truth wrote"};
  Truth truth;
  try {
    for (const auto& row : json.at("accounts")) {
      std::string id = row.value("key_id", "");
      if (!account_key.empty()) id = KeyId(account_key, row.at("key"));
      if (id.empty()) return Error{path + ": has no key_id; give --account-key as in privacy.account_key"};
      TruthAccount& account = truth.accounts[id];
      account.kind = row.at("kind");
      account.campaign = row.at("campaign").is_null() ? "" : row.at("campaign").get<std::string>();
      account.requests = row.at("requests");
    }
    for (const auto& row : json.at("campaigns")) truth.campaigns[row.at("campaign")] = row.at("type");
    truth.prevalence = json.at("totals").at("prevalence");
    truth.share = json.at("totals").at("share");
    truth.cover = json.at("totals").at("cover");
  } catch (const nlohmann::json::exception& e) {
    return Error{path + ": " + e.what()};
  }
  return truth;
}

Report Compare(const Truth& truth, std::span<const Group> groups) {
  Report report;
  report.truth = truth;
  for (const Group& group : groups) report.groups.push_back(GroupOf(truth, group));
  for (Rung rung : {Rung::kObserve, Rung::kStepUp, Rung::kThrottle}) report.rungs.push_back(AtRung(truth, groups, rung));
  return report;
}

nlohmann::ordered_json JsonOf(const Report& report) {
  using Json = nlohmann::ordered_json;
  Json json;
  json["prevalence"] = report.truth.prevalence;
  json["share"] = report.truth.share;
  json["cover"] = report.truth.cover;
  json["groups"] = Json::array();
  for (const GroupReport& g : report.groups) {
    json["groups"].push_back({{"campaign_id", g.campaign_id}, {"action", RungName(g.rung)}, {"accounts", g.accounts},
                              {"nearest", g.nearest}, {"of_nearest", g.of_nearest}, {"benign", g.benign},
                              {"unknown", g.unknown}});
  }
  for (const RungReport& r : report.rungs) {
    Json at;
    uint64_t found = 0;
    at["campaigns"] = Json::array();
    for (const CampaignReport& c : r.campaigns) {
      found += c.found;
      at["campaigns"].push_back({{"campaign", c.name}, {"type", c.type}, {"accounts", c.accounts}, {"found", c.found},
                                 {"by", c.by}, {"flagged", c.flagged}, {"recall", Ratio(c.flagged, c.accounts)},
                                 {"group_accounts", c.group_accounts}, {"group_purity", Ratio(c.group_hits, c.group_accounts)}});
    }
    at["campaigns_found"] = found;
    at["flagged"] = r.flagged;
    at["flagged_campaign"] = r.flagged_campaign;
    at["flagged_unknown"] = r.flagged_unknown;
    at["precision"] = Ratio(r.flagged_campaign, r.flagged);
    uint64_t benign = 0, benign_flagged = 0;
    for (const auto& [kind, counts] : r.benign) {
      at["benign"][kind] = {{"flagged", counts.first}, {"accounts", counts.second}};
      benign_flagged += counts.first;
      benign += counts.second;
    }
    at["benign_flagged"] = benign_flagged;
    at["benign_accounts"] = benign;
    json[RungName(r.rung)] = std::move(at);
  }
  return json;
}

std::string TextOf(const Report& report, std::span<const Group> groups) {
  std::string text = Line("truth: %zu accounts, prevalence %.2f %%, harvesting share of requests %.1f %%, cover %.2f a harvest",
                          report.truth.accounts.size(), 100 * report.truth.prevalence, 100 * report.truth.share,
                          report.truth.cover);
  for (size_t i = 0; i < report.groups.size(); ++i) {
    const GroupReport& g = report.groups[i];
    text += Line("\nverdict %s: %s, advice %s, %llu accounts", g.campaign_id.c_str(), groups[i].state.c_str(), RungName(g.rung),
                 static_cast<unsigned long long>(g.accounts));
    text += Line("  pooled %.3f, distillation-like %.3f; by the truth: %llu of %s, %llu benign, %llu unknown", groups[i].pooled,
                 groups[i].distillation_like, static_cast<unsigned long long>(g.of_nearest),
                 g.nearest.empty() ? "no campaign" : g.nearest.c_str(), static_cast<unsigned long long>(g.benign),
                 static_cast<unsigned long long>(g.unknown));
    for (const std::string& sentence : groups[i].evidence) text += "  + " + sentence + "\n";
    for (const std::string& sentence : groups[i].counter_evidence) text += "  - " + sentence + "\n";
    std::string ids;
    for (size_t k = 0; k < std::min<size_t>(4, groups[i].accounts.size()); ++k) ids += " " + groups[i].accounts[k];
    text += "  accounts:" + ids + (groups[i].accounts.size() > 4 ? " ..." : "") + "\n";
  }
  if (report.groups.empty()) text += "\nno verdict\n";
  for (const RungReport& r : report.rungs) {
    text += Line("\nat %s and above: %llu accounts flagged, precision %.1f %%", RungName(r.rung),
                 static_cast<unsigned long long>(r.flagged), 100 * Ratio(r.flagged_campaign, r.flagged));
    for (const CampaignReport& c : r.campaigns) {
      text += Line("  %-8s %-9s %llu of its %llu accounts flagged, recall %.1f %%; best group %llu accounts, %.1f %% its own",
                   c.name.c_str(), c.found ? "found" : "NOT FOUND", static_cast<unsigned long long>(c.flagged),
                   static_cast<unsigned long long>(c.accounts), 100 * Ratio(c.flagged, c.accounts),
                   static_cast<unsigned long long>(c.group_accounts), 100 * Ratio(c.group_hits, c.group_accounts));
    }
    for (const auto& [kind, counts] : r.benign) {
      if (counts.first > 0) {
        text += Line("  benign %-10s %llu of %llu flagged", kind.c_str(), static_cast<unsigned long long>(counts.first),
                     static_cast<unsigned long long>(counts.second));
      }
    }
  }
  return text;
}

}  // namespace stillwatch::stillgen
