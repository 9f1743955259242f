#include "pipeline/campaign/everyone.h"

#include <algorithm>
#include <bit>

#include "base/endian.h"
#include "base/hash.h"
#include "pipeline/evidence/exact_rules_layer.h"
#include "pipeline/evidence/semantic_clusters.h"

namespace stillwatch::pipeline {

namespace {

// The value that most have; ties by the smaller. Reorders them.
uint32_t MajorityOf(std::vector<uint32_t>* values) {
  std::sort(values->begin(), values->end());
  uint32_t best = 0;
  size_t most = 0;
  for (size_t i = 0; i < values->size();) {
    size_t end = i;
    while (end < values->size() && (*values)[end] == (*values)[i]) ++end;
    if (end - i > most) most = end - i, best = (*values)[i];
    i = end;
  }
  return best;
}

void AddHours(Everyone* everyone) {
  uint32_t newest = 0, oldest = UINT32_MAX;
  for (const Profile& profile : everyone->profiles) {
    if (profile.hours.newest == 0) continue;
    newest = std::max(newest, profile.hours.newest);
    oldest = std::min(oldest, static_cast<uint32_t>(std::max<int64_t>(profile.first_ns, 0) / 3'600'000'000'000));
  }
  if (newest == 0) return;
  everyone->first_hour = std::max(std::min(oldest, newest), newest - std::min(newest, ActiveHours::kHours - 1));
  everyone->hours = newest - everyone->first_hour + 1;
}

void AddChoices(Everyone* everyone) {
  int64_t newest_s = 0;
  for (const Profile& profile : everyone->profiles) newest_s = std::max(newest_s, profile.last_ns / 1'000'000'000);
  const auto add = [](const std::pair<uint32_t, uint32_t>& choice, OneChoice* to) {
    to->of.push_back(choice);
    if (choice.second != 0) ++to->known, to->sums.Add(choice);
  };
  for (const Everyone::Owner& owner : everyone->owners) {
    const Profile& profile = everyone->profiles[owner.requests.front().account];
    add({0, profile.home.Most()}, &everyone->networks);
    std::pair<uint32_t, uint32_t> signup{0, 0};
    if (profile.created_s > 0) {
      const auto age_days = static_cast<uint64_t>(std::max<int64_t>(newest_s - profile.created_s, 0)) / 86'400;
      signup = {std::bit_width(age_days), static_cast<uint32_t>(profile.created_s / 86'400)};
    }
    add(signup, &everyone->signups);
  }
}

void AddClusters(Everyone* everyone) {
  everyone->cluster_requests.assign(SemanticClusters::kRowsMax, 0);
  for (const Everyone::Owner& owner : everyone->owners) {
    for (uint32_t account : AccountsOf(owner.requests)) {
      const Profile& profile = everyone->profiles[account];
      for (uint32_t i = 0; i < profile.clusters.Size(); ++i) everyone->cluster_requests[profile.clusters.clusters[i]] += profile.clusters.Uses(i);
    }
  }
}

Everyone::Owner OwnerOf(std::span<const Profile> profiles, std::span<const RequestRef> requests, const Tunables& tunables) {
  const auto asks = static_cast<uint8_t>(std::min(tunables.elicitation_nats / 16, 255));
  Everyone::Owner owner;
  owner.owner = requests.front().owner;
  owner.requests = requests;
  uint32_t account = UINT32_MAX;
  std::vector<const RememberedRequest*> all;
  for (const RequestRef& ref : requests) {
    owner.asking += ref.request->elicitation >= asks;
    all.push_back(ref.request);
    if (ref.account == account) continue;
    account = ref.account;
    owner.kind.dialects |= profiles[account].dialects;
    owner.exchanges += profiles[account].exchanges;
    owner.prober |= IsProber(profiles[account], tunables);
  }
  owner.kind.volume = std::bit_width(owner.exchanges);
  owner.stack = StackChoiceOf(all);
  return owner;
}

}  // namespace

std::vector<uint32_t> AccountsOf(std::span<const RequestRef> requests) {
  std::vector<uint32_t> accounts;
  for (const RequestRef& ref : requests) {
    if (accounts.empty() || accounts.back() != ref.account) accounts.push_back(ref.account);
  }
  return accounts;
}

StackChoice StackChoiceOf(std::span<const RememberedRequest* const> requests) {
  std::vector<uint32_t> values;
  const auto majority = [&](auto value) {
    values.clear();
    for (const RememberedRequest* r : requests) values.push_back(value(*r));
    return MajorityOf(&values);
  };
  const auto halves = [](uint32_t both) { return std::pair<uint32_t, uint32_t>(both >> 16, both & 0xffff); };
  StackChoice choice;
  choice.parameters = halves(majority([](const auto& r) { return SettingsOf(r); }));
  choice.client = majority([](const auto& r) { return uint32_t{r.client}; });
  choice.transport = halves(majority([](const auto& r) { return uint32_t{r.client} << 16 | r.transport; }));
  return choice;
}

Everyone MakeEveryone(std::span<const Profile> profiles, std::span<const RequestRef> requests, const Tunables& tunables) {
  Everyone everyone;
  everyone.profiles = profiles;
  std::vector<uint64_t> order;  // by place
  for (size_t i = 0; i < requests.size();) {
    size_t end = i;
    while (end < requests.size() && requests[end].owner == requests[i].owner) ++end;
    const auto place = static_cast<uint32_t>(everyone.owners.size());
    everyone.place_of_owner.resize(requests[i].owner + 1, UINT32_MAX);
    everyone.place_of_owner.back() = place;
    const Everyone::Owner& owner = everyone.owners.emplace_back(OwnerOf(profiles, requests.subspan(i, end - i), tunables));
    i = end;
    everyone.requests += owner.requests.size();
    everyone.asking += owner.asking;
    everyone.exchanges += owner.exchanges;
    everyone.probers += owner.prober;
    everyone.parameters.Add(owner.stack.parameters);
    everyone.clients.Add({0, owner.stack.client});
    if (owner.stack.transport.second != 0) everyone.transports.Add(owner.stack.transport);
    everyone.of_kind[owner.kind].push_back(place);
    order.push_back(Mix64(LoadLe<uint64_t>(profiles[owner.requests.front().account].id.bytes) + 1));
  }
  for (auto& [kind, places] : everyone.of_kind) {
    std::sort(places.begin(), places.end(), [&](uint32_t a, uint32_t b) { return std::pair(order[a], a) < std::pair(order[b], b); });
  }
  AddHours(&everyone);
  AddChoices(&everyone);
  AddClusters(&everyone);
  return everyone;
}

}  // namespace stillwatch::pipeline
