// One account erased in the middle of a crowd, out of a campaign that it is in: nothing that is kept or told afterwards has it, and
// nobody else loses anything.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "pipeline/pipeline.h"
#include "pipeline/sink/memory_sink.h"
#include "tests/pipeline/detect/crowd.h"

namespace stillwatch::pipeline {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const crowd::Crowd& TheCrowd() {
  static const crowd::Crowd crowd = crowd::MakeCrowd({.seed = 3, .chat_accounts = 200, .app_accounts = 5, .framework_accounts = 40,
                                                      .classes = 1, .harnesses = 1, .batch_jobs = 1, .pack_users = 10, .t1 = true, .t4 = false});
  return crowd;
}

PipelineOptions Options() {
  PipelineOptions options;
  options.token_hash = crowd::TokenOf;
  options.tunables.profiles_max = 4096;
  options.tunables.fragment_rows_max = 1 << 15;
  options.tunables.doorkeeper_rows = 1 << 17;
  options.seal_key = MakeSealKey("key", Salt{});
  return options;
}

class EraseTest : public ::testing::Test {
 protected:
  void Play(size_t end) {
    for (; at_ < end; ++at_) pipeline_.OnExchange(crowd::BuildExchange(TheCrowd(), TheCrowd().requests[at_], at_, &builder_));
  }
  // Seven eighths of the crowd, and who is advised against then.
  void PlayUntilAdvised() {
    Play(TheCrowd().requests.size() * 7 / 8);
    for (const auto& campaign : pipeline_.Campaigns()) {
      if (campaign.advice().action() < v1::ACTION_STEP_UP) continue;
      id_ = campaign.campaign_id();
      for (const auto& account : campaign.accounts()) members_.push_back(account.id());
    }
    ASSERT_GE(members_.size(), 12u);
    account_ = members_[3];
    for (const Profile& profile : pipeline_.profiles().all()) {
      if (HexOf(Bytes(profile.id.bytes, 16)) == account_) bytes_.assign(profile.id.bytes, profile.id.bytes + 16);
    }
    ASSERT_EQ(bytes_.size(), 16u);
  }
  std::string State() {
    std::string state;
    pipeline_.SaveState(&state);
    return state;
  }
  // How often the account's owner stands in a snapshot as one of whom fragments are known that nobody else has sent.
  size_t FragmentsOf(uint32_t name, const std::string& state) const {
    const std::string bytes(reinterpret_cast<const char*>(&name), sizeof name);
    size_t found = 0;
    for (size_t at = state.find(bytes); at != std::string::npos; at = state.find(bytes, at + 1)) ++found;
    return found;
  }
  // Of the events from `from` on, in which the account stands: "topic" for a record, "topic tombstone" for a key withdrawn.
  std::set<std::string> NamedIn(size_t from) const {
    std::set<std::string> found;
    for (size_t i = from; i < sink_.events().size(); ++i) {
      const Event& event = sink_.events()[i];
      const std::string topic(NameOf(event.topic));
      if (event.message == nullptr && event.key.find(account_) != std::string::npos) found.insert(topic + " tombstone");
      if (event.message != nullptr && (event.key + event.message->SerializeAsString()).find(account_) != std::string::npos) found.insert(topic);
    }
    return found;
  }

  MemorySink sink_;
  Pipeline pipeline_{Options(), nullptr, &sink_, nullptr};
  dataplane::ExchangeBuilder builder_;
  size_t at_ = 0;
  std::string id_, account_;  // of a campaign, of a member of it
  std::vector<std::string> members_;
  std::string bytes_;  // the account's id, raw
};

TEST_F(EraseTest, NothingThatIsKeptOrToldHasTheAccountAfterwards) {
  ASSERT_NO_FATAL_FAILURE(PlayUntilAdvised());
  ASSERT_TRUE(pipeline_.TakeFeedback(FeedbackKind::kConfirm, id_, {}, "stillctl uid 0", "", 5).ok());
  const std::string before = State();
  ASSERT_NE(before.find(bytes_), std::string::npos) << "the search below would find nothing anyhow";
  ASSERT_NE(before.find(account_), std::string::npos) << "advice is kept by name";
  AccountId id;
  std::copy(bytes_.begin(), bytes_.end(), id.bytes);
  const uint32_t owner = FragmentTable::NameOf(pipeline_.profiles().Find(id)->owner);
  ASSERT_GT(FragmentsOf(owner, before), 10u);
  const size_t events = sink_.events().size(), accounts = pipeline_.profiles().size();

  const Result<std::string> erased = pipeline_.Erase(account_, "stillctl uid 0", 7);
  ASSERT_TRUE(erased.ok()) << erased.message();
  const std::string after = State();
  EXPECT_EQ(after.find(bytes_), std::string::npos);
  EXPECT_EQ(after.find(account_), std::string::npos);
  EXPECT_EQ(FragmentsOf(owner, after), 0u);
  EXPECT_EQ(pipeline_.profiles().size(), accounts - 1);
  EXPECT_EQ(pipeline_.counters().Get(PipelineCounter::kErased), 1u);

  EXPECT_EQ(NamedIn(events), (std::set<std::string>{"account-profile tombstone", "edge tombstone", "enforcement-advice tombstone"}));
  const auto audit = *sink_.Records<v1::Audit>().back();
  EXPECT_EQ(audit.action() + " " + audit.subject() + " " + audit.actor(), "erase " + erased.value() + " stillctl uid 0");
  EXPECT_THAT(erased.value(), Not(HasSubstr(account_)));
  EXPECT_THAT(audit.detail(), HasSubstr(" campaigns, 1 opinions"));
  const auto verdict = *sink_.Records<v1::CampaignVerdict>().back();
  EXPECT_EQ(verdict.campaign_id(), id_);
  EXPECT_EQ(verdict.accounts_size(), static_cast<int>(members_.size()) - 1);
  EXPECT_EQ(verdict.changed_since().why(), "an account was erased");
}

TEST_F(EraseTest, TheOthersStayAndTheAccountComesBackAsANewOne) {
  ASSERT_NO_FATAL_FAILURE(PlayUntilAdvised());
  ASSERT_TRUE(pipeline_.Erase(account_, "stillctl uid 0", 7).ok());
  std::set<std::string> found;
  for (const Profile& profile : pipeline_.profiles().all()) {
    EXPECT_EQ(pipeline_.profiles().Find(profile.id), &profile);
    EXPECT_NE(profile.requests_count, 0u);
    found.insert(HexOf(Bytes(profile.id.bytes, 16)));
  }
  for (const std::string& member : members_) EXPECT_EQ(found.contains(member), member != account_);
  const size_t events = sink_.events().size(), erased_at = at_;
  Play(TheCrowd().requests.size());
  ASSERT_TRUE(pipeline_.Finish().ok());
  const auto campaign = pipeline_.FindCampaign(id_);
  ASSERT_NE(campaign, nullptr);
  EXPECT_GE(campaign->advice().action(), v1::ACTION_STEP_UP);
  std::set<std::string> at_end;
  for (const auto& account : campaign->accounts()) at_end.insert(account.id());
  size_t stayed = 0;
  for (const std::string& member : members_) stayed += at_end.contains(member);
  EXPECT_GE(stayed * 10, (members_.size() - 1) * 9);
  // What it sent after the erasure is all that is known of it: no more than a quarter of the crowd's.
  const Profile* again = nullptr;
  for (const Profile& profile : pipeline_.profiles().all()) {
    if (HexOf(Bytes(profile.id.bytes, 16)) == account_) again = &profile;
  }
  ASSERT_NE(again, nullptr);
  EXPECT_TRUE(NamedIn(events).contains("account-profile"));
  ASSERT_LT(erased_at, TheCrowd().requests.size());
  uint64_t sent = 0;
  for (size_t i = erased_at; i < TheCrowd().requests.size(); ++i) {
    const auto exchange = crowd::BuildExchange(TheCrowd(), TheCrowd().requests[i], i, &builder_);
    sent += std::equal(bytes_.begin(), bytes_.end(), exchange.header().key_id, [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
  }
  EXPECT_EQ(again->exchanges, sent);
}

TEST_F(EraseTest, WhatIsUnknownIsRefusedAndChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(PlayUntilAdvised());
  const size_t events = sink_.events().size();
  for (const char* name : {"somebody", "", "00112233445566778899aabbccddeeff", "0011"}) {
    EXPECT_FALSE(pipeline_.Erase(name, "stillctl uid 0", 7).ok()) << name;
  }
  EXPECT_EQ(sink_.events().size(), events);
  EXPECT_EQ(pipeline_.counters().Get(PipelineCounter::kErased), 0u);
  EXPECT_EQ(pipeline_.FindCampaign(id_)->accounts_size(), static_cast<int>(members_.size()));
}

// What a single owner was seen with is gone; a count of several owners names nobody and stays.
// Layer 4: the embeddings of what nobody else asked.
TEST(EraseClusters, WhatOnlyItAskedIsInNoClusterAnyMore) {
  gpu::BackendOptions backend_options;
  backend_options.window_bytes = 16 << 20, backend_options.representatives_max = 64;
  auto backend = gpu::MakeCpuBackend(backend_options);
  ASSERT_TRUE(backend.ok()) << backend.message();
  MemorySink sink;
  Pipeline pipeline(Options(), backend.value().get(), &sink, nullptr);
  dataplane::ExchangeBuilder builder;
  const auto& requests = TheCrowd().requests;
  for (size_t i = 0; i < requests.size(); ++i) pipeline.OnExchange(crowd::BuildExchange(TheCrowd(), requests[i], i, &builder));
  pipeline.CutBatch();
  const auto state = [&] {
    std::string bytes;
    pipeline.SaveState(&bytes);
    return bytes;
  };
  const std::string before = state();
  std::map<uint32_t, std::vector<std::string>> kept;  // by account: embeddings that stand in a snapshot as they are
  std::map<std::string, std::set<uint32_t>> asked_by;
  for (const crowd::Request& request : requests) {
    if (request.instruction.size() < SemanticClusters::kTokensMin) continue;
    const uint32_t offsets[] = {0, static_cast<uint32_t>(request.instruction.size())}, cut[] = {0};
    gpu::Sketch sketch;
    ASSERT_TRUE(backend.value()->ComputeSketches({request.instruction, offsets, cut}, {&sketch, 1}).ok());
    const std::string embedding(reinterpret_cast<const char*>(sketch.embedding), sizeof sketch.embedding);
    const bool is_first = asked_by[embedding].insert(request.account).second;
    if (is_first && kept.size() < 40 && before.find(embedding) != std::string::npos) kept[request.account].push_back(embedding);
  }
  size_t searched = 0;
  for (const auto& [account, embeddings] : kept) {
    if (!pipeline.Erase(TheCrowd().accounts[account].id, "stillctl uid 0", 7).ok()) continue;
    const std::string after = state();
    for (const std::string& embedding : embeddings) {
      if (asked_by[embedding].size() > 1) continue;
      ++searched;
      EXPECT_EQ(after.find(embedding), std::string::npos);
    }
    if (searched > 20) break;
  }
  EXPECT_GT(searched, 20u);
}

TEST(EraseFragments, AnotherOwnerIsTheFirstAgain) {
  FragmentTable table(64, 1024);
  constexpr uint64_t kErased = 11, kOther = 12, kThird = 13;
  EXPECT_EQ(table.Note(100, kErased, 1), 1u);
  EXPECT_EQ(table.Note(200, kOther, 1), 1u);
  EXPECT_EQ(table.Note(300, kErased, 1), 1u);
  EXPECT_EQ(table.Note(300, kOther, 1), 2u);
  table.ForgetOwner(kErased);
  EXPECT_EQ(table.Note(100, kThird, 1), 1u) << "2 where the erased owner is still remembered";
  EXPECT_EQ(table.Note(200, kThird, 1), 2u);
  EXPECT_EQ(table.OwnersOf(300), 2u);
}

}  // namespace
}  // namespace stillwatch::pipeline
