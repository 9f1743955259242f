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

}  // namespace
}  // namespace stillwatch::dataplane
