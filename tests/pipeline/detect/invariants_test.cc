// What must hold whatever is tuned: determinism, bridges join nothing, one account moves little, poisoners
// drag nobody in, unproven keys leave no trace, look-alikes stay at observe.
#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "pipeline/pipeline.h"
#include "pipeline/sink/memory_sink.h"
#include "tests/pipeline/detect/crowd.h"
#include "tests/pipeline/store/temp_folder.h"

namespace stillwatch::pipeline {
namespace {

using crowd::Crowd;

PipelineOptions Options() {
  PipelineOptions options;
  options.token_hash = crowd::TokenOf;
  options.tunables.profiles_max = 4096;
  options.tunables.fragment_rows_max = 1 << 16;
  options.tunables.doorkeeper_rows = 1 << 18;
  return options;
}

struct Played {
  MemorySink sink;
  std::unique_ptr<Pipeline> pipeline;
  std::set<std::string> flagged;  // step-up or above, live; at the end of the crowd's requests

  explicit Played(const Crowd& crowd, int watermarks_every = 0, PipelineOptions options = Options(),
                  std::shared_ptr<const AccountDirectory> directory = nullptr)
      : pipeline(std::make_unique<Pipeline>(std::move(options), nullptr, &sink, nullptr)) {
    pipeline->SwapDirectory(std::move(directory));
    dataplane::ExchangeBuilder builder;
    uint64_t order = 0;
    for (const crowd::Request& request : crowd.requests) {
      pipeline->OnExchange(crowd::BuildExchange(crowd, request, order++, &builder));
      if (watermarks_every != 0 && order % static_cast<uint64_t>(watermarks_every) == 0) {
        pipeline->OnWatermark(order, request.time_ns + 3'000'000);  // just what is complete
      }
    }
    EXPECT_TRUE(pipeline->Finish().ok());
    flagged = Flagged();
  }
  // As of now.
  std::set<std::string> Flagged() const {
    std::set<std::string> accounts;
    for (const v1::CampaignVerdict& verdict : pipeline->Campaigns()) {
      if (verdict.state() > v1::CAMPAIGN_STATE_CONFIRMED || verdict.advice().action() < v1::ACTION_STEP_UP) continue;
      for (const auto& account : verdict.accounts()) accounts.insert(account.id());
    }
    return accounts;
  }
};

crowd::CrowdOptions Small(uint64_t seed) {
  return {.seed = seed, .chat_accounts = 200, .app_accounts = 5, .framework_accounts = 40, .classes = 1,
          .harnesses = 1, .batch_jobs = 1, .pack_users = 10, .t1 = true, .t4 = false};
}

void SortByTime(Crowd* crowd) {
  std::stable_sort(crowd->requests.begin(), crowd->requests.end(),
                   [](const auto& a, const auto& b) { return a.time_ns < b.time_ns; });
}

uint32_t AddAccount(Crowd* crowd, const std::string& kind) {
  std::string id = crowd->accounts.front().id;
  const std::string number = std::to_string(1'000'000 + crowd->accounts.size());
  id.replace(0, number.size(), number);
  crowd->accounts.push_back({id, kind, -1});
  return static_cast<uint32_t>(crowd->accounts.size() - 1);
}

TEST(Invariants, SameExchangesGiveTheSameBytesWhereverWatermarksFall) {
  const Crowd crowd = crowd::MakeCrowd(Small(3));
  const Played plain(crowd), again(crowd), marked(crowd, 7);
  ASSERT_FALSE(plain.flagged.empty());
  for (Topic topic : {Topic::kCampaignVerdict, Topic::kEdge, Topic::kAccountProfile, Topic::kEnforcementAdvice,
                      Topic::kCampaignState}) {
    EXPECT_EQ(plain.sink.Lines(topic), again.sink.Lines(topic));
    EXPECT_EQ(plain.sink.Lines(topic), marked.sink.Lines(topic));
  }
}

TEST(Invariants, AnAccountBetweenTwoCampaignsJoinsNeither) {
  crowd::CrowdOptions options = Small(4);
  options.t4 = true;
  Crowd crowd = crowd::MakeCrowd(options);
  // It borrows one request of each campaign, and sends it three times with small changes.
  const uint32_t bridge = AddAccount(&crowd, "bridge");
  for (int campaign = 0; campaign < 2; ++campaign) {
    const auto from = std::find_if(crowd.requests.begin(), crowd.requests.end(), [&](const auto& r) {
      return r.harvest && crowd.accounts[r.account].campaign == campaign;
    });
    ASSERT_NE(from, crowd.requests.end());
    const crowd::Request borrowed = *from;
    for (uint32_t n = 0; n < 3; ++n) {
      crowd::Request request = borrowed;
      request.account = bridge;
      request.instruction.push_back(n + 17);
      crowd.requests.push_back(request);
    }
  }
  SortByTime(&crowd);
  const Played run(crowd);
  ASSERT_FALSE(run.flagged.empty());
  std::map<std::string, int> campaigns_of;
  for (const v1::CampaignVerdict& verdict : run.pipeline->Campaigns()) {
    if (verdict.state() > v1::CAMPAIGN_STATE_CONFIRMED) continue;
    for (const auto& account : verdict.accounts()) ++campaigns_of[account.id()];
  }
  EXPECT_EQ(campaigns_of[crowd.accounts[bridge].id], 0);
}

TEST(Invariants, RemovingOneAccountMovesFewOthers) {
  const Crowd crowd = crowd::MakeCrowd(Small(5));
  const Played whole(crowd);
  ASSERT_GE(whole.flagged.size(), 20u);
  int tried = 0;
  for (const std::string& id : whole.flagged) {
    if (tried++ % 12 != 0) continue;  // every twelfth member
    Crowd without = crowd;
    std::erase_if(without.requests, [&](const auto& r) { return crowd.accounts[r.account].id == id; });
    const Played run(without);
    size_t moved = 0;
    for (const std::string& other : whole.flagged) moved += other != id && !run.flagged.contains(other);
    for (const std::string& other : run.flagged) moved += !whole.flagged.contains(other);
    EXPECT_LE(moved * 20, whole.flagged.size()) << id;
  }
}

TEST(Invariants, MigrationRaisesPooledAndNothingElse) {
  crowd::CrowdOptions options = Small(3);
  const Crowd apart = crowd::MakeCrowd(options);
  options.migrates = true;
  const Crowd moving = crowd::MakeCrowd(options);
  const Played without(apart), with(moving);
  ASSERT_FALSE(with.flagged.empty());
  EXPECT_EQ(with.flagged, without.flagged);
  const auto edges = [](const Played& run) {
    size_t count = 0;
    for (const v1::Edge* edge : run.sink.Records<v1::Edge>()) {
      count += edge->layer() == 2 && edge->family() == v1::FAMILY_IDENTITY;
    }
    return count;
  };
  EXPECT_EQ(edges(without), 0u);
  EXPECT_GE(edges(with), 5u);
  const auto before = without.pipeline->Campaigns(), after = with.pipeline->Campaigns();
  ASSERT_EQ(before.size(), after.size());
  bool rose = false;
  for (size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(before[i].labels().distillation_like(), after[i].labels().distillation_like());
    EXPECT_EQ(before[i].advice().action(), after[i].advice().action());
    EXPECT_EQ(before[i].accounts_size(), after[i].accounts_size());
    EXPECT_GE(after[i].labels().pooled(), before[i].labels().pooled());
    for (const v1::Evidence& evidence : after[i].evidence()) {
      if (evidence.layer() != 2) continue;
      EXPECT_EQ(evidence.family(), v1::FAMILY_IDENTITY);
      EXPECT_LE(evidence.weight(), Tunables{}.identity_nats_max);
      rose |= evidence.weight() > 0 && evidence.count() > 0;
    }
  }
  EXPECT_TRUE(rose);
}

TEST(Invariants, AConversationThatTheServerKeepsIsRememberedAsOne) {
  crowd::CrowdOptions options = Small(3);
  options.migrates = true;
  const Crowd crowd = crowd::MakeCrowd(options);
  std::map<std::pair<std::string, uint32_t>, bool> goes_on;  // by account and second; two in one second tell nothing
  std::set<std::pair<std::string, uint32_t>> several;
  for (const crowd::Request& request : crowd.requests) {
    const std::pair at(crowd.accounts[request.account].id, static_cast<uint32_t>(request.time_ns / 1'000'000'000));
    if (!goes_on.emplace(at, request.conversation || request.id_returned != 0).second) several.insert(at);
  }
  const Played run(crowd);
  size_t kept = 0;
  for (const Profile& profile : run.pipeline->profiles().all()) {
    for (uint32_t i = 0; i < profile.requests_count; ++i) {
      const std::pair at(HexOf(Bytes(profile.id.bytes)), profile.requests[i].time_s);
      if (several.contains(at)) continue;
      EXPECT_EQ((profile.requests[i].flags & kConversation) != 0, goes_on.at(at));
      kept += goes_on.at(at);
    }
  }
  EXPECT_GT(kept, 10u);
}

// A gateway that balances one customer's keys, or a customer who rotates them.
TEST(Invariants, KeysOfOneOwnerDoNotMigrate) {
  crowd::CrowdOptions options = Small(3);
  options.migrates = true;
  const Crowd crowd = crowd::MakeCrowd(options);
  TempFolder folder;
  const std::string path = folder / "accounts.ndjson";
  std::ofstream file(path);
  for (const crowd::Account& account : crowd.accounts) {
    file << R"({"key_id":")" << account.id << R"(","account":")" << account.id << R"(","organisation":"one customer"})" << "\n";
  }
  file.close();
  const auto directory = AccountDirectory::Load(path, Salt{});
  ASSERT_TRUE(directory.ok()) << directory.error().message;
  const Played run(crowd, 0, Options(), directory.value());
  EXPECT_EQ(run.pipeline->migration().counters().Get(MigrationCounter::kIdEvents), 0u);
  EXPECT_GT(run.pipeline->migration().counters().Get(MigrationCounter::kSameOwner), 10u);
}

TEST(Invariants, PoisonersDragNoInnocentIn) {
  Crowd crowd = crowd::MakeCrowd(Small(6));
  const Played clean(crowd);
  // Thirty poisoners each copy the style of the campaign and texts of innocents, so that innocents resemble them.
  std::vector<crowd::Request> harvest, innocent;
  for (const auto& r : crowd.requests) {
    if (r.harvest) harvest.push_back(r);
    else if (crowd.accounts[r.account].kind == "chat") innocent.push_back(r);
  }
  std::set<std::string> poisoners;
  for (uint32_t p = 0; p < 30; ++p) {
    const uint32_t account = AddAccount(&crowd, "poisoner");
    poisoners.insert(crowd.accounts[account].id);
    for (uint32_t n = 0; n < 10; ++n) {
      crowd::Request request = n % 2 == 0 ? harvest[(p * 31 + n * 7) % harvest.size()] : innocent[(p * 17 + n) % innocent.size()];
      request.account = account;
      request.instruction.push_back(p * 100 + n);
      crowd.requests.push_back(request);
    }
  }
  SortByTime(&crowd);
  const Played poisoned(crowd);
  ASSERT_FALSE(poisoned.flagged.empty());
  std::map<std::string, std::string> kind;
  for (const auto& account : crowd.accounts) kind[account.id] = account.kind;
  for (const std::string& id : poisoned.flagged) EXPECT_TRUE(kind[id] == "T1" || kind[id] == "poisoner") << kind[id];
}

TEST(Invariants, UnprovenKeysLeaveNoProfile) {
  Crowd crowd = crowd::MakeCrowd(Small(7));
  MemorySink sink;
  Pipeline pipeline(Options(), nullptr, &sink, nullptr);
  dataplane::ExchangeBuilder builder;
  const auto send = [&](uint32_t account, uint16_t status, uint32_t flags, uint64_t flow) {
    crowd::Request request = crowd.requests.front();
    request.account = account;
    crowd::BuildExchange(crowd, request, 1, &builder);
    builder.header().status = status;
    builder.header().flags = (builder.header().flags & ~static_cast<uint32_t>(dataplane::kResponseSeen)) | flags;
    builder.header().flow_id = flow;
    pipeline.OnExchange(builder.Finish());
  };
  for (int i = 0; i < 9; ++i) send(0, 401, dataplane::kResponseSeen, static_cast<uint64_t>(i));  // refused by the provider
  for (int i = 0; i < 9; ++i) send(1, 0, 0, 5);        // unseen responses, one flow
  send(2, 0, 0, 5), send(2, 0, 0, 6), send(2, 0, 0, 6);  // third exchange over two flows
  send(3, 200, dataplane::kResponseSeen, 9);
  EXPECT_TRUE(pipeline.Finish().ok());
  EXPECT_EQ(pipeline.profiles().size(), 2u);
}

TEST(Invariants, OwnerUnknownStopsAtStepUpUnlessLifted) {
  const Crowd crowd = crowd::MakeCrowd(Small(3));
  PipelineOptions lifted = Options();
  lifted.policy.owner_unknown_lifts = true;
  lifted.policy.action_max = Rung::kBlock;
  const Played strict(crowd), free(crowd, 0, lifted);
  const auto highest = [](const Played& run) {
    int rung = 0;
    for (const v1::CampaignVerdict& v : run.pipeline->Campaigns()) rung = std::max<int>(rung, v.advice().action());
    return rung;
  };
  EXPECT_EQ(highest(strict), v1::ACTION_STEP_UP);
  EXPECT_GE(highest(free), v1::ACTION_THROTTLE);
}

TEST(Invariants, AllowListedAccountsAreAuditedAndSpared) {
  const Crowd crowd = crowd::MakeCrowd(Small(3));
  const Played before(crowd);
  ASSERT_FALSE(before.flagged.empty());
  PipelineOptions options = Options();
  options.policy.allow_owners.assign(before.flagged.begin(), before.flagged.end());
  const Played run(crowd, 0, options);
  EXPECT_TRUE(run.sink.Records<v1::EnforcementAdvice>().empty());
  EXPECT_FALSE(run.sink.Records<v1::Audit>().empty());
  EXPECT_FALSE(before.sink.Records<v1::EnforcementAdvice>().empty());
}

// Anybody may write into a header what suits him: one word for all of a campaign, or one of its own for each account.
TEST(Invariants, ADeclaredOrganisationNeitherHidesACampaignNorMakesOwnersKnown) {
  const Crowd plain = crowd::MakeCrowd(Small(3));
  const Played before(plain);
  ASSERT_FALSE(before.flagged.empty());
  for (const bool one_for_all : {true, false}) {
    Crowd declared = plain;
    for (crowd::Request& request : declared.requests) {
      if (declared.accounts[request.account].campaign >= 0) request.declared_organisation = one_for_all ? 77 : 1'000 + request.account;
    }
    const Played run(declared);
    EXPECT_EQ(run.flagged, before.flagged);
    for (const v1::CampaignVerdict& verdict : run.pipeline->Campaigns()) EXPECT_LE(verdict.advice().action(), v1::ACTION_STEP_UP);
  }
}

// What a consumer of the compacted topic holds: the last record of each account, none after a tombstone.
struct StandingAdvice {
  std::map<std::string, const v1::EnforcementAdvice*> records;
  int renewals = 0;

  explicit StandingAdvice(const MemorySink& sink) {
    for (const Event& event : sink.events()) {
      if (event.topic != Topic::kEnforcementAdvice) continue;
      const auto* record = dynamic_cast<const v1::EnforcementAdvice*>(event.message.get());
      const auto before = records.find(event.key);
      if (record == nullptr) {
        EXPECT_NE(before, records.end()) << "a tombstone for advice that was never given";
        records.erase(event.key);
        continue;
      }
      if (before != records.end()) {
        ++renewals;
        EXPECT_GE(before->second->advice().expires(), record->meta().event_time()) << "advice lapsed though its campaign lived";
      }
      records[event.key] = record;
    }
  }
  std::set<std::string> accounts() const {
    std::set<std::string> names;
    for (const auto& [name, record] : records) names.insert(name);
    return names;
  }
};

TEST(Invariants, AdviceStandsForExactlyTheFlaggedAndIsRenewed) {
  crowd::CrowdOptions options = Small(3);
  options.t1 = false, options.t6 = true;  // over 14 days
  const Crowd crowd = crowd::MakeCrowd(options);
  PipelineOptions short_lived = Options();
  short_lived.policy.advice_ttl_hours = 24;
  const Played run(crowd, 0, short_lived);
  ASSERT_FALSE(run.flagged.empty());
  const StandingAdvice standing(run.sink);
  EXPECT_EQ(standing.accounts(), run.flagged);
  EXPECT_GT(standing.renewals, static_cast<int>(run.flagged.size()));
  for (const auto& [name, record] : standing.records) EXPECT_GT(record->advice().expires(), crowd.requests.back().time_ns) << name;
}

TEST(Invariants, ANewPolicyReachesStandingAdviceAtOnce) {
  const Crowd crowd = crowd::MakeCrowd(Small(3));
  Played run(crowd);
  ASSERT_FALSE(run.flagged.empty());
  EXPECT_EQ(StandingAdvice(run.sink).accounts(), run.flagged);
  PolicyOptions policy;
  policy.version = "two";
  policy.allow_owners = {*run.flagged.begin()};
  run.pipeline->SwapPolicy(policy, 2);
  std::set<std::string> rest = run.flagged;
  rest.erase(rest.begin());
  EXPECT_EQ(StandingAdvice(run.sink).accounts(), rest);
  policy.action_max = Rung::kObserve;
  run.pipeline->SwapPolicy(policy, 3);
  EXPECT_TRUE(StandingAdvice(run.sink).records.empty());
  EXPECT_EQ(run.sink.Records<v1::CampaignVerdict>().back()->advice().action(), v1::ACTION_OBSERVE);
  run.pipeline->SwapPolicy(PolicyOptions{}, 4);
  EXPECT_EQ(StandingAdvice(run.sink).accounts(), run.flagged);
}

// An account that the directory names anew: what a consumer holds under the old name is withdrawn, and the advice stands
// under the name that verdicts give.
TEST(Invariants, ANewNameLeavesNoAdviceUnderTheOldOne) {
  const Crowd crowd = crowd::MakeCrowd(Small(3));
  TempFolder folder;
  const auto directory = [&](const std::string& names) {
    std::ofstream out(folder / "directory.ndjson");
    for (size_t i = 0; i < crowd.accounts.size(); ++i) {
      out << "{\"key_id\":\"" << crowd.accounts[i].id << "\",\"account\":\"" << names << i << "\"}\n";
    }
    out.close();
    return AccountDirectory::Load(folder / "directory.ndjson", Options().salt).value();
  };
  Played run(crowd, 0, Options(), directory("old-"));
  ASSERT_FALSE(run.flagged.empty());
  EXPECT_TRUE(run.flagged.begin()->starts_with("old-"));
  EXPECT_EQ(StandingAdvice(run.sink).accounts(), run.flagged);
  run.pipeline->SwapDirectory(directory("new-"));
  run.pipeline->SwapPolicy(PolicyOptions{}, 2);
  const std::set<std::string> renamed = run.Flagged();
  EXPECT_EQ(renamed.size(), run.flagged.size());
  EXPECT_FALSE(renamed.begin()->starts_with("old-"));
  EXPECT_EQ(StandingAdvice(run.sink).accounts(), renamed);
}

TEST(Invariants, VerdictsFillWhatTheContractNames) {
  const Crowd crowd = crowd::MakeCrowd(Small(3));
  const Played run(crowd);
  const auto verdicts = run.sink.Records<v1::CampaignVerdict>();
  ASSERT_FALSE(verdicts.empty());
  std::set<std::string> ids;
  for (const v1::CampaignVerdict* verdict : verdicts) {
    EXPECT_TRUE(ids.insert(verdict->meta().event_id()).second);
    EXPECT_EQ(verdict->campaign_id().size(), 32u);
    EXPECT_GT(verdict->meta().event_time(), 0);
    EXPECT_GE(verdict->meta().event_time(), verdict->evidence_time());
    EXPECT_FALSE(verdict->policy_version().empty());
    EXPECT_GE(verdict->evidence_size(), 4);
    EXPECT_GE(verdict->checks_size(), 5);
    EXPECT_GE(verdict->counter_evidence_size(), 1);
    EXPECT_FALSE(verdict->cohort_compared().empty());
    EXPECT_GT(verdict->blast_radius().accounts(), 0u);
    EXPECT_GT(verdict->advice().expires(), verdict->meta().event_time());
  }
}

TEST(Invariants, EventsWaitWhileTheSinkRefuses) {
  const Crowd crowd = crowd::MakeCrowd(Small(3));
  MemorySink sink;
  sink.failing = true;
  Pipeline pipeline(Options(), nullptr, &sink, nullptr);
  dataplane::ExchangeBuilder builder;
  uint64_t order = 0;
  for (const crowd::Request& request : crowd.requests) {
    pipeline.OnExchange(crowd::BuildExchange(crowd, request, order++, &builder));
  }
  EXPECT_FALSE(pipeline.Finish().ok());
  EXPECT_TRUE(sink.events().empty());
  sink.failing = false;
  EXPECT_TRUE(pipeline.Finish().ok());
  const Played direct(crowd);
  EXPECT_EQ(sink.Lines(Topic::kCampaignVerdict), direct.sink.Lines(Topic::kCampaignVerdict));
}

}  // namespace
}  // namespace stillwatch::pipeline
