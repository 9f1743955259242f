#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "pipeline/profile/profile.h"

namespace stillwatch::pipeline {
namespace {

// Against a list of everything that happened.
TEST(LastDayTest, CountsTheLastDayToWithinABucket) {
  std::mt19937_64 random(7);
  LastDay day{};
  struct Noted {
    int64_t time_s;
    uint32_t tokens;
  };
  std::vector<Noted> all;
  int64_t now = 1'770'000'000;
  for (int i = 0; i < 5'000; ++i) {
    now += static_cast<int64_t>(random() % (i % 50 == 0 ? 200'000 : 2'000));
    // Some come a little late, a few so late that they are of no day.
    const int64_t late = random() % 10 == 0 ? static_cast<int64_t>(random() % 200'000) : 0;
    const Noted noted{now - late, static_cast<uint32_t>(random() % 1'000)};
    day.Note(noted.time_s, noted.tokens);
    all.push_back(noted);
    const int64_t oldest = now / LastDay::kBucketS - LastDay::kBuckets + 1;
    uint64_t exchanges = 0, tokens = 0;
    for (const Noted& n : all) {
      if (n.time_s / LastDay::kBucketS >= oldest) ++exchanges, tokens += n.tokens;
    }
    ASSERT_EQ(day.Exchanges(now), exchanges) << i;
    ASSERT_EQ(day.TokensOut(now), tokens) << i;
  }
  EXPECT_EQ(day.Exchanges(now + 3 * 86'400), 0u);
}

}  // namespace
}  // namespace stillwatch::pipeline
