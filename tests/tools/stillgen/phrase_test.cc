#include "tools/stillgen/phrase.h"

#include <gtest/gtest.h>

#include <set>

namespace stillwatch::stillgen {
namespace {

TEST(PhraseTest, ExpandReachesEveryAlternativeAndNothingElse) {
  std::set<std::string> seen;
  Rng rng(1);
  for (int i = 0; i < 500; ++i) seen.insert(Expand("[a|b[1|2]|] x [c|d]", rng));
  EXPECT_EQ(seen, (std::set<std::string>{"a x c", "a x d", "b1 x c", "b1 x d", "b2 x c", "b2 x d", " x c", " x d"}));
}

TEST(PhraseTest, FillLeavesUnknownNamesAndSlotTextAlone) {
  EXPECT_EQ(Fill("{q} and {other} and {", {{"q", "[a|b] {q}"}}), "[a|b] {q} and {other} and {");
  EXPECT_EQ(Fill("{a}{b}{a}", {{"a", "1"}, {"b", "2"}}), "121");
}

TEST(RngTest, AForkDependsOnSeedAndWordsOnly) {
  Rng used(7);
  for (int i = 0; i < 100; ++i) used.Next();
  EXPECT_EQ(used.Fork("chat", 3).Next(), Rng(7).Fork("chat", 3).Next());
  EXPECT_NE(Rng(7).Fork("chat", 3).Next(), Rng(7).Fork("chat", 4).Next());
  EXPECT_NE(Rng(7).Fork("chat", 3).Next(), Rng(7).Fork("batch", 3).Next());
  EXPECT_NE(Rng(7).Fork("chat", 3).Next(), Rng(8).Fork("chat", 3).Next());
}

TEST(RngTest, DrawsKeepTheirBounds) {
  Rng rng(3);
  double sum = 0;
  for (int i = 0; i < 20000; ++i) {
    EXPECT_LT(rng.Below(7), 7u);
    const double x = rng.LogUniform(2, 50);
    EXPECT_GE(x, 2.0);
    EXPECT_LE(x, 50.0);
    sum += static_cast<double>(rng.Poisson(3.5));
  }
  EXPECT_NEAR(sum / 20000, 3.5, 0.1);
}

}  // namespace
}  // namespace stillwatch::stillgen
