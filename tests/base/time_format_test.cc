#include "base/time_format.h"

#include <gtest/gtest.h>

namespace stillwatch {
namespace {

TEST(TimeFormatTest, WritesNineDigitsAndZ) {
  EXPECT_EQ(FormatTime(1'767'225'600'000'000'001), "2026-01-01T00:00:00.000000001Z");
  EXPECT_EQ(FormatTime(0), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(FormatTime(-1), "1969-12-31T23:59:59.999999999Z");
}

TEST(TimeFormatTest, ReadsBackWhatItWrites) {
  for (int64_t ns : {0l, 1l, 1'767'225'600'123'456'789l, -5'000'000'001l}) {
    const Result<int64_t> read = ParseTime(FormatTime(ns));
    ASSERT_TRUE(read.ok()) << read.message();
    EXPECT_EQ(read.value(), ns);
  }
  EXPECT_EQ(ParseTime("2026-01-01T00:00:00.5Z").value(), 1'767'225'600'500'000'000);
}

TEST(TimeFormatTest, RefusesOtherForms) {
  for (const char* text : {"", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00:00+01:00",
                           "2026-13-01T00:00:00Z", "2026-01-01T00:00:00.Z",
                           "2026-01-01T00:00:00.1234567890Z"}) {
    EXPECT_FALSE(ParseTime(text).ok()) << text;
  }
}

}  // namespace
}  // namespace stillwatch
