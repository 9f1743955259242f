// The report's arithmetic on small truths and verdicts written by hand.
#include "tools/stillgen/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace stillwatch::stillgen {
namespace {

// Ten accounts a0..a9 of campaign x, ten b0..b9 of y, twenty benign c0..c19 (chat), two d0, d1 (batch).
Truth HandMade() {
  Truth truth;
  for (int i = 0; i < 10; ++i) {
    truth.accounts["a" + std::to_string(i)] = {"t1", "x", 5};
    truth.accounts["b" + std::to_string(i)] = {"t4", "y", 5};
  }
  for (int i = 0; i < 20; ++i) truth.accounts["c" + std::to_string(i)] = {"chat", "", 5};
  for (int i = 0; i < 2; ++i) truth.accounts["d" + std::to_string(i)] = {"batch", "", 5};
  truth.campaigns = {{"x", "t1"}, {"y", "t4"}};
  return truth;
}

Group GroupOf(const std::string& id, Rung rung, const std::string& letter, int from, int to) {
  Group group;
  group.campaign_id = id;
  group.rung = rung;
  for (int i = from; i < to; ++i) group.accounts.push_back(letter + std::to_string(i));
  return group;
}

const RungReport& At(const Report& report, Rung rung) {
  return *std::find_if(report.rungs.begin(), report.rungs.end(), [&](const RungReport& r) { return r.rung == rung; });
}
const CampaignReport& Of(const RungReport& rung, const std::string& name) {
  return *std::find_if(rung.campaigns.begin(), rung.campaigns.end(), [&](const CampaignReport& c) { return c.name == name; });
}

TEST(ReportTest, FoundNeedsHalfOfTheCampaignAtNinetyPerCentPurity) {
  const auto found = [](int hits, int benign) {
    std::vector<Group> groups{GroupOf("g", Rung::kStepUp, "a", 0, hits)};
    const Group more = GroupOf("", Rung::kStepUp, "c", 0, benign);
    groups[0].accounts.insert(groups[0].accounts.end(), more.accounts.begin(), more.accounts.end());
    return Of(At(Compare(HandMade(), groups), Rung::kStepUp), "x").found;
  };
  EXPECT_TRUE(found(5, 0));
  EXPECT_FALSE(found(4, 0));   // less than half
  EXPECT_TRUE(found(9, 1));    // exactly 90 %
  EXPECT_FALSE(found(8, 1));   // 88.9 %
  EXPECT_FALSE(found(10, 2));  // 83 %
}

TEST(ReportTest, RecallPrecisionAndBenignKindsAtEachRung) {
  std::vector<Group> groups{GroupOf("g1", Rung::kStepUp, "a", 0, 8), GroupOf("g2", Rung::kObserve, "b", 0, 6),
                            GroupOf("g3", Rung::kObserve, "c", 0, 3), GroupOf("g4", Rung::kNone, "c", 5, 9)};
  groups[0].accounts.push_back("d0");
  groups[2].accounts.push_back("stranger");
  const Report report = Compare(HandMade(), groups);
  const RungReport& observe = At(report, Rung::kObserve);
  EXPECT_EQ(observe.flagged, 8u + 1 + 6 + 3 + 1);
  EXPECT_EQ(observe.flagged_campaign, 14u);
  EXPECT_EQ(observe.flagged_unknown, 1u);
  EXPECT_EQ(observe.benign.at("chat"), std::make_pair(uint64_t{3}, uint64_t{20}));
  EXPECT_EQ(observe.benign.at("batch"), std::make_pair(uint64_t{1}, uint64_t{2}));
  EXPECT_EQ(Of(observe, "x").flagged, 8u);
  EXPECT_EQ(Of(observe, "y").flagged, 6u);
  EXPECT_TRUE(Of(observe, "y").found);
  const RungReport& step_up = At(report, Rung::kStepUp);
  EXPECT_EQ(step_up.flagged, 9u);
  EXPECT_FALSE(Of(step_up, "y").found);
  EXPECT_EQ(Of(step_up, "y").flagged, 0u);
  const auto json = JsonOf(report);
  EXPECT_DOUBLE_EQ(json["observe"]["precision"], 14.0 / 19);
  EXPECT_DOUBLE_EQ(json["step_up"]["campaigns"][0]["recall"], 0.8);
  EXPECT_EQ(json["observe"]["benign_flagged"], 4);
  EXPECT_EQ(json["throttle"]["flagged"], 0);
}

TEST(ReportTest, TwoCampaignsInOneGroupAreFlaggedButNotFound) {
  std::vector<Group> groups{GroupOf("g", Rung::kStepUp, "a", 0, 10)};
  const Group other = GroupOf("", Rung::kStepUp, "b", 0, 10);
  groups[0].accounts.insert(groups[0].accounts.end(), other.accounts.begin(), other.accounts.end());
  const Report report = Compare(HandMade(), groups);
  const RungReport& step_up = At(report, Rung::kStepUp);
  EXPECT_EQ(step_up.flagged_campaign, 20u);
  EXPECT_FALSE(Of(step_up, "x").found);
  EXPECT_FALSE(Of(step_up, "y").found);
  EXPECT_EQ(Of(step_up, "x").flagged, 10u);
}

std::string Line(const std::string& event, const std::string& time, const std::string& id, int part, int parts,
                 const std::string& state, const std::string& action, const std::string& accounts) {
  std::string list;
  for (char account : accounts) list += std::string(list.empty() ? "" : ",") + "{\"id\":\"" + account + "\"}";
  return "{\"event_id\":\"" + event + "\",\"event_time\":\"" + time + "\",\"campaign_id\":\"" + id + "\",\"part\":" +
         std::to_string(part) + ",\"parts\":" + std::to_string(parts) + ",\"state\":\"" + state +
         "\",\"superseded_by\":\"\",\"labels\":{\"pooled\":65536,\"distillation_like\":32768},\"accounts\":[" + list +
         "],\"evidence\":[{\"text\":\"why " + time + "\"}],\"advice\":{\"action\":\"" + action + "\"}}\n";
}

TEST(VerdictFileTest, LastVerdictOfACampaignWinsWithAllItsParts) {
  std::istringstream lines(Line("e1", "1", "k", 1, 2, "suspected", "observe", "ab") + Line("e2", "1", "k", 2, 2, "suspected", "observe", "cd") +
                           Line("e3", "2", "k", 1, 2, "confirmed", "step_up", "ax") + Line("e4", "2", "k", 2, 2, "confirmed", "step_up", "yz") +
                           Line("e4", "2", "k", 2, 2, "confirmed", "step_up", "yz") +  // a repeat
                           Line("e5", "2", "m", 1, 1, "suspected", "observe", "q"));
  const auto groups = ReadVerdicts(lines, "f");
  ASSERT_TRUE(groups.ok());
  ASSERT_EQ(groups.value().size(), 2u);
  const Group& group = groups.value()[0];
  EXPECT_EQ(group.accounts, (std::vector<std::string>{"a", "x", "y", "z"}));
  EXPECT_EQ(group.rung, Rung::kStepUp);
  EXPECT_EQ(group.evidence, std::vector<std::string>{"why 2"});
  EXPECT_DOUBLE_EQ(group.distillation_like, 0.5);
}

TEST(VerdictFileTest, SameTimeTwiceIsANewVerdictWhenAPartComesAgain) {
  std::istringstream lines(Line("e1", "1", "k", 1, 1, "suspected", "observe", "ab") + Line("e2", "1", "k", 1, 1, "suspected", "observe", "c"));
  EXPECT_EQ(ReadVerdicts(lines, "f").value()[0].accounts, std::vector<std::string>{"c"});
}

TEST(VerdictFileTest, WithdrawnClosedAndSupersededGroupsAreNoVerdictAnyMore) {
  std::string superseded = Line("e4", "2", "s", 1, 1, "confirmed", "step_up", "d");
  superseded.replace(superseded.find("\"superseded_by\":\"\""), 18, "\"superseded_by\":\"k\"");
  std::istringstream lines(Line("e1", "1", "k", 1, 1, "confirmed", "step_up", "a") + Line("e2", "1", "w", 1, 1, "confirmed", "step_up", "b") +
                           Line("e3", "2", "w", 1, 1, "withdrawn", "observe", "b") + superseded +
                           Line("e5", "2", "c", 1, 1, "closed", "observe", "e"));
  const auto groups = ReadVerdicts(lines, "f");
  ASSERT_EQ(groups.value().size(), 1u);
  EXPECT_EQ(groups.value()[0].campaign_id, "k");
}

TEST(VerdictFileTest, ABrokenLineIsNamed) {
  std::istringstream lines(Line("e1", "1", "k", 1, 1, "confirmed", "step_up", "a") + "{\"event_id\":\n");
  const auto groups = ReadVerdicts(lines, "verdicts.ndjson");
  ASSERT_FALSE(groups.ok());
  EXPECT_EQ(groups.message(), "verdicts.ndjson:2: no JSON object");
}

}  // namespace
}  // namespace stillwatch::stillgen
