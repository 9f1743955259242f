// What a person said, against groups that are like the one that was seen, or grew, or changed.
#include "pipeline/campaign/feedback_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/policy/ladder.h"
#include "tests/pipeline/campaign/groups.h"

namespace stillwatch::pipeline {
namespace {

using ::testing::HasSubstr;

class FeedbackBookTest : public ::testing::Test {
 protected:
  // One look that finds this group. The campaign that it became, or was.
  const Campaign& Look(Group group, Judgement judgement = Strong()) {
    feedback_.TakeOut(book_, &group);
    feedback_.Weigh(group, tunables_, &judgement);
    last_ = judgement;
    std::vector<Group> groups;
    std::vector<Judgement> judgements{judgement};
    groups.push_back(std::move(group));
    uint64_t dropped = 0;
    book_.Update(std::move(groups), judgements, 1'000, tunables_, &dropped);
    for (auto& campaign : book_.campaigns()) campaign->written = true, campaign->members_written = MemberIds(campaign->group);
    return *book_.campaigns().front();
  }
  Status Take(FeedbackKind kind, std::vector<AccountId> accounts = {}, const std::string& id = "") {
    return feedback_.Take(kind, id.empty() ? book_.campaigns().front()->id : id, accounts, 1'000, tunables_, &book_);
  }
  Rung RungOf(const Judgement& judgement, uint64_t accounts = 30) const {
    return Advise(judgement, accounts, true, PolicyOptions{}).rung;
  }

  const Tunables tunables_;
  CampaignBook book_{Salt{1}, 16};
  FeedbackBook feedback_;
  Judgement last_;
};

TEST_F(FeedbackBookTest, ARejectedGroupStaysAwayUntilItHasTwiceTheAccounts) {
  EXPECT_EQ(Look(GroupOf(0, 20, 7)).stage, Stage::kSuspected) << "one look may err";
  EXPECT_EQ(Look(GroupOf(0, 20, 7)).stage, Stage::kConfirmed);
  ASSERT_TRUE(Take(FeedbackKind::kReject).ok());
  EXPECT_EQ(book_.campaigns().front()->stage, Stage::kWithdrawn);
  EXPECT_EQ(Look(GroupOf(0, 20, 7)).stage, Stage::kWithdrawn) << "the same group";
  EXPECT_EQ(RungOf(last_), Rung::kObserve);
  EXPECT_EQ(Look(GroupOf(5, 39, 9)).stage, Stage::kWithdrawn) << "most of its accounts, another core";
  EXPECT_EQ(Look(GroupOf(100, 130, 7)).stage, Stage::kWithdrawn) << "other accounts, the same core";
  EXPECT_EQ(feedback_.counters().Get(FeedbackCounter::kHeldBack), 3u);
  EXPECT_EQ(Look(GroupOf(0, 40, 7)).stage, Stage::kSuspected) << "grown well beyond";
  EXPECT_EQ(Look(GroupOf(0, 40, 7)).stage, Stage::kConfirmed);
  EXPECT_EQ(last_.said, Said::kRejectedWhenSmaller);
  EXPECT_GE(RungOf(last_), Rung::kThrottle);
}

TEST_F(FeedbackBookTest, AnotherGroupIsNotRejectedWithIt) {
  Look(GroupOf(0, 20, 7));
  ASSERT_TRUE(Take(FeedbackKind::kReject).ok());
  Look(GroupOf(50, 70, 9));
  EXPECT_EQ(last_.said, Said::kNothing);
  Look(GroupOf(14, 40, 9));  // a minority in common
  EXPECT_EQ(last_.said, Said::kNothing);
}

TEST_F(FeedbackBookTest, ALargeRejectedGroupIsKnownByASampleOfItsAccounts) {
  Look(GroupOf(0, 5'000, 7));
  ASSERT_TRUE(Take(FeedbackKind::kReject).ok());
  Look(GroupOf(200, 6'000, 9));
  EXPECT_EQ(last_.said, Said::kRejected);
  Look(GroupOf(900, 1'200, 9));  // 125 of those that are kept, of 125 that could be
  EXPECT_EQ(last_.said, Said::kRejected);
  Look(GroupOf(5'000, 6'000, 9));
  EXPECT_EQ(last_.said, Said::kNothing);
}

TEST_F(FeedbackBookTest, AConfirmedGroupIsAdvisedAgainstThoughALookAlikeExplainsIt) {
  Judgement weak;
  weak.explained = true, weak.families = 1, weak.pooled = 20'000;
  EXPECT_EQ(Look(GroupOf(0, 20, 7), weak).stage, Stage::kSuspected);
  EXPECT_EQ(RungOf(last_), Rung::kObserve);
  ASSERT_TRUE(Take(FeedbackKind::kConfirm).ok());
  EXPECT_EQ(book_.campaigns().front()->stage, Stage::kConfirmed);
  weak.pooled = 0;  // by evidence alone nothing to see any more
  EXPECT_EQ(Look(GroupOf(2, 22, 8), weak).stage, Stage::kConfirmed);
  EXPECT_EQ(RungOf(last_), Rung::kStepUp) << "never more than that on a person's word";
  PolicyOptions observe_only;
  observe_only.action_max = Rung::kObserve;
  EXPECT_EQ(Advise(last_, 20, true, observe_only).rung, Rung::kObserve);
  // Twice as many are not whom the person saw.
  EXPECT_EQ(Look(GroupOf(0, 41, 7), weak).stage, Stage::kWithdrawn);
  EXPECT_EQ(RungOf(last_), Rung::kObserve);
}

TEST_F(FeedbackBookTest, TheLastWordCounts) {
  Look(GroupOf(0, 20, 7));
  ASSERT_TRUE(Take(FeedbackKind::kReject).ok());
  ASSERT_TRUE(Take(FeedbackKind::kConfirm).ok());
  EXPECT_EQ(Look(GroupOf(0, 20, 7)).stage, Stage::kConfirmed);
  ASSERT_TRUE(Take(FeedbackKind::kReject).ok());
  EXPECT_EQ(Look(GroupOf(0, 20, 7)).stage, Stage::kWithdrawn);
}

TEST_F(FeedbackBookTest, AccountsThatWereSplitOffStayOut) {
  Look(GroupOf(0, 20, 7));
  ASSERT_TRUE(Take(FeedbackKind::kSplit, {IdOf(3)}).ok());
  EXPECT_EQ(book_.campaigns().front()->group.members.size(), 19u);
  ASSERT_TRUE(Take(FeedbackKind::kSplit, {IdOf(5), IdOf(4)}).ok());
  ASSERT_TRUE(Take(FeedbackKind::kConfirm).ok()) << "says nothing about them";
  const auto has = [](const Campaign& campaign, uint32_t n) {
    const std::vector<AccountId> ids = MemberIds(campaign.group);
    return std::find(ids.begin(), ids.end(), IdOf(n)) != ids.end();
  };
  for (const Campaign* campaign : {&Look(GroupOf(0, 20, 7)), &Look(GroupOf(0, 28, 8)), &Look(GroupOf(2, 60, 9))}) {
    for (uint32_t n : {3u, 4u, 5u}) EXPECT_FALSE(has(*campaign, n)) << n;
    EXPECT_TRUE(has(*campaign, 6));
    EXPECT_EQ(campaign->group.counts.owners, campaign->group.members.size());
  }
  EXPECT_EQ(feedback_.counters().Get(FeedbackCounter::kKeptOut), 9u);
  Group other = GroupOf(3, 6, 99);  // of another campaign
  feedback_.TakeOut(book_, &other);
  EXPECT_EQ(other.members.size(), 3u);
}

TEST_F(FeedbackBookTest, RefusesWhatItCannotMean) {
  Look(GroupOf(0, 7, 7));
  EXPECT_THAT(Take(FeedbackKind::kReject, {}, "00000000000000000000000000000000").message(), HasSubstr("`stillctl campaigns`"));
  EXPECT_EQ(feedback_.counters().Get(FeedbackCounter::kUnknownCampaign), 1u);
  EXPECT_THAT(Take(FeedbackKind::kSplit, {IdOf(0), IdOf(1)}).message(), HasSubstr("reject it instead"));
  EXPECT_EQ(book_.campaigns().front()->group.members.size(), 7u);
  book_.campaigns().front()->superseded_by = "abc";
  EXPECT_THAT(Take(FeedbackKind::kConfirm).message(), HasSubstr("went into abc"));
  EXPECT_EQ(feedback_.counters().Get(FeedbackCounter::kRefused), 2u);
  EXPECT_EQ(feedback_.counters().Get(FeedbackCounter::kTaken), 0u);
}

TEST_F(FeedbackBookTest, AnOpinionThatMeetsNothingExpires) {
  Look(GroupOf(0, 20, 7));
  ASSERT_TRUE(Take(FeedbackKind::kReject).ok());
  feedback_.ExpireBefore(1'000);
  Look(GroupOf(0, 20, 7));
  EXPECT_EQ(last_.said, Said::kRejected);
  feedback_.ExpireBefore(1'001);
  Look(GroupOf(0, 20, 7));
  EXPECT_EQ(last_.said, Said::kNothing);
}

}  // namespace
}  // namespace stillwatch::pipeline
