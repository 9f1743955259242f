#include "dataplane/port/traffic_clock.h"

#include <gtest/gtest.h>

namespace stillwatch::dataplane {
namespace {

constexpr int64_t kStart = 1'700'000'000 * kNsPerSecond;

TEST(TrafficClockTest, IsTheLargestTimestampSeen) {
  TrafficClock clock;
  EXPECT_EQ(clock.Observe(kStart), kStart);
  EXPECT_EQ(clock.Observe(kStart - kNsPerDay), kStart);
  EXPECT_EQ(clock.Observe(kStart + kNsPerHour), kStart + kNsPerHour);  // an hour exactly is no jump
}

TEST(TrafficClockTest, OneWrongTimestampMovesNothing) {
  TrafficClock clock;
  clock.Observe(kStart);
  EXPECT_EQ(clock.Observe(kStart + 365 * kNsPerDay), kStart);
  EXPECT_EQ(clock.Observe(kStart + 1), kStart + 1);
  EXPECT_FALSE(clock.holding());
}

TEST(TrafficClockTest, AJumpIsTakenWhenSixtyFourLaterPacketsAgree) {
  TrafficClock clock;
  clock.Observe(kStart);
  const int64_t later = kStart + kNsPerDay;
  EXPECT_EQ(clock.Observe(later), kStart);
  for (int i = 1; i < 64; ++i) EXPECT_EQ(clock.Observe(later + i), kStart) << i;
  EXPECT_EQ(clock.Observe(later + 64), later + 64);
  EXPECT_EQ(clock.jumps(), 1u);
}

TEST(TrafficClockTest, APacketOfThePresentBreaksTheAgreement) {
  TrafficClock clock;
  clock.Observe(kStart);
  for (int i = 0; i < 60; ++i) clock.Observe(kStart + kNsPerDay + i);
  clock.Observe(kStart + 5);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(clock.Observe(kStart + kNsPerDay + i), kStart + 5) << i;
  EXPECT_EQ(clock.Observe(kStart + kNsPerDay + 64), kStart + kNsPerDay + 64);
}

TEST(TrafficClockTest, ScatteredJumpsDoNotAgreeWithEachOther) {
  TrafficClock clock;
  clock.Observe(kStart);
  for (int i = 1; i < 1000; ++i) {
    EXPECT_EQ(clock.Observe(kStart + (i % 7 + 1) * kNsPerDay), kStart);
  }
}

}  // namespace
}  // namespace stillwatch::dataplane
