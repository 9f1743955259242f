#include "pipeline/store/ack_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <vector>

namespace stillwatch::pipeline {
namespace {

TEST(AckWindowTest, OnlyTheContiguousPrefixCounts) {
  AckWindow window(10);
  window.Acknowledge(12);
  window.Acknowledge(13);
  EXPECT_EQ(window.prefix(), 10u);
  EXPECT_EQ(window.islands(), 1u);
  window.Acknowledge(11);
  EXPECT_EQ(window.prefix(), 13u);
  EXPECT_EQ(window.islands(), 0u);
}

TEST(AckWindowTest, RepeatsDoNoHarm) {
  AckWindow window;
  for (int again = 0; again < 3; ++again) {
    for (const uint64_t position : {5, 4, 7, 5, 6, 1}) window.Acknowledge(position);
  }
  EXPECT_EQ(window.prefix(), 1u);
  EXPECT_EQ(window.islands(), 1u);  // 4..7
}

// Against a plain set, in random orders with repeats.
TEST(AckWindowTest, EqualsASet) {
  for (uint32_t seed = 1; seed <= 50; ++seed) {
    std::mt19937 random(seed);
    AckWindow window;
    std::set<uint64_t> acknowledged;
    for (int step = 0; step < 300; ++step) {
      const uint64_t position = 1 + random() % 120;
      window.Acknowledge(position);
      acknowledged.insert(position);
      uint64_t prefix = 0;
      while (acknowledged.contains(prefix + 1)) ++prefix;
      size_t islands = 0;
      for (const uint64_t p : acknowledged) islands += p > prefix && !acknowledged.contains(p - 1);
      ASSERT_EQ(window.prefix(), prefix) << "seed " << seed;
      ASSERT_EQ(window.islands(), islands) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace stillwatch::pipeline
