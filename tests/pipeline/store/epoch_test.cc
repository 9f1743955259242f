#include "pipeline/store/epoch.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/pipeline/store/temp_folder.h"

namespace stillwatch::pipeline {
namespace {

TEST(EpochTest, GrowsThoughTheClockStepsBack) {
  TempFolder folder;
  uint64_t last = 0;
  for (const int64_t seconds : {1'800'000'000, 1'700'000'000, 0, 1'900'000'000}) {
    const FakeClock clock(seconds * kNsPerSecond);
    const auto epoch = RaiseEpochFile(folder / "epoch", clock);
    ASSERT_TRUE(epoch.ok()) << epoch.message();
    EXPECT_GT(epoch.value(), last);
    last = epoch.value();
  }
  EXPECT_EQ(last, 1'900'000'000u);
}

TEST(EpochTest, ALostFileDoesNotGiveOldIdsAgain) {
  TempFolder folder;
  const auto before = RaiseEpochFile(folder / "epoch", FakeClock(1'800'000'000 * kNsPerSecond));
  ASSERT_TRUE(before.ok());
  std::filesystem::remove(folder / "epoch");
  const auto after = RaiseEpochFile(folder / "epoch", FakeClock(1'800'000'005 * kNsPerSecond));
  ASSERT_TRUE(after.ok());
  EXPECT_GT(after.value(), before.value());
}

TEST(EpochTest, AFileThatHoldsNoNumberIsAnError) {
  TempFolder folder;
  std::ofstream(folder / "epoch") << "12x\n";
  const auto epoch = RaiseEpochFile(folder / "epoch", FakeClock(5));
  ASSERT_FALSE(epoch.ok());
  EXPECT_NE(epoch.message().find(folder / "epoch"), std::string::npos) << epoch.message();
  EXPECT_FALSE(RaiseEpochFile(folder / "no-such-folder/epoch", FakeClock(5)).ok());
}

TEST(EpochTest, EventIdsReadBack) {
  EXPECT_EQ(EventId("fra-1", 1'800'000'000, 42), "fra-1-1800000000-42");
  const auto parts = ParseEventId("fra-1-1800000000-42");
  ASSERT_TRUE(parts.has_value());
  EXPECT_EQ(parts->box, "fra-1");
  EXPECT_EQ(parts->epoch, 1'800'000'000u);
  EXPECT_EQ(parts->sequence, 42u);
  for (const char* bad :
       {"", "-", "--", "box", "box-1", "box-1-", "box--1", "box-x-1", "box-1-1x"}) {
    EXPECT_FALSE(ParseEventId(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace stillwatch::pipeline
