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

}  // namespace
}  // namespace stillwatch::pipeline
