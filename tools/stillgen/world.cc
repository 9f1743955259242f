#include "tools/stillgen/world.h"

#include <algorithm>
#include <cmath>

#include "tools/stillgen/encode_response.h"
#include "tools/stillgen/phrase.h"

namespace stillwatch::stillgen {
namespace {

std::string NewKey(Api api, Rng& rng) {
  switch (api) {
    case Api::kMessages: return RandomId("sk-ant-api03-", 60, rng);
    case Api::kGemini: return RandomId("AIzaSy", 33, rng);
    default: return RandomId(rng.Chance(0.7) ? "sk-proj-" : "sk-", 48, rng);
  }
}

}  // namespace

Address NewAddress(Rng& rng) {
  Address a;
  if (rng.Chance(0.08)) {
    a.v6 = true;
    const uint8_t prefix[4] = {0x20, 0x01, 0x0d, 0xb8};  // documentation prefix
    std::copy(prefix, prefix + 4, a.bytes);
    for (int i = 4; i < 16; ++i) a.bytes[i] = static_cast<uint8_t>(rng.Below(256));
    a.bytes[4] &= 0x7f;  // the upper half is the servers'
    return a;
  }
  // Private, carrier-grade and benchmarking ranges: never anyone's.
  static constexpr uint8_t kRanges[][2] = {{10, 0}, {10, 0}, {100, 64}, {172, 16}, {198, 18}};
  static constexpr uint8_t kSpread[] = {255, 255, 63, 15, 1};
  const uint64_t range = rng.Below(5);
  a.bytes[0] = kRanges[range][0];
  a.bytes[1] = static_cast<uint8_t>(kRanges[range][1] + rng.Below(kSpread[range] + 1u));
  a.bytes[2] = static_cast<uint8_t>(rng.Below(256));
  a.bytes[3] = static_cast<uint8_t>(rng.Range(1, 254));
  return a;
}

void SetStack(Account* account, const ClientStack& stack, Api api, Rng& rng) {
  ClientIdentity& client = account->client;
  client.stack = &stack;
  client.api = api;
  client.key = NewKey(api, rng);
  client.key_in_query = api == Api::kGemini && rng.Chance(0.3);
  std::vector<std::string_view> agents;
  for (std::string_view left = stack.agents; !left.empty();) {
    const size_t end = std::min(left.find('|'), left.size());
    agents.push_back(left.substr(0, end));
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  client.agent = rng.Pick(agents);
  client.os = Expand("[Linux|Linux|MacOS|Windows]", rng);
  client.host = "api.models.example";
}

Account* World::NewAccount(std::string_view kind, Site site, Rng& from) {
  auto account = std::make_unique<Account>();
  account->index = static_cast<uint32_t>(accounts.size());
  account->kind = kind;
  const auto stacks = ClientStacks();
  const ClientStack* stack = nullptr;
  do {
    stack = &stacks[from.Below(stacks.size())];
  } while (stack->server_side != (site == Site::kServer) && from.Chance(0.8));
  static constexpr Api kApis[] = {Api::kChat, Api::kChat, Api::kChat, Api::kResponses, Api::kMessages,
                                  Api::kMessages, Api::kGemini};
  Api api;
  do {
    api = kApis[from.Below(std::size(kApis))];
  } while ((stack->apis >> static_cast<int>(api) & 1u) == 0);
  SetStack(account.get(), *stack, api, from);
  const int64_t addresses = site == Site::kServer ? 1 : from.Range(1, 3);
  for (int64_t i = 0; i < addresses; ++i) account->addresses.push_back(NewAddress(from));
  account->rtt_ms = from.LogUniform(3, 180);
  const double share = options.stream_share >= 0 ? options.stream_share : site == Site::kPerson ? 0.45 : 0.15;
  account->stream = from.Chance(share);
  account->owner = account->index;
  Rng aside = from.Fork("owner");
  account->age_days = static_cast<int>(aside.LogUniform(2, 1200));
  if (aside.Chance(0.25)) account->client.organisation = RandomId("org-", 24, aside);
  accounts.push_back(std::move(account));
  return accounts.back().get();
}

Campaign* World::NewCampaign(std::string_view type) {
  auto campaign = std::make_unique<Campaign>();
  campaign->index = static_cast<int>(campaigns.size());
  campaign->type = type;
  const auto same = std::count_if(campaigns.begin(), campaigns.end(),
                                  [&](const auto& c) { return c->type == type; });
  campaign->name = std::string(type) + "-" + std::to_string(same + 1);
  campaigns.push_back(std::move(campaign));
  return campaigns.back().get();
}

void World::SameOwner(const Account& first, Account* account) {
  account->owner = first.owner;
  account->age_days = first.age_days;
  account->allowed = first.allowed;
  account->client.organisation = first.client.organisation;
}

void World::Join(Campaign* campaign, Account* account) {
  account->campaign = campaign->index;
  account->kind = campaign->type;
  campaign->accounts.push_back(account->index);
}

std::string World::PickModel(Rng& from) const {
  static constexpr std::string_view kModels[] = {"meridian-4",      "meridian-4",        "meridian-4-mini",
                                                 "meridian-4-mini", "meridian-reason-2", "meridian-3.5"};
  return std::string(kModels[from.Below(std::size(kModels))]);
}

std::vector<int64_t> StartTimes(Rng& rng, int64_t count, int64_t from, int64_t to, bool diurnal) {
  std::vector<int64_t> times;
  const double zone = rng.Unit() * 6.283185307179586;
  while (static_cast<int64_t>(times.size()) < count) {
    const int64_t at = from + static_cast<int64_t>(rng.Unit() * static_cast<double>(to - from));
    const double hour = static_cast<double>(at % kNsPerDay) / static_cast<double>(kNsPerDay);
    if (diurnal && !rng.Chance(0.55 + 0.45 * std::sin(6.283185307179586 * hour + zone))) continue;
    times.push_back(at);
  }
  std::sort(times.begin(), times.end());
  return times;
}

}  // namespace stillwatch::stillgen
