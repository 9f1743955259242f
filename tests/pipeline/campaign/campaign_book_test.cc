// Who is a member of a campaign from one look to the next, and when a campaign stands.
#include "pipeline/campaign/campaign_book.h"

#include <gtest/gtest.h>

#include "tests/pipeline/campaign/groups.h"

namespace stillwatch::pipeline {
namespace {

class CampaignBookTest : public ::testing::Test {
 protected:
  // One look that finds these groups, all of them strong.
  void Look(std::vector<Group> groups, Said said = Said::kNothing) {
    Judgement judgement = Strong();
    judgement.said = said;
    const std::vector<Judgement> judgements(groups.size(), judgement);
    uint64_t dropped = 0;
    book_.Update(std::move(groups), judgements, 1'000, tunables_, &dropped);
    for (auto& campaign : book_.campaigns()) {
      campaign->written = true, campaign->members_written = MemberIds(campaign->group), campaign->stage_written = campaign->stage;
    }
  }
  void Look(Group group) {
    std::vector<Group> groups;
    groups.push_back(std::move(group));
    Look(std::move(groups));
  }
  void LookAtNothing() { Look(std::vector<Group>{}); }
  const Campaign& campaign(size_t i = 0) const { return *book_.campaigns().at(i); }

  Tunables tunables_;
  CampaignBook book_{Salt{1}, 16};
};

TEST_F(CampaignBookTest, StandsAndIsConfirmedFromTheSecondLookOn) {
  Look(GroupOf(0, 20, 7));
  EXPECT_FALSE(Stands(campaign(), tunables_));
  EXPECT_EQ(campaign().stage, Stage::kSuspected);
  EXPECT_EQ(campaign().group.members.size(), 20u) << "the analyst sees them at once";
  Look(GroupOf(0, 20, 7));
  EXPECT_TRUE(Stands(campaign(), tunables_));
  EXPECT_EQ(campaign().stage, Stage::kConfirmed);
  EXPECT_EQ(campaign().before.distillation_like, Strong().distillation_like);
}

TEST_F(CampaignBookTest, WhoJoinsWaitsForTheNextLook) {
  Look(GroupOf(0, 20, 7));
  Look(GroupOf(0, 24, 7));
  EXPECT_EQ(MembersNotWaiting(campaign()).size(), 20u);
  EXPECT_EQ(WithoutWaiting(campaign()).group.members.size(), 20u);
  Look(GroupOf(0, 26, 7));
  EXPECT_EQ(MembersNotWaiting(campaign()).size(), 24u);
  Look(GroupOf(0, 24, 7));
  EXPECT_EQ(MembersNotWaiting(campaign()).size(), 24u);
  Look(GroupOf(0, 26, 7));
  EXPECT_EQ(MembersNotWaiting(campaign()).size(), 24u) << "in between one look did not find them";
}

TEST_F(CampaignBookTest, WhomEverySecondLookMixesUpWithACampaignIsNeverAMember) {
  for (uint32_t n = 0; n < 10; ++n) {
    Look(GroupOf(0, n % 2 == 0 ? 60 : 60 + 40, 7));
    for (const AccountId& id : MembersNotWaiting(campaign())) EXPECT_TRUE(id < IdOf(60));
  }
}

TEST_F(CampaignBookTest, DoesNotStandOnAccountsThatAreAllNew) {
  Look(GroupOf(0, 20, 7));
  Look(GroupOf(0, 20, 7));
  Look(GroupOf(16, 60, 7));  // by its founding core the same; the accounts in common too few to be a group
  EXPECT_FALSE(Stands(campaign(), tunables_));
  EXPECT_EQ(campaign().stage, Stage::kSuspected);
  Look(GroupOf(16, 60, 7));
  EXPECT_TRUE(Stands(campaign(), tunables_));
  EXPECT_EQ(MembersNotWaiting(campaign()).size(), 44u);
}

TEST_F(CampaignBookTest, ALookThatDoesNotFindItBeginsAnew) {
  Look(GroupOf(0, 20, 7));
  Look(GroupOf(0, 20, 7));
  LookAtNothing();
  EXPECT_EQ(campaign().stage, Stage::kWithdrawn);
  Look(GroupOf(0, 20, 7));
  EXPECT_FALSE(Stands(campaign(), tunables_));
  EXPECT_EQ(campaign().before.distillation_like, 0u);
  Look(GroupOf(0, 20, 7));
  EXPECT_TRUE(Stands(campaign(), tunables_));
}

TEST_F(CampaignBookTest, WhoWasInAConfirmedCampaignNeedNotWaitInAnother) {
  const auto two = [] {
    std::vector<Group> groups;
    groups.push_back(GroupOf(0, 30, 7)), groups.push_back(GroupOf(100, 120, 9));
    return groups;
  };
  Look(two()), Look(two());
  ASSERT_EQ(campaign(1).stage, Stage::kConfirmed);
  Group both = GroupOf(0, 30, 7);
  for (GroupMember& member : GroupOf(100, 122, 9).members) both.members.push_back(member);
  Look(std::move(both));
  EXPECT_EQ(MembersNotWaiting(campaign(0)).size(), 50u);
  EXPECT_EQ(campaign(0).waiting.size(), 2u);
  EXPECT_EQ(campaign(1).stage, Stage::kClosed);
}

TEST_F(CampaignBookTest, APartOfAConfirmedCampaignIsConfirmedAtOnce) {
  Look(GroupOf(0, 60, 7)), Look(GroupOf(0, 60, 7));
  std::vector<Group> parts;
  parts.push_back(GroupOf(0, 35, 7)), parts.push_back(GroupOf(35, 60, 9));
  Look(std::move(parts));
  EXPECT_EQ(campaign(0).stage, Stage::kConfirmed);
  EXPECT_EQ(campaign(1).stage, Stage::kConfirmed);
}

TEST_F(CampaignBookTest, APersonsWordNeedsNoSecondLook) {
  std::vector<Group> groups;
  groups.push_back(GroupOf(0, 20, 7));
  Look(std::move(groups), Said::kConfirmed);
  EXPECT_TRUE(Stands(campaign(), tunables_));
  EXPECT_EQ(campaign().stage, Stage::kConfirmed);
}

TEST_F(CampaignBookTest, AnErasedAccountIsNotRememberedAmongThoseWhoWait) {
  Look(GroupOf(0, 20, 7));
  Look(GroupOf(0, 22, 7));
  EXPECT_EQ(book_.Erase(IdOf(21)), 1u);
  EXPECT_EQ(campaign().waiting, std::vector<AccountId>{IdOf(20)});
}

}  // namespace
}  // namespace stillwatch::pipeline
