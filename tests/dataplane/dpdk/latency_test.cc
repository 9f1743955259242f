#include "dataplane/dpdk/latency.h"

#include <gtest/gtest.h>

namespace stillwatch::dataplane {
namespace {

TEST(Latency, StepsEndWhereTheirNamesSay) {
  const LatencySteps steps(2'000'000'000);  // 2,000 ticks a microsecond
  EXPECT_EQ(steps.StepOf(0), 0u);
  for (size_t i = 0; i < kLatencyEndsUs.size(); ++i) {
    EXPECT_EQ(steps.StepOf(kLatencyEndsUs[i] * 2'000), i);
    EXPECT_EQ(steps.StepOf(kLatencyEndsUs[i] * 2'000 + 1), i + 1);
  }
  EXPECT_EQ(steps.StepOf(UINT64_MAX), kLatencySteps - 1);
}

TEST(Latency, AQuantileIsTheEndOfItsStep) {
  std::array<uint64_t, kLatencySteps> frames{};
  EXPECT_EQ(LatencyQuantileUs(frames, 990), 0u);
  frames[0] = 500;
  frames[4] = 490;
  frames[kLatencySteps - 1] = 10;
  EXPECT_EQ(LatencyQuantileUs(frames, 500), 1u);
  EXPECT_EQ(LatencyQuantileUs(frames, 501), 20u);
  EXPECT_EQ(LatencyQuantileUs(frames, 990), 20u);
  EXPECT_EQ(LatencyQuantileUs(frames, 991), std::nullopt);
}

}  // namespace
}  // namespace stillwatch::dataplane
