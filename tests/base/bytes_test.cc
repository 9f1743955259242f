#include "base/bytes.h"

#include <gtest/gtest.h>

namespace stillwatch {
namespace {

TEST(HexTest, RoundTripsAndRefuses) {
  EXPECT_EQ(HexOf(0x0123456789abcdefull), "0123456789abcdef");
  std::string bytes;
  ASSERT_TRUE(ParseHex("00fFa5", &bytes));
  EXPECT_EQ(HexOf(AsBytes(bytes)), "00ffa5");
  EXPECT_FALSE(ParseHex("0", &bytes));
  EXPECT_FALSE(ParseHex("0g", &bytes));
}

}  // namespace
}  // namespace stillwatch
