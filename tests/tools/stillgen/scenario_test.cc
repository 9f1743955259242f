#include "tools/stillgen/scenario.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace stillwatch::stillgen {
namespace {

TEST(ScenarioTest, EveryNamedScenarioHasAReadableMixWithEveryBenignKind) {
  for (const Scenario& scenario : Scenarios()) {
    const auto mix = ParseMix(scenario.mix);
    ASSERT_TRUE(mix.ok()) << mix.message();
    size_t benign = 0;
    for (const MixPart& part : mix.value()) benign += !part.kind->campaign;
    const bool everyone = scenario.name.starts_with("eval-") || scenario.name == "everyone";
    const auto all = std::count_if(Kinds().begin(), Kinds().end(), [](const KindEntry& kind) { return !kind.campaign; });
    EXPECT_EQ(benign, everyone ? static_cast<size_t>(all) : 6u) << scenario.name;
  }
}

TEST(ScenarioTest, MixErrorsNameThePartAndTheKinds) {
  for (const char* text : {"chat", "chat=", "chat=x", "chat=-3", "nobody=4", "t1=2x", "t1=2x3x4", "t1=9..3", "t1=2..", "t1=0..4"}) {
    const auto mix = ParseMix(text);
    ASSERT_FALSE(mix.ok()) << text;
    EXPECT_NE(mix.message().find(text), std::string::npos);
    EXPECT_NE(mix.message().find("harness"), std::string::npos);
  }
  EXPECT_FALSE(ParseMix("").ok());
}

TEST(ScenarioTest, AccountsAskedForAreAboutWhatComes) {
  auto mix = ParseMix(FindScenario("demo").value().mix);
  ASSERT_TRUE(mix.ok());
  VaryMix(&mix.value(), 9, 3000);
  int accounts = 0;
  for (const MixPart& part : mix.value()) accounts += part.share.accounts * part.share.groups;
  EXPECT_NEAR(accounts, 3000, 300);
}

TEST(ScenarioTest, RangesPoolsAndPrevalence) {
  const std::string text(FindScenario("eval-t2").value().mix);
  std::set<int> pools;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    auto mix = ParseMix(text).value();
    DrawRanges(&mix, seed);
    EXPECT_GE(mix.back().share.accounts, 20);
    EXPECT_LE(mix.back().share.accounts, 600);
    pools.insert(mix.back().share.accounts);
  }
  EXPECT_GT(pools.size(), 10u);
  for (double prevalence : {0.1, 0.01, 0.001}) {
    auto mix = ParseMix(text).value();
    SetPools(&mix, 500);
    SetPrevalence(&mix, prevalence);
    double campaign = 0, all = 0;
    for (const MixPart& part : mix) {
      EXPECT_GE(part.share.accounts * part.share.groups, 1);
      all += part.share.accounts * part.share.groups;
      if (part.kind->campaign) campaign += part.share.accounts;
    }
    EXPECT_NEAR(campaign / all / prevalence, 1, 0.1);
  }
}

// Topic must be no shortcut: what campaigns ask about, benign accounts ask about too.
TEST(ScenarioTest, CampaignsAndBenignShareSeedQuestions) {
  World world({.seed = 4, .duration_ns = 6 * kNsPerHour});
  BuildWorld(ParseMix("chat=60,classroom=20,harness=2,t1=20,t4=20").value(), &world);
  std::set<int> asked[2];
  for (auto& actor : world.actors) {
    for (int i = 0; i < 60 && actor->NextAt() != kNever; ++i) {
      const Prompt& prompt = actor->Ask(actor->NextAt());
      std::string all;
      for (const Message& message : prompt.messages) all += message.text + "\n";
      for (size_t q = 0; q < world.corpus.all().size(); ++q) {
        const std::string& text = world.corpus.all()[q].text;
        if (text.size() > 80 && all.find(text) != std::string::npos) asked[actor->harvest()].insert(static_cast<int>(q));
      }
      actor->Hear({}, actor->NextAt());
    }
  }
  ASSERT_GT(asked[1].size(), 200u);
  std::vector<int> both;
  std::set_intersection(asked[0].begin(), asked[0].end(), asked[1].begin(), asked[1].end(), std::back_inserter(both));
  EXPECT_GT(both.size(), 20u);
}

}  // namespace
}  // namespace stillwatch::stillgen
