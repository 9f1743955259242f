#include "pipeline/policy/advice_book.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace stillwatch::pipeline {
namespace {

constexpr int64_t kTtl = 10 * kNsPerHour;

AccountAdvice Of(const std::string& campaign, Rung rung) { return {{rung, false, true, "probability"}, campaign, 60'000}; }

struct Told {
  std::string campaign;  // "": revoked
  Rung rung = Rung::kObserve;
  int64_t expires_ns = 0;
  bool operator==(const Told&) const = default;
};

// What Settle says, by the account.
std::map<std::string, Told> Settle(AdviceBook* book, int64_t now_ns) {
  std::map<std::string, Told> told;
  for (const AdviceBook::Change& change : book->Settle(now_ns, kTtl)) {
    Told& entry = told[change.account];
    if (change.advice != nullptr) entry = {change.advice->campaign_id, change.advice->given.rung, change.expires_ns};
  }
  return told;
}

TEST(AdviceBookTest, TheHighestRungWinsThenTheFirstCampaign) {
  AdviceBook book;
  book.Propose("a", Of("old", Rung::kStepUp));
  book.Propose("a", Of("new", Rung::kThrottle));
  book.Propose("b", Of("old", Rung::kStepUp));
  book.Propose("b", Of("new", Rung::kStepUp));
  EXPECT_EQ(Settle(&book, 5), (std::map<std::string, Told>{{"a", {"new", Rung::kThrottle, 5 + kTtl}}, {"b", {"old", Rung::kStepUp, 5 + kTtl}}}));
}

// One campaign merges into another: its accounts keep their advice, nobody reads a revocation.
TEST(AdviceBookTest, AnAccountThatAnotherCampaignStillHoldsIsNotRevoked) {
  AdviceBook book;
  book.Propose("a", Of("old", Rung::kStepUp));
  book.Propose("b", Of("old", Rung::kStepUp));
  Settle(&book, 0);
  book.Propose("a", Of("new", Rung::kStepUp));
  EXPECT_EQ(Settle(&book, 1), (std::map<std::string, Told>{{"a", {"new", Rung::kStepUp, 1 + kTtl}}, {"b", {}}}));
  EXPECT_EQ(Settle(&book, 2), (std::map<std::string, Told>{{"a", {}}}));
  EXPECT_EQ(Settle(&book, 3), (std::map<std::string, Told>{}));
}

TEST(AdviceBookTest, IsRenewedHalfThroughItsTimeAndNotBefore) {
  AdviceBook book;
  const auto settle = [&](int64_t now_ns) {
    book.Propose("a", Of("one", Rung::kStepUp));
    return Settle(&book, now_ns);
  };
  EXPECT_EQ(settle(0).size(), 1u);
  EXPECT_EQ(settle(kTtl / 2 - 1).size(), 0u);
  EXPECT_EQ(settle(kTtl / 2), (std::map<std::string, Told>{{"a", {"one", Rung::kStepUp, kTtl / 2 + kTtl}}}));
  EXPECT_EQ(settle(kTtl / 2 + 1).size(), 0u);
}

// New and harsher advice waits; milder and none at all do not.
TEST(AdviceBookTest, WaitsForEachAccountItsOwnTime) {
  AdviceBook book;
  const auto settle = [&](int64_t now_ns, Rung a, Rung b) {
    if (a != Rung::kObserve) book.Propose("a", Of("one", a));
    if (b != Rung::kObserve) book.Propose("b", Of("one", b));
    std::map<std::string, std::pair<Rung, int64_t>> told;
    for (const auto& change : book.Settle(now_ns, kTtl, [](const std::string& account, const AccountAdvice&) { return account == "a" ? 10 : 50; })) {
      told[change.account] = change.advice == nullptr ? std::pair(Rung::kObserve, int64_t{0})
                                                      : std::pair(change.advice->given.rung, change.advice->decided_ns);
    }
    return told;
  };
  using Said = std::map<std::string, std::pair<Rung, int64_t>>;
  EXPECT_EQ(settle(100, Rung::kStepUp, Rung::kStepUp), Said{});
  EXPECT_EQ(settle(110, Rung::kStepUp, Rung::kStepUp), (Said{{"a", {Rung::kStepUp, 100}}}));
  EXPECT_EQ(settle(120, Rung::kThrottle, Rung::kStepUp), Said{}) << "harsher waits from when it is asked for";
  EXPECT_EQ(settle(130, Rung::kThrottle, Rung::kStepUp), (Said{{"a", {Rung::kThrottle, 120}}}));
  EXPECT_EQ(settle(131, Rung::kStepUp, Rung::kStepUp), (Said{{"a", {Rung::kStepUp, 120}}})) << "milder does not wait";
  EXPECT_EQ(settle(132, Rung::kStepUp, Rung::kObserve), Said{}) << "nobody was told of b, so nothing is revoked";
  EXPECT_EQ(settle(133, Rung::kStepUp, Rung::kStepUp), Said{});
  EXPECT_EQ(settle(160, Rung::kObserve, Rung::kStepUp), (Said{{"a", {Rung::kObserve, 0}}})) << "b waits anew";
  EXPECT_EQ(settle(183, Rung::kObserve, Rung::kStepUp), (Said{{"b", {Rung::kStepUp, 133}}}));
}

}  // namespace
}  // namespace stillwatch::pipeline
