// What an attacker, a tap or a clock can do to the exchanges themselves: one account that never stops, copies, another order,
// clocks that jump. Never a lost campaign for the first, never advice against an innocent for any. docs/bad-input.md lists these
// with the tests of other folders.
#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "pipeline/pipeline.h"
#include "pipeline/sink/memory_sink.h"
#include "tests/pipeline/detect/crowd.h"

namespace stillwatch::pipeline {
namespace {

using crowd::Crowd;

constexpr int64_t kHourNs = 3'600'000'000'000;

const Crowd& TheCrowd() {
  static const Crowd crowd = crowd::MakeCrowd({.seed = 3, .chat_accounts = 200, .app_accounts = 5, .framework_accounts = 40,
                                               .classes = 1, .harnesses = 1, .batch_jobs = 1, .pack_users = 10, .t1 = true, .t4 = false});
  return crowd;
}

struct Played {
  std::map<std::string, uint32_t> flagged;  // at the end at step-up or above, by kind
  uint64_t exchanges = 0, pushed_out = 0;
  uint32_t profiles = 0, most_remembered = 0;
};

Played Play(const Crowd& crowd) {
  PipelineOptions options;
  options.token_hash = crowd::TokenOf;
  options.tunables.profiles_max = 4096;
  options.tunables.fragment_rows_max = 1 << 16;
  options.tunables.doorkeeper_rows = 1 << 18;
  options.write_account_profiles = options.write_edges = false;
  MemorySink sink;
  CounterRegistry registry;
  Pipeline pipeline(options, nullptr, &sink, &registry);
  dataplane::ExchangeBuilder builder;
  uint64_t order = 0;
  for (const crowd::Request& request : crowd.requests) pipeline.OnExchange(crowd::BuildExchange(crowd, request, order++, &builder));
  EXPECT_TRUE(pipeline.Finish().ok());
  std::map<std::string, std::string> kind;
  for (const crowd::Account& account : crowd.accounts) kind[account.id] = account.kind;
  Played played;
  for (const v1::CampaignVerdict& verdict : pipeline.Campaigns()) {
    if (verdict.state() > v1::CAMPAIGN_STATE_CONFIRMED || verdict.advice().action() < v1::ACTION_STEP_UP) continue;
    for (const auto& account : verdict.accounts()) ++played.flagged[kind[account.id()]];
  }
  played.exchanges = pipeline.counters().Get(PipelineCounter::kExchanges);
  played.pushed_out = registry.Snapshot()["profile.requests_pushed_out"];
  played.profiles = pipeline.profiles().size();
  for (const Profile& profile : pipeline.profiles().all()) played.most_remembered = std::max<uint32_t>(played.most_remembered, profile.requests_count);
  return played;
}

uint32_t Innocents(const Played& played) {
  uint32_t count = 0;
  for (const auto& [kind, accounts] : played.flagged) count += kind == "T1" ? 0 : accounts;
  return count;
}

uint32_t CampaignAccounts() {
  return static_cast<uint32_t>(std::count_if(TheCrowd().accounts.begin(), TheCrowd().accounts.end(),
                                             [](const auto& account) { return account.kind == "T1"; }));
}

void SortByTime(Crowd* crowd) {
  std::stable_sort(crowd->requests.begin(), crowd->requests.end(),
                   [](const auto& a, const auto& b) { return a.time_ns < b.time_ns; });
}

TEST(BadInput, TheCrowdAsItIs) {
  const Played played = Play(TheCrowd());
  EXPECT_GE(played.flagged.at("T1") * 10, CampaignAccounts() * 9);
  EXPECT_EQ(Innocents(played), 0u);
}

// Ten times as many requests as everybody else together, of one person: no place of anybody else's, no campaign less.
TEST(BadInput, AnAccountThatNeverStopsKeepsItsOwnBoundOnly) {
  Crowd crowd = TheCrowd();
  const auto chat = std::find_if(crowd.requests.begin(), crowd.requests.end(),
                                 [&](const auto& r) { return crowd.accounts[r.account].kind == "chat"; });
  const crowd::Request one = *chat;
  const int64_t first = crowd.requests.front().time_ns, last = crowd.requests.back().time_ns;
  const size_t more = crowd.requests.size() * 10;
  std::mt19937_64 random(5);
  for (size_t i = 0; i < more; ++i) {
    crowd::Request request = one;
    request.time_ns = first + (last - first) * static_cast<int64_t>(i) / static_cast<int64_t>(more);
    for (uint32_t& token : request.instruction) token ^= static_cast<uint32_t>(random());
    crowd.requests.push_back(std::move(request));
  }
  SortByTime(&crowd);
  const Played played = Play(crowd);
  EXPECT_EQ(played.exchanges, crowd.requests.size());
  EXPECT_LE(played.most_remembered, kRequestsRemembered);
  EXPECT_GE(played.pushed_out, more - kRequestsRemembered);
  EXPECT_EQ(played.profiles, Play(TheCrowd()).profiles);
  EXPECT_GE(played.flagged.at("T1") * 10, CampaignAccounts() * 9);
  EXPECT_EQ(Innocents(played), 0u);
}

// A tap that delivers all twice: copies of one account's text are no second owner's.
TEST(BadInput, EveryExchangeTwice) {
  Crowd crowd = TheCrowd();
  std::vector<crowd::Request> twice;
  for (const crowd::Request& request : crowd.requests) twice.push_back(request), twice.push_back(request);
  crowd.requests = std::move(twice);
  const Played played = Play(crowd);
  EXPECT_GE(played.flagged.at("T1") * 10, CampaignAccounts() * 9);
  EXPECT_EQ(Innocents(played), 0u);
}

// Workers, boxes and mirrors deliver late: order within blocks of 64 is drawn, and the times stay those of the requests.
TEST(BadInput, AnotherOrderWithinBlocks) {
  Crowd crowd = TheCrowd();
  std::mt19937_64 random(7);
  for (size_t at = 0; at < crowd.requests.size(); at += 64) {
    const auto begin = crowd.requests.begin() + static_cast<ptrdiff_t>(at);
    std::shuffle(begin, begin + static_cast<ptrdiff_t>(std::min<size_t>(64, crowd.requests.size() - at)), random);
  }
  const Played played = Play(crowd);
  EXPECT_GE(played.flagged.at("T1") * 10, CampaignAccounts() * 9);
  EXPECT_EQ(Innocents(played), 0u);
}

// Set back by a day in the middle, then on by two: requests keep the times they have, and nothing is forgotten early.
TEST(BadInput, ClocksThatJump) {
  Crowd crowd = TheCrowd();
  const size_t n = crowd.requests.size();
  for (size_t i = n / 3; i < n; ++i) crowd.requests[i].time_ns += i < 2 * n / 3 ? -24 * kHourNs : 48 * kHourNs;
  const Played played = Play(crowd);
  EXPECT_EQ(played.exchanges, n);
  EXPECT_EQ(Innocents(played), 0u);
  EXPECT_GE(played.flagged.at("T1") * 10, CampaignAccounts() * 9);
}

}  // namespace
}  // namespace stillwatch::pipeline
