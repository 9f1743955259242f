#include "tools/stillgen/verdict_file.h"

#include <algorithm>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "base/mutant.h"

namespace stillwatch::stillgen {
namespace {

using Json = nlohmann::json;

struct Held {
  Group group;
  std::set<int64_t> parts;  // of the verdict under way
  std::string superseded_by;
  size_t order = 0;
};

void Take(const Json& row, Held* held) {
  const std::string time = row.value("event_time", "");
  const int64_t part = row.value("part", int64_t{1});
  // A new verdict begins with a new time or a part that we already have.
  if (time != held->group.event_time || held->parts.contains(part) || MutantIs("stillgen.last_part_only")) {
    held->parts.clear();
    held->group.accounts.clear();
  }
  held->parts.insert(part);
  Group& group = held->group;
  group.event_time = time;
  group.campaign_id = row.value("campaign_id", "");
  group.state = row.value("state", "");
  held->superseded_by = row.value("superseded_by", "");
  const Json labels = row.value("labels", Json::object());
  group.pooled = labels.value("pooled", 0.0) / 65536.0;
  group.distillation_like = labels.value("distillation_like", 0.0) / 65536.0;
  group.rung = RungOf(row.value("advice", Json::object()).value("action", ""));
  for (const Json& account : row.value("accounts", Json::array())) group.accounts.push_back(account.at("id"));
  const Json evidence = row.value("evidence", Json::array());
  if (!evidence.empty()) {
    group.evidence.clear();
    for (const Json& e : evidence) group.evidence.push_back(e.value("text", ""));
  }
  const Json counter = row.value("counter_evidence", Json::array());
  if (!counter.empty()) group.counter_evidence = counter.get<std::vector<std::string>>();
}

}  // namespace

Rung RungOf(const std::string& action) {
  for (int rung = 1; rung <= static_cast<int>(Rung::kBlock); ++rung) {
    if (action == RungName(static_cast<Rung>(rung))) return static_cast<Rung>(rung);
  }
  return Rung::kNone;
}

const char* RungName(Rung rung) {
  static constexpr const char* kNames[] = {"none", "observe", "step_up", "throttle", "degrade", "block"};
  return kNames[static_cast<int>(rung)];
}

Result<std::vector<Group>> ReadVerdicts(std::istream& lines, const std::string& name) {
  std::map<std::string, Held> held;
  std::set<std::string> events;
  std::string line;
  for (size_t number = 1; std::getline(lines, line); ++number) {
    if (line.empty()) continue;
    const Json row = Json::parse(line, nullptr, false);
    if (!row.is_object()) return Error{name + ":" + std::to_string(number) + ": no JSON object"};
    try {
      if (const std::string event = row.value("event_id", ""); !event.empty() && !events.insert(event).second) continue;
      Held& campaign = held[row.value("campaign_id", "")];
      if (campaign.order == 0) campaign.order = held.size();
      Take(row, &campaign);
    } catch (const Json::exception& e) {
      return Error{name + ":" + std::to_string(number) + ": " + e.what()};
    }
  }
  std::vector<const Held*> live;
  for (const auto& [id, campaign] : held) {
    const std::string& state = campaign.group.state;
    if (state != "withdrawn" && state != "closed" && campaign.superseded_by.empty()) live.push_back(&campaign);
  }
  std::sort(live.begin(), live.end(), [](const Held* a, const Held* b) { return a->order < b->order; });
  std::vector<Group> groups;
  for (const Held* campaign : live) groups.push_back(campaign->group);
  return groups;
}

}  // namespace stillwatch::stillgen
