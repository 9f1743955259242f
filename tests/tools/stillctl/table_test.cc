#include "tools/stillctl/table.h"

#include <gtest/gtest.h>

namespace stillwatch::stillctl {
namespace {

TEST(TableTest, AlignsTextLeftAndNumbersRight) {
  EXPECT_EQ(Table({{"NAME", "COUNT"}, {"a", "10"}, {"longer", "7"}}),
            "NAME    COUNT\n"
            "a          10\n"
            "longer      7\n");
}

TEST(TableTest, CountsCodePointsNotBytes) {
  EXPECT_EQ(Table({{"X", "Y"}, {"caf\u00e9", "b"}, {"abcd", "c"}}), "X     Y\ncaf\u00e9  b\nabcd  c\n");
}

TEST(WrapTest, BreaksAtBlanks) {
  EXPECT_EQ(Wrap("one two three", 9, 2), "one two\n  three");
  EXPECT_EQ(Wrap("unbreakableword x", 6, 0), "unbreakableword\nx");
  EXPECT_EQ(Wrap("", 10, 0), "");
}

}  // namespace
}  // namespace stillwatch::stillctl
