#include "pipeline/policy/advice_book.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace stillwatch::pipeline {
namespace {

constexpr int64_t kTtl = 10 * kNsPerHour;

AccountId Id(uint8_t n) { return AccountId{{n}}; }
AccountAdvice Of(const std::string& campaign, Rung rung) { return {{rung, false, true, "probability"}, campaign, 60'000}; }

struct Told {
  std::string campaign;  // "": revoked
  Rung rung = Rung::kObserve;
  int64_t expires_ns = 0;
  bool operator==(const Told&) const = default;
};

// What Settle says, by the account's number.
std::map<int, Told> Settle(AdviceBook* book, int64_t now_ns) {
  std::map<int, Told> told;
  for (const AdviceBook::Change& change : book->Settle(now_ns, kTtl)) {
    Told& entry = told[change.account.bytes[0]];
    if (change.advice != nullptr) entry = {change.advice->campaign_id, change.advice->given.rung, change.expires_ns};
  }
  return told;
}

TEST(AdviceBookTest, TheHighestRungWinsThenTheFirstCampaign) {
  AdviceBook book;
  book.Propose(Id(1), Of("old", Rung::kStepUp));
  book.Propose(Id(1), Of("new", Rung::kThrottle));
  book.Propose(Id(2), Of("old", Rung::kStepUp));
  book.Propose(Id(2), Of("new", Rung::kStepUp));
  EXPECT_EQ(Settle(&book, 5), (std::map<int, Told>{{1, {"new", Rung::kThrottle, 5 + kTtl}}, {2, {"old", Rung::kStepUp, 5 + kTtl}}}));
}

// One campaign merges into another: its accounts keep their advice, nobody reads a revocation.
TEST(AdviceBookTest, AnAccountThatAnotherCampaignStillHoldsIsNotRevoked) {
  AdviceBook book;
  book.Propose(Id(1), Of("old", Rung::kStepUp));
  book.Propose(Id(2), Of("old", Rung::kStepUp));
  Settle(&book, 0);
  book.Propose(Id(1), Of("new", Rung::kStepUp));
  EXPECT_EQ(Settle(&book, 1), (std::map<int, Told>{{1, {"new", Rung::kStepUp, 1 + kTtl}}, {2, {}}}));
  EXPECT_EQ(Settle(&book, 2), (std::map<int, Told>{{1, {}}}));
  EXPECT_EQ(Settle(&book, 3), (std::map<int, Told>{}));
}

TEST(AdviceBookTest, IsRenewedHalfThroughItsTimeAndNotBefore) {
  AdviceBook book;
  const auto settle = [&](int64_t now_ns) {
    book.Propose(Id(1), Of("one", Rung::kStepUp));
    return Settle(&book, now_ns);
  };
  EXPECT_EQ(settle(0).size(), 1u);
  EXPECT_EQ(settle(kTtl / 2 - 1).size(), 0u);
  EXPECT_EQ(settle(kTtl / 2), (std::map<int, Told>{{1, {"one", Rung::kStepUp, kTtl / 2 + kTtl}}}));
  EXPECT_EQ(settle(kTtl / 2 + 1).size(), 0u);
}

}  // namespace
}  // namespace stillwatch::pipeline
