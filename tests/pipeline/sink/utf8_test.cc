#include "pipeline/sink/utf8.h"

#include <gtest/gtest.h>

#include "pipeline/proto/stillwatch.pb.h"

namespace stillwatch::pipeline {
namespace {

// Every code point, encoded here by the textbook rule, against the validator: all but surrogates
// are well formed.
TEST(Utf8Test, TakesEveryCodePointAndNoSurrogate) {
  for (uint32_t c = 0; c < 0x110000; ++c) {
    std::string text;
    if (c < 0x80) {
      text = {static_cast<char>(c)};
    } else if (c < 0x800) {
      text = {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
    } else if (c < 0x10000) {
      text = {static_cast<char>(0xe0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
              static_cast<char>(0x80 | (c & 63))};
    } else {
      text = {static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
              static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
    }
    ASSERT_EQ(IsUtf8(text), c < 0xd800 || c > 0xdfff) << std::hex << c;
  }
}

TEST(Utf8Test, RefusesOverlongCutAndStray) {
  for (const char* bad : {"\x80", "\xbf", "\xc0\xaf", "\xc1\xbf", "\xc3", "\xe0\x80\xaf",
                          "\xe0\x9f\xbf", "\xe2\x82", "\xf0\x80\x80\xaf", "\xf0\x9f\x99",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff"}) {
    EXPECT_FALSE(IsUtf8(bad)) << testing::PrintToString(std::string(bad));
    EXPECT_FALSE(IsUtf8("a" + std::string(bad) + "b"));
    EXPECT_TRUE(IsUtf8(RepairUtf8("a" + std::string(bad) + "b")));
  }
  EXPECT_EQ(RepairUtf8("a\xff"
                       "b"),
            "a\xef\xbf\xbd"
            "b");
}

TEST(Utf8Test, RepairsOnlyRecordsThatNeedIt) {
  v1::CampaignVerdict verdict;
  verdict.set_campaign_id("fine");
  verdict.add_evidence()->set_text("fine too");
  EXPECT_EQ(RepairedCopy(verdict), nullptr);
  verdict.add_counter_evidence("\xff");
  verdict.mutable_evidence(0)->add_exemplars()->set_account("x\xc3");
  const auto repaired = RepairedCopy(verdict);
  ASSERT_NE(repaired, nullptr);
  v1::CampaignVerdict expected = verdict;
  expected.set_counter_evidence(0, "\xef\xbf\xbd");
  expected.mutable_evidence(0)->mutable_exemplars(0)->set_account("x\xef\xbf\xbd");
  EXPECT_EQ(repaired->SerializeAsString(), expected.SerializeAsString());

  v1::BoxStatus status;
  (*status.mutable_counters())["bad\xfe"] = 7;
  const auto repaired_status = RepairedCopy(status);
  ASSERT_NE(repaired_status, nullptr);
  v1::BoxStatus back;
  EXPECT_TRUE(back.ParseFromString(repaired_status->SerializeAsString()));
  EXPECT_EQ(back.counters().at("bad\xef\xbf\xbd"), 7u);
}

}  // namespace
}  // namespace stillwatch::pipeline
