#include "dataplane/port/heart.h"

#include <gtest/gtest.h>

namespace stillwatch::dataplane {
namespace {

TEST(HeartTest, GoesStaleAfterItsTimeoutAndNotBeforeItsFirstBeat) {
  uint64_t beat_ns = 0;
  const uint64_t timeout_ns = 100;
  Heart heart(&beat_ns, &timeout_ns);
  EXPECT_FALSE(heart.Stale(1'000'000));
  heart.Beat(1'000);
  EXPECT_EQ(beat_ns, 1'000u);
  EXPECT_FALSE(heart.Stale(1'100));
  EXPECT_TRUE(heart.Stale(1'101));
  heart.Beat(1'200);
  EXPECT_FALSE(heart.Stale(1'250));
}

TEST(HeartTest, AStoppedHeartBeatsNoMoreAndIsNotStale) {
  uint64_t beat_ns = 0;
  const uint64_t timeout_ns = 100;
  Heart heart(&beat_ns, &timeout_ns);
  heart.Beat(1'000);
  heart.Stop();
  EXPECT_EQ(beat_ns, 0u);
  heart.Beat(1'050);
  EXPECT_EQ(beat_ns, 0u);
  EXPECT_FALSE(heart.Stale(10'000));  // what is in the rings is still to be forwarded
}

// One of several forwarders that hangs must not be covered by the others: its frames would wait with nobody to send them.
TEST(HeartTest, OfSeveralForwardersTheOldestBeatCounts) {
  uint64_t beat_ns = 0;
  const uint64_t timeout_ns = 100;
  Heart heart(&beat_ns, &timeout_ns);
  heart.SetForwarders(3);
  heart.Beat(1'000, 0);
  heart.Beat(1'010, 2);
  EXPECT_EQ(beat_ns, 0u);  // one is not ready
  heart.Beat(1'020, 1);
  EXPECT_EQ(beat_ns, 1'000u);
  heart.Beat(1'030, 0);
  EXPECT_EQ(beat_ns, 1'010u);
  heart.Beat(1'200, 0);
  heart.Beat(1'200, 1);
  EXPECT_EQ(beat_ns, 1'010u);  // the third hangs: the kernel bypasses
  EXPECT_FALSE(heart.Stale(1'210, 0));
  EXPECT_TRUE(heart.Stale(1'210, 2));  // and what waits for it alone is late
  heart.Beat(1'220, 2);
  EXPECT_EQ(beat_ns, 1'200u);
  heart.Stop();
  heart.Beat(1'230, 1);
  EXPECT_EQ(beat_ns, 0u);
}

// What was handed over before drained_ns is neither here nor in the kernel's queues on its way out.
TEST(HeartTest, WhatIsDrainedIsToldLateAndOfTheSlowestForwarder) {
  uint64_t beat_ns = 0, drained_ns = 0;
  const uint64_t timeout_ns = 80;
  Heart heart(&beat_ns, &timeout_ns, &drained_ns);
  heart.SetForwarders(2);
  heart.Emptied(1'000, 0);
  heart.Emptied(1'000, 1);
  EXPECT_EQ(drained_ns, 0u);  // sent just now: it may be in a queue still
  heart.Emptied(1'009, 0);
  heart.Emptied(1'009, 1);
  EXPECT_EQ(drained_ns, 0u);
  heart.Emptied(1'010, 0);
  EXPECT_EQ(drained_ns, 0u);  // the other one's
  heart.Emptied(1'050, 1);
  EXPECT_EQ(drained_ns, 1'000u);
  heart.Emptied(2'000, 0);
  EXPECT_EQ(drained_ns, 1'000u);
  heart.Emptied(2'000, 1);
  EXPECT_EQ(drained_ns, 1'010u);
}

}  // namespace
}  // namespace stillwatch::dataplane
