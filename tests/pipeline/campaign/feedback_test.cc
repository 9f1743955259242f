// A person's word from the pipeline's door to its records, on a crowd with a campaign in it: what consumers of the topics
// see at once, at later looks, and after a restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "pipeline/pipeline.h"
#include "pipeline/sink/memory_sink.h"
#include "tests/pipeline/detect/crowd.h"

namespace stillwatch::pipeline {
namespace {

using ::testing::HasSubstr;

PipelineOptions Options() {
  PipelineOptions options;
  options.token_hash = crowd::TokenOf;
  options.tunables.profiles_max = 4096;
  options.tunables.fragment_rows_max = 1 << 15;
  options.tunables.doorkeeper_rows = 1 << 17;
  options.seal_key = MakeSealKey("key", Salt{});
  return options;
}

const crowd::Crowd& TheCrowd() {
  static const crowd::Crowd crowd = crowd::MakeCrowd({.seed = 3, .chat_accounts = 200, .app_accounts = 5, .framework_accounts = 40,
                                                      .classes = 1, .harnesses = 1, .batch_jobs = 1, .pack_users = 10, .t1 = true, .t4 = false});
  return crowd;
}

bool IsLiveState(v1::CampaignState state) {
  return state == v1::CAMPAIGN_STATE_SUSPECTED || state == v1::CAMPAIGN_STATE_CONFIRMED;
}

class FeedbackTest : public ::testing::Test {
 protected:
  // Until a campaign is advised against.
  void PlayUntilAdvised() {
    for (; at_ < TheCrowd().requests.size() && sink_.Lines(Topic::kEnforcementAdvice).empty(); ++at_) Play(1);
    for (const auto& campaign : pipeline_->Campaigns()) {
      if (campaign.advice().action() >= v1::ACTION_STEP_UP) id_ = campaign.campaign_id();
    }
    ASSERT_NE(id_, "");
    members_ = MembersOf(id_);
    ASSERT_LT(at_, TheCrowd().requests.size() * 7 / 8) << "little is left to see";
  }
  std::vector<std::string> MembersOf(const std::string& id) const {
    std::vector<std::string> members;
    const auto campaign = pipeline_->FindCampaign(id);
    for (const auto& account : campaign->accounts()) members.push_back(account.id());
    return members;
  }
  void Play(size_t count) {
    for (size_t i = at_; i < at_ + count; ++i) {
      pipeline_->OnExchange(crowd::BuildExchange(TheCrowd(), TheCrowd().requests[i], i, &builder_));
    }
  }
  void PlayRest() {
    Play(TheCrowd().requests.size() - at_);
    ASSERT_TRUE(pipeline_->Finish().ok());
  }
  Status Say(FeedbackKind kind, const std::vector<std::string>& accounts = {}) {
    return pipeline_->TakeFeedback(kind, id_, accounts, "stillctl uid 0", "ticket 17", 5);
  }
  // As after a kill: from what is sealed, in another process.
  void Restart() {
    std::string state;
    pipeline_->SaveState(&state);
    const std::string books = pipeline_->SealedBooks();
    pipeline_ = std::make_unique<Pipeline>(Options(), nullptr, &sink_, nullptr);
    ASSERT_TRUE(pipeline_->LoadState(state).ok());
    ASSERT_TRUE(pipeline_->LoadSealedBooks(books).ok());
  }
  // Who stands under advice after all that was written.
  std::set<std::string> Advised() const {
    std::set<std::string> advised;
    for (const Event& event : sink_.events()) {
      if (event.topic != Topic::kEnforcementAdvice) continue;
      if (event.message == nullptr) advised.erase(event.key);
      else advised.insert(event.key);
    }
    return advised;
  }

  MemorySink sink_;
  std::unique_ptr<Pipeline> pipeline_ = std::make_unique<Pipeline>(Options(), nullptr, &sink_, nullptr);
  dataplane::ExchangeBuilder builder_;
  size_t at_ = 0;
  std::string id_;
  std::vector<std::string> members_;
};

TEST_F(FeedbackTest, NothingSaidTheCampaignStands) {
  ASSERT_NO_FATAL_FAILURE(PlayUntilAdvised());
  PlayRest();
  EXPECT_TRUE(IsLiveState(pipeline_->FindCampaign(id_)->state()));
  EXPECT_GE(Advised().size(), members_.size());
}

TEST_F(FeedbackTest, RejectRevokesAtOnceAndHoldsOverARestart) {
  ASSERT_NO_FATAL_FAILURE(PlayUntilAdvised());
  ASSERT_FALSE(Advised().empty());
  // All that the crowd has to show of it, so that it cannot outgrow what was rejected.
  PlayRest();
  at_ = TheCrowd().requests.size() * 7 / 8;
  ASSERT_TRUE(Say(FeedbackKind::kReject).ok());
  EXPECT_TRUE(Advised().empty());
  const auto verdict = *sink_.Records<v1::CampaignVerdict>().back();
  EXPECT_EQ(verdict.campaign_id(), id_);
  EXPECT_EQ(verdict.state(), v1::CAMPAIGN_STATE_WITHDRAWN);
  EXPECT_EQ(verdict.advice().action(), v1::ACTION_OBSERVE);
  EXPECT_EQ(verdict.changed_since().why(), "rejected by a person");
  const auto audit = *sink_.Records<v1::Audit>().back();
  EXPECT_EQ(audit.action() + " " + audit.subject() + " " + audit.actor() + " " + audit.detail(),
            "feedback_reject " + id_ + " stillctl uid 0 ticket 17");
  Restart();
  const uint64_t looks = pipeline_->counters().Get(PipelineCounter::kEvaluations);
  PlayRest();  // the last quarter once more
  EXPECT_GT(pipeline_->counters().Get(PipelineCounter::kEvaluations), looks);
  EXPECT_EQ(pipeline_->FindCampaign(id_)->state(), v1::CAMPAIGN_STATE_WITHDRAWN);
  EXPECT_TRUE(Advised().empty());
}

TEST_F(FeedbackTest, ConfirmIsTheStateFromThenOn) {
  ASSERT_NO_FATAL_FAILURE(PlayUntilAdvised());
  ASSERT_TRUE(Say(FeedbackKind::kConfirm).ok());
  EXPECT_EQ(sink_.Records<v1::CampaignVerdict>().back()->state(), v1::CAMPAIGN_STATE_CONFIRMED);
  EXPECT_EQ(sink_.Records<v1::Audit>().back()->action(), "feedback_confirm");
  Restart();
  PlayRest();
  EXPECT_EQ(pipeline_->FindCampaign(id_)->state(), v1::CAMPAIGN_STATE_CONFIRMED);
  EXPECT_GE(Advised().size(), members_.size());
}

TEST_F(FeedbackTest, SplitTakesAccountsOutAndKeepsThemOut) {
  ASSERT_NO_FATAL_FAILURE(PlayUntilAdvised());
  PlayRest();
  at_ = TheCrowd().requests.size() * 7 / 8;
  members_ = MembersOf(id_);
  ASSERT_GE(members_.size(), 12u);
  const std::vector<std::string> out{members_[1], members_[4]};
  ASSERT_TRUE(Say(FeedbackKind::kSplit, out).ok());
  const auto verdict = *sink_.Records<v1::CampaignVerdict>().back();
  EXPECT_EQ(verdict.accounts_size(), static_cast<int>(members_.size()) - 2);
  EXPECT_EQ(std::vector<std::string>(verdict.changed_since().left().begin(), verdict.changed_since().left().end()), out);
  for (const std::string& account : out) EXPECT_FALSE(Advised().contains(account)) << account;
  EXPECT_TRUE(Advised().contains(members_[0]));
  EXPECT_THAT(sink_.Records<v1::Audit>().back()->detail(), HasSubstr("2 accounts: " + out[0] + " " + out[1] + "; ticket 17"));
  Restart();
  PlayRest();
  for (const auto& campaign : pipeline_->Campaigns()) {
    for (const auto& account : campaign.accounts()) EXPECT_TRUE(account.id() != out[0] && account.id() != out[1]);
  }
  EXPECT_TRUE(IsLiveState(pipeline_->FindCampaign(id_)->state()));
  for (const std::string& account : out) EXPECT_FALSE(Advised().contains(account)) << account;
}

TEST_F(FeedbackTest, WhatIsUnknownIsRefusedAndChangesNothing) {
  ASSERT_NO_FATAL_FAILURE(PlayUntilAdvised());
  const std::set<std::string> advised = Advised();
  const std::string known = id_;
  EXPECT_THAT(Say(FeedbackKind::kSplit, {members_[0], "nobody"}).message(), HasSubstr("not in campaign " + known + ": nobody"));
  EXPECT_EQ(sink_.Records<v1::Audit>().back()->action(), "feedback_split_refused");
  id_ = "0123456789abcdef0123456789abcdef";
  EXPECT_THAT(Say(FeedbackKind::kReject).message(), HasSubstr("no campaign " + id_));
  EXPECT_EQ(sink_.Records<v1::Audit>().back()->action(), "feedback_reject_refused");
  EXPECT_EQ(Advised(), advised);
  EXPECT_EQ(pipeline_->FindCampaign(known)->accounts_size(), static_cast<int>(members_.size()));
}

v1::Feedback RecordOf(const std::string& id, const std::string& campaign, v1::FeedbackWord word) {
  v1::Feedback record;
  record.set_feedback_id(id);
  record.set_campaign_id(campaign);
  record.set_word(word);
  record.set_actor("desk 4");
  record.set_reason("ticket 17");
  return record;
}

// A record that comes again, also after a restart, is taken once.
TEST_F(FeedbackTest, ARecordOfTheTopicIsTakenOnce) {
  ASSERT_NO_FATAL_FAILURE(PlayUntilAdvised());
  const v1::Feedback record = RecordOf("f-1", id_, v1::FEEDBACK_WORD_REJECT);
  ASSERT_TRUE(pipeline_->TakeFeedbackRecord(record, 5).ok());
  EXPECT_EQ(pipeline_->FindCampaign(id_)->state(), v1::CAMPAIGN_STATE_WITHDRAWN);
  const auto audits = sink_.Records<v1::Audit>();
  EXPECT_EQ(audits.back()->actor() + " " + audits.back()->action(), "topic feedback: desk 4 feedback_reject");
  const size_t before = sink_.events().size();
  ASSERT_TRUE(pipeline_->TakeFeedbackRecord(record, 6).ok());
  EXPECT_EQ(sink_.events().size(), before);
  Restart();
  ASSERT_TRUE(pipeline_->TakeFeedbackRecord(record, 7).ok());
  EXPECT_EQ(sink_.events().size(), before);
}

TEST_F(FeedbackTest, ARecordThatIsNoneIsAnErrorAndAnUnknownCampaignIsNot) {
  const auto why = [&](auto change) {
    v1::Feedback record = RecordOf("f-2", "0123", v1::FEEDBACK_WORD_CONFIRM);
    change(&record);
    const Status taken = pipeline_->TakeFeedbackRecord(record, 5);
    return taken.ok() ? "taken" : taken.message();
  };
  EXPECT_THAT(why([](auto* r) { r->clear_feedback_id(); }), HasSubstr("feedback_id"));
  EXPECT_THAT(why([](auto* r) { r->set_feedback_id(std::string(65, 'x')); }), HasSubstr("feedback_id"));
  EXPECT_THAT(why([](auto* r) { r->set_word(v1::FEEDBACK_WORD_UNSPECIFIED); }), HasSubstr("none of confirm"));
  EXPECT_THAT(why([](auto* r) { r->set_word(static_cast<v1::FeedbackWord>(9)); }), HasSubstr("none of confirm"));
  EXPECT_THAT(why([](auto* r) { r->set_word(v1::FEEDBACK_WORD_SPLIT); }), HasSubstr("a split names accounts"));
  EXPECT_THAT(why([](auto* r) { r->add_accounts("a"); }), HasSubstr("a split names accounts"));
  EXPECT_THAT(why([](auto* r) { r->set_reason(std::string(401, 'x')); }), HasSubstr("reason"));
  EXPECT_THAT(why([](auto* r) {
                r->set_word(v1::FEEDBACK_WORD_SPLIT);
                for (int i = 0; i < 2'049; ++i) r->add_accounts("a");
              }),
              HasSubstr("2,048"));
  EXPECT_TRUE(sink_.events().empty());
  EXPECT_EQ(why([](auto*) {}), "taken");
  ASSERT_FALSE(sink_.events().empty());
  EXPECT_EQ(sink_.Records<v1::Audit>().back()->action(), "feedback_confirm_refused");
}

}  // namespace
}  // namespace stillwatch::pipeline
