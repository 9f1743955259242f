// When the process says that it cannot keep up: not for one bad moment, and not again and again.
#include "dataplane/bypass/overload.h"

#include <gtest/gtest.h>

namespace stillwatch::dataplane {
namespace {

class OverloadTest : public testing::Test {
 protected:
  // One window of `frames` that came, of which forwarding lost `lost` and looking missed `unseen`.
  Overload Window(uint64_t frames, uint64_t lost, uint64_t unseen) {
    sample_.time_ns += kOverloadWindowNs;
    sample_.forwarded += frames - lost;
    sample_.lost += lost;
    sample_.unseen += unseen;
    sample_.looked_at += frames - lost - unseen;
    return guard_.Observe(sample_);
  }
  // Windows like this until it is raised, at most `limit`; how many were needed, 0 when it was not.
  int UntilRaised(uint64_t frames, uint64_t lost, uint64_t unseen, int limit = 200) {
    for (int i = 1; i <= limit; ++i) {
      raised_ = Window(frames, lost, unseen);
      if (raised_ != Overload::kNone) return i;
    }
    return 0;
  }
  int64_t HoldMs() const { return (guard_.raised_until_ns() - sample_.time_ns) / kNsPerMs; }
  // The kernel forwards for the whole hold, then `calm_windows` without trouble.
  void PassHold(int calm_windows) {
    while (sample_.time_ns + kOverloadWindowNs < guard_.raised_until_ns()) EXPECT_EQ(Window(0, 0, 0), Overload::kNone);
    for (int i = 0; i < calm_windows; ++i) EXPECT_EQ(Window(1'000, 0, 0), Overload::kNone);
  }

  OverloadGuard guard_;
  OverloadSample sample_;
  Overload raised_ = Overload::kNone;
};

TEST_F(OverloadTest, AProcessThatKeepsUpIsLeftAlone) {
  EXPECT_EQ(UntilRaised(10'000, 0, 0), 0);
  EXPECT_EQ(UntilRaised(10'000, 200, 0), 0) << "2 percent is the limit, not past it";
  EXPECT_EQ(UntilRaised(10'000, 0, 9'000), 0);
  EXPECT_EQ(UntilRaised(99, 99, 0), 0) << "too few frames to judge by";
}

TEST_F(OverloadTest, OneBadMomentIsNone) {
  for (int i = 0; i < 50; ++i) {
    for (int bad = 0; bad < 4; ++bad) EXPECT_EQ(Window(1'000, 900, 0), Overload::kNone);
    EXPECT_EQ(Window(1'000, 0, 0), Overload::kNone);
  }
}

TEST_F(OverloadTest, LastingLossIsOverloadOfForwarding) {
  Window(1'000, 0, 0);
  EXPECT_EQ(UntilRaised(1'000, 30, 0), 5);
  EXPECT_EQ(raised_, Overload::kForwarding);
  EXPECT_EQ(HoldMs(), 10'000);
}

TEST_F(OverloadTest, LastingBlindnessIsOverloadOfLooking) {
  Window(1'000, 0, 0);
  EXPECT_EQ(UntilRaised(1'000, 0, 950), 25);
  EXPECT_EQ(raised_, Overload::kLooking);
}

TEST_F(OverloadTest, WhenItComesBackSoonItIsHeldLonger) {
  Window(1'000, 0, 0);
  for (const int64_t hold_ms : {10'000, 20'000, 40'000, 80'000, 160'000, 300'000, 300'000}) {
    ASSERT_NE(UntilRaised(1'000, 500, 0), 0);
    EXPECT_EQ(HoldMs(), hold_ms);
    PassHold(10);
  }
  PassHold(300);  // a minute without trouble
  ASSERT_NE(UntilRaised(1'000, 500, 0), 0);
  EXPECT_EQ(HoldMs(), 10'000);
}

TEST_F(OverloadTest, WhatAPulledCableLosesIsNoOverload) {
  sample_.ports_up = false;
  EXPECT_EQ(UntilRaised(1'000, 1'000, 0), 0);
  sample_.ports_up = true;
  EXPECT_EQ(UntilRaised(1'000, 1'000, 0), 5);
}

}  // namespace
}  // namespace stillwatch::dataplane
