// The line of text that two partners exchange: back as it was, and every way to be wrong told in words.
#include "pipeline/sharing/pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stillwatch::pipeline {
namespace {

using ::testing::HasSubstr;

const std::string kHead = "stillwatch-fragments/1 0123456789abcdef: ";

std::string Why(const std::string& text) {
  const Result<ClaimPattern> pattern = ParsePattern(text);
  return pattern.ok() ? "taken" : pattern.message();
}

TEST(PatternTest, ComesBackAsItWas) {
  const ClaimPattern pattern{0x0123456789abcdef, {{{1, 0xaabbccdd, 0xffffffff}, 2}, {{7, 8, 9, 10}, 3}}};
  const std::string text = PatternText(pattern);
  EXPECT_EQ(text, kHead + "2 of 00000001 aabbccdd ffffffff; 3 of 00000007 00000008 00000009 0000000a");
  const ClaimPattern back = ParsePattern(text).value();
  EXPECT_EQ(back.key_id, pattern.key_id);
  ASSERT_EQ(back.cores.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(back.cores[i].fragments, pattern.cores[i].fragments);
    EXPECT_EQ(back.cores[i].needed, pattern.cores[i].needed);
  }
}

TEST(PatternTest, SaysWhatIsWrong) {
  EXPECT_EQ(Why(kHead + "2 of 00000001 00000002"), "taken");
  EXPECT_THAT(Why(""), HasSubstr("another kind"));
  EXPECT_THAT(Why("stillwatch-fragments/2 0123456789abcdef: 2 of 00000001 00000002"), HasSubstr("another kind"));
  EXPECT_THAT(Why("stillwatch-fragments/1 0123: 2 of 00000001 00000002"), HasSubstr("which key"));
  EXPECT_THAT(Why(kHead), HasSubstr("'N of'"));
  EXPECT_THAT(Why(kHead + "two of 00000001 00000002"), HasSubstr("'N of'"));
  EXPECT_THAT(Why(kHead + "2 of 00000001 0000002"), HasSubstr("8 hex digits"));
  EXPECT_THAT(Why(kHead + "2 of 00000001  00000002"), HasSubstr("8 hex digits"));
  EXPECT_THAT(Why(kHead + "2 of 00000002 00000001"), HasSubstr("do not ascend"));
  EXPECT_THAT(Why(kHead + "2 of 00000001 00000001"), HasSubstr("do not ascend"));
  EXPECT_THAT(Why(kHead + "1 of 00000001 00000002"), HasSubstr("two words alone"));
  EXPECT_THAT(Why(kHead + "3 of 00000001 00000002"), HasSubstr("more fragments than it has"));
  EXPECT_THAT(Why(kHead + "2 of 00000001 00000002; 9 of 00000001 00000002"), HasSubstr("core 2 of the pattern"));
  EXPECT_THAT(Why(kHead + "2 of 00000001 00000002 and"), HasSubstr("8 hex digits"));
  EXPECT_THAT(Why(kHead + "2 of 00000001 00000002."), HasSubstr("goes on"));
  EXPECT_THAT(Why(kHead + "2 of 00000001 00000002;"), HasSubstr("'N of'"));
}

TEST(PatternTest, IsBounded) {
  std::string cores, fragments = "2 of";
  for (size_t i = 0; i <= ClaimPattern::kCoresMax; ++i) cores += (i == 0 ? "" : "; ") + std::string("2 of 00000001 00000002");
  for (uint32_t i = 0; i <= ClaimPattern::kFragmentsMax; ++i) {
    char text[16];
    std::snprintf(text, sizeof text, " %08x", i);
    fragments += text;
  }
  EXPECT_THAT(Why(kHead + cores), HasSubstr("more than 32 cores"));
  EXPECT_THAT(Why(kHead + fragments), HasSubstr("too many fragments"));
}

}  // namespace
}  // namespace stillwatch::pipeline
