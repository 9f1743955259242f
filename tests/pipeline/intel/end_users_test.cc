// A campaign hidden among honest people behind one reseller's key: found by end user where the operator lists the key, as one
// account where not; and what a peer that invents end users can and cannot take.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>

#include "base/bytes.h"
#include "base/clock.h"
#include "pipeline/batch/edge_recording.h"
#include "pipeline/pipeline.h"
#include "pipeline/sink/memory_sink.h"
#include "tests/pipeline/detect/crowd.h"

namespace stillwatch::pipeline {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kKey(32, 'a');  // the reseller's
constexpr uint64_t kSalt = 5;

uint64_t EndUserHash(uint32_t account) { return KeyedHash64("u_" + std::to_string(account), DeriveSalt(Salt{kSalt}, "name")); }

// Everybody of the campaign and every third person ask through one key.
struct Hidden {
  crowd::Crowd crowd;
  std::set<std::string> campaign, honest;  // as topics would name them

  Hidden() : crowd(crowd::MakeCrowd({.seed = 3, .chat_accounts = 240, .app_accounts = 5, .framework_accounts = 40, .classes = 1, .harnesses = 1, .batch_jobs = 1, .pack_users = 10, .t1 = true, .t4 = false})) {
    for (uint32_t i = 0; i < crowd.accounts.size(); ++i) {
      crowd::Account& account = crowd.accounts[i];
      if (account.campaign < 0 && (account.kind != "chat" || i % 3 != 0)) continue;
      account.id = kKey;
      account.end_user = EndUserHash(i);
      (account.campaign < 0 ? honest : campaign).insert(kKey + "#" + HexOf(account.end_user));
    }
  }
};

const Hidden& TheHidden() {
  static const Hidden hidden;
  return hidden;
}

PipelineOptions Options(std::vector<Reseller> resellers) {
  PipelineOptions options;
  options.salt = Salt{kSalt};
  options.token_hash = crowd::TokenOf;
  options.tunables.profiles_max = 4096;
  options.tunables.fragment_rows_max = 1 << 15;
  options.tunables.doorkeeper_rows = 1 << 17;
  options.seal_key = MakeSealKey("key", Salt{kSalt});
  options.resellers = std::move(resellers);
  return options;
}

struct Played {
  MemorySink sink;
  Pipeline pipeline;
  dataplane::ExchangeBuilder builder;

  explicit Played(PipelineOptions options) : pipeline(std::move(options), nullptr, &sink, nullptr) {}
  void Play(const crowd::Crowd& crowd, size_t from, size_t to) {
    for (size_t at = from; at < to; ++at) pipeline.OnExchange(crowd::BuildExchange(crowd, crowd.requests[at], at, &builder));
  }
  Played& All(const crowd::Crowd& crowd) {
    Play(crowd, 0, crowd.requests.size());
    EXPECT_TRUE(pipeline.Finish().ok());
    return *this;
  }
  // Who stands in a live verdict at step-up or higher.
  std::set<std::string> Flagged() const {
    std::set<std::string> flagged;
    for (const v1::CampaignVerdict& verdict : pipeline.Campaigns()) {
      if (verdict.advice().action() < v1::ACTION_STEP_UP) continue;
      for (const auto& account : verdict.accounts()) flagged.insert(account.id());
    }
    return flagged;
  }
  std::vector<std::string> Records(size_t from = 0) const {
    std::vector<std::string> records;
    for (size_t i = from; i < sink.events().size(); ++i) {
      const Event& event = sink.events()[i];
      records.push_back(std::string(NameOf(event.topic)) + " " + event.key + " " + (event.message == nullptr ? event.tombstone_id : event.message->SerializeAsString()));
    }
    return records;
  }
};

// The first request at or after `wanted` that begins a batch: a snapshot has no open one.
size_t BatchBegin(const crowd::Crowd& crowd, size_t wanted) {
  const auto second = [&](size_t i) { return (crowd.requests[i].time_ns + 3'000'000) / kNsPerSecond; };
  while (second(wanted) == second(wanted - 1)) ++wanted;
  return wanted;
}

size_t Common(const std::set<std::string>& a, const std::set<std::string>& b) {
  return static_cast<size_t>(std::count_if(a.begin(), a.end(), [&](const std::string& x) { return b.contains(x); }));
}

TEST(EndUsers, ACampaignBehindOneKeyIsFoundByEndUserAndHonestOnesAreLeftAlone) {
  Played run(Options({{.owner = kKey, .reason = "contract 4713"}}));
  run.All(TheHidden().crowd);
  const std::set<std::string> flagged = run.Flagged();
  EXPECT_GE(10 * Common(flagged, TheHidden().campaign), 9 * TheHidden().campaign.size());
  EXPECT_EQ(Common(flagged, TheHidden().honest), 0u);
  EXPECT_FALSE(flagged.contains(kKey));
  // Nobody declared who is whose end user.
  for (const auto* advice : run.sink.Records<v1::EnforcementAdvice>()) EXPECT_LE(advice->advice().action(), v1::ACTION_STEP_UP);
  size_t audits = 0;
  for (const auto* audit : run.sink.Records<v1::Audit>()) {
    if (audit->action() != "reseller_split") continue;
    ++audits;
    EXPECT_EQ(audit->subject(), kKey);
    EXPECT_THAT(audit->detail(), HasSubstr("contract 4713"));
  }
  EXPECT_EQ(audits, 1u);
}

TEST(EndUsers, WithoutTheListOneKeyIsOneAccountAndNothingChanges) {
  Played plain(Options({}));
  plain.All(TheHidden().crowd);
  EXPECT_THAT(plain.Flagged(), IsEmpty());
  crowd::Crowd nameless = TheHidden().crowd;
  for (crowd::Account& account : nameless.accounts) account.end_user = 0;
  const std::vector<std::string> before = Played(Options({})).All(nameless).Records();
  EXPECT_EQ(plain.Records(), before);
  EXPECT_EQ(Played(Options({{.owner = "somebody else"}})).All(TheHidden().crowd).Records(), before);
  EXPECT_EQ(Played(Options({{.owner = kKey, .until_ns = 1}})).All(TheHidden().crowd).Records(), before) << "an entry that has ended";
  EXPECT_EQ(Played(Options({{.owner = kKey}})).All(nameless).Records(), before) << "who names no end user is the key";
}

TEST(EndUsers, InventedEndUsersTakeNoMorePlacesThanTheyMay) {
  crowd::Crowd crowd = TheHidden().crowd;
  PipelineOptions options = Options({{.owner = kKey}});
  options.end_users_max = 10;
  CounterRegistry registry;
  MemorySink sink;
  Pipeline pipeline(std::move(options), nullptr, &sink, &registry);
  dataplane::ExchangeBuilder builder;
  uint64_t invented = 0, through_key = 0;
  for (size_t at = 0; at < crowd.requests.size(); ++at) {
    crowd::Account& account = crowd.accounts[crowd.requests[at].account];
    if (account.id == kKey) account.end_user = ++invented, ++through_key;
    pipeline.OnExchange(crowd::BuildExchange(crowd, crowd.requests[at], at, &builder));
  }
  ASSERT_TRUE(pipeline.Finish().ok());
  std::set<std::string> named;
  for (const Profile& profile : pipeline.profiles().all()) {
    const std::string text = AccountText(pipeline.names(), profile.id);
    if (text.starts_with(kKey + "#")) named.insert(text);
    if (text == kKey) EXPECT_EQ(profile.exchanges, through_key - 10) << "the rest stays the key's";
  }
  EXPECT_EQ(named.size(), 10u);
  EXPECT_EQ(registry.Snapshot().at("end_users.over"), through_key - 10);
  EXPECT_EQ(registry.Snapshot().at("end_users.exchanges"), 10u);
  EXPECT_EQ(registry.Snapshot().at("end_users.held"), 10u);
}

TEST(EndUsers, APlaceIsFreeAgainWhenItsProfileIsGoneOrWasNotUsed) {
  const auto id = [](uint8_t n) { AccountId made; made.bytes[0] = n; return made; };
  EndUsers users{Salt{kSalt}};
  const std::vector<Reseller> list{{.owner = kKey}};
  users.SetResellers(list, 2);
  AccountId key;
  std::fill(std::begin(key.bytes), std::end(key.bytes), uint8_t{0xaa});
  ProfileTable profiles(16);
  const auto of = [&](uint64_t end_user) { return users.Of(key, key, 0, end_user, 1); };
  for (uint64_t n : {1, 2}) {
    ASSERT_EQ(of(n).first, EndUsers::Kind::kEndUser);
    users.Note(of(n).second, static_cast<int64_t>(n) * 1'000 * kNsPerSecond);
    profiles.FindOrCreate(of(n).second.id);
  }
  EXPECT_EQ(of(3).first, EndUsers::Kind::kOver);
  EXPECT_EQ(of(1).first, EndUsers::Kind::kEndUser) << "who is held stays";
  users.ExpireBefore(1'500, profiles);
  EXPECT_EQ(of(3).first, EndUsers::Kind::kEndUser);
  users.Note(of(3).second, 2'000 * kNsPerSecond);
  EXPECT_EQ(of(4).first, EndUsers::Kind::kOver);
  users.ExpireBefore(0, profiles);  // the third never had a profile
  EXPECT_EQ(of(4).first, EndUsers::Kind::kEndUser);
  EXPECT_EQ(of(0).first, EndUsers::Kind::kUnnamed);
  EXPECT_EQ(users.Of(id(1), id(1), 0, 1, 1).first, EndUsers::Kind::kNotListed);
}

TEST(EndUsers, OfOneOrganisationAPersonIsOneOwnerWhicheverKeyItUses) {
  EndUsers users{Salt{kSalt}};
  const std::vector<Reseller> list{{.owner = "Reseller Ltd"}, {.owner = "acct-9"}};
  users.SetResellers(list, 100);
  const uint64_t organisation = OrganisationId("Reseller Ltd", Salt{kSalt});
  const AccountId one = AccountNamed("acct-1", Salt{kSalt}), two = AccountNamed("acct-2", Salt{kSalt}), nine = AccountNamed("acct-9", Salt{kSalt});
  const auto of = [&](const AccountId& account, uint64_t org, uint64_t end_user) { return users.Of(AccountId{}, account, org, end_user, 1).second; };
  EXPECT_EQ(OwnOwner(of(one, organisation, 7).id), OwnOwner(of(two, organisation, 7).id));
  EXPECT_NE(of(one, organisation, 7).id, of(two, organisation, 7).id);
  EXPECT_NE(OwnOwner(of(one, organisation, 7).id), OwnOwner(of(one, organisation, 8).id));
  EXPECT_EQ(users.Of(AccountId{}, one, 0, 7, 1).first, EndUsers::Kind::kNotListed);
  EXPECT_NE(OwnOwner(of(nine, 0, 7).id), OwnOwner(of(one, organisation, 7).id)) << "another reseller's u7";
  // By 16 hex digits, as profiles show an organisation.
  const std::vector<Reseller> by_hash{{.owner = HexOf(organisation)}};
  users.SetResellers(by_hash, 100);
  EXPECT_EQ(users.Of(AccountId{}, one, organisation, 7, 1).first, EndUsers::Kind::kEndUser);
}

TEST(EndUsers, OneIsErasedByTheNameThatTheResellerGivesIt) {
  const Hidden& hidden = TheHidden();
  Played run(Options({{.owner = kKey}}));
  run.Play(hidden.crowd, 0, hidden.crowd.requests.size() * 7 / 8);
  const std::set<std::string> flagged = run.Flagged();
  ASSERT_GE(flagged.size(), 8u);
  const auto erased = [&](const std::string& by, const std::string& account) {
    const size_t from = run.sink.events().size();
    ASSERT_TRUE(run.pipeline.Erase(by, "tester", 1).ok()) << by;
    EXPECT_FALSE(run.Flagged().contains(account));
    for (size_t i = from; i < run.sink.events().size(); ++i) {
      const Event& event = run.sink.events()[i];
      if (event.message != nullptr) EXPECT_EQ(event.message->SerializeAsString().find(account), std::string::npos) << NameOf(event.topic);
    }
    std::string state;
    run.pipeline.SaveState(&state);
    const uint64_t end_user = std::strtoull(account.substr(account.find('#') + 1).c_str(), nullptr, 16);
    EXPECT_EQ(state.find(std::string(reinterpret_cast<const char*>(&end_user), sizeof end_user)), std::string::npos) << "its name is still there";
    EXPECT_FALSE(run.pipeline.Erase(by, "tester", 1).ok()) << "nothing is left of it";
  };
  const std::string by_topic = *flagged.begin();
  erased(by_topic, by_topic);
  for (uint32_t i = 0; i < hidden.crowd.accounts.size(); ++i) {
    const std::string account = kKey + "#" + HexOf(hidden.crowd.accounts[i].end_user);
    if (account == by_topic || !flagged.contains(account)) continue;
    erased(kKey + "#u_" + std::to_string(i), account);
    break;
  }
}

TEST(EndUsers, ARestartKnowsThemAgain) {
  const Hidden& hidden = TheHidden();
  const size_t half = BatchBegin(hidden.crowd, hidden.crowd.requests.size() / 2);
  Played whole(Options({{.owner = kKey}}));
  whole.Play(hidden.crowd, 0, half);
  ASSERT_TRUE(whole.pipeline.Suspend().ok());
  std::string state;
  whole.pipeline.SaveState(&state);
  const size_t told = whole.sink.events().size();
  whole.Play(hidden.crowd, half, hidden.crowd.requests.size());
  ASSERT_TRUE(whole.pipeline.Finish().ok());
  Played later(Options({{.owner = kKey}}));
  ASSERT_TRUE(later.pipeline.LoadState(state).ok());
  later.Play(hidden.crowd, half, hidden.crowd.requests.size());
  ASSERT_TRUE(later.pipeline.Finish().ok());
  EXPECT_EQ(later.Flagged(), whole.Flagged());
  EXPECT_EQ(later.Records(), whole.Records(told));
}

TEST(EndUsers, ARecordingOfEdgesNamesThem) {
  const Hidden& hidden = TheHidden();
  const std::string path = ::testing::TempDir() + "/end_users.edges";
  auto recorder = EdgeRecorder::Create(path, Salt{kSalt});
  ASSERT_TRUE(recorder.ok());
  PipelineOptions options = Options({{.owner = kKey}});
  options.edge_recorder = recorder.value().get();
  Played run(std::move(options));
  run.All(hidden.crowd);
  ASSERT_FALSE(run.Flagged().empty());
  auto recording = EdgeRecording::Open(path, Salt{kSalt});
  ASSERT_TRUE(recording.ok());
  Played again(Options({}));
  for (bool ended = false; !ended;) {
    const Result<v1::RecordedPart> part = recording.value()->Next();
    ASSERT_TRUE(part.ok()) << part.message();
    if (part.value().has_account()) again.pipeline.ReplayAccount(part.value().account());
    if (part.value().has_look()) again.pipeline.ReplayLook(part.value().look());
    if ((ended = part.value().has_end())) again.pipeline.ReplayEnd(part.value().end());
  }
  EXPECT_EQ(again.Flagged(), run.Flagged());
  std::remove(path.c_str());
}

TEST(EndUsers, AResellerThatMayDistilMayThroughItsEndUsers) {
  PipelineOptions options = Options({{.owner = kKey}});
  options.policy.allow_owners = {AllowedOwner(kKey)};
  Played run(std::move(options));
  run.All(TheHidden().crowd);
  for (const auto* advice : run.sink.Records<v1::EnforcementAdvice>()) EXPECT_FALSE(advice->account().starts_with(kKey)) << advice->account();
  EXPECT_GT(Common(run.Flagged(), TheHidden().campaign), 0u) << "it is audited, not unseen";
}

}  // namespace
}  // namespace stillwatch::pipeline
