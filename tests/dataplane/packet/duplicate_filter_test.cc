#include "dataplane/packet/duplicate_filter.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/clock.h"
#include "tests/dataplane/frame_builder.h"

namespace stillwatch::dataplane {
namespace {

using stillwatch::testing::BuildFrame;
using stillwatch::testing::PlainChecksum;
using FrameBytes = std::vector<uint8_t>;

constexpr int64_t kWindowNs = 10 * kNsPerMs;

class DuplicateFilterTest : public ::testing::Test {
 protected:
  bool IsCopy(const FrameBytes& frame) { return IsCopy(frame, now_ns_); }
  bool IsCopy(const FrameBytes& frame, int64_t time_ns) {
    return filter_.IsCopy(frame, static_cast<uint32_t>(frame.size()), time_ns);
  }
  uint64_t removed() const { return filter_.counters().Get(DuplicateCounter::kRemoved); }

  DuplicateFilter filter_{kWindowNs, Salt{7}};
  int64_t now_ns_ = 1'700'000'000 * kNsPerSecond;
};

// What a router does on the way.
FrameBytes Routed(FrameBytes frame, bool ipv6) {
  for (size_t i = 0; i < 12; ++i) frame[i] = static_cast<uint8_t>(0x40 + i);  // MAC addresses
  if (ipv6) {
    --frame[14 + 7];
    frame[14 + 1] |= 0x20;
    return frame;
  }
  --frame[14 + 8];
  frame[14 + 1] = 0xb8;
  StoreBe16(&frame[14 + 10], 0);
  StoreBe16(&frame[14 + 10], PlainChecksum({frame.begin() + 14, frame.begin() + 34}));
  return frame;
}

TEST_F(DuplicateFilterTest, ACopyIsOneHoweverItWasRouted) {
  for (const bool ipv6 : {false, true}) {
    const std::string payload = std::string(ipv6 ? 1'000 : 3, 'p');
    const FrameBytes frame = BuildFrame({.seq = 1, .payload = payload, .ipv6 = ipv6});
    EXPECT_FALSE(IsCopy(frame));
    EXPECT_TRUE(IsCopy(frame));
    EXPECT_TRUE(IsCopy(Routed(frame, ipv6)));
    EXPECT_TRUE(IsCopy(BuildFrame({.seq = 1, .payload = payload, .ipv6 = ipv6, .vlan_types = {0x8100}})));
    EXPECT_TRUE(IsCopy(BuildFrame({.seq = 1, .payload = payload, .ipv6 = ipv6, .vlan_types = {0x88a8, 0x8100}})));
    FrameBytes padded = frame;
    padded.resize(frame.size() + 6, 0xee);
    EXPECT_TRUE(IsCopy(padded));
  }
  EXPECT_EQ(removed(), 10u);
}

TEST_F(DuplicateFilterTest, WhatDiffersInAnyOtherByteIsNone) {
  for (const bool ipv6 : {false, true}) {
    const FrameBytes frame = BuildFrame({.seq = 9, .payload = std::string(200, 'x'), .ipv6 = ipv6});
    ASSERT_FALSE(IsCopy(frame));
    for (size_t i = 14; i < frame.size(); ++i) {
      const size_t at = i - 14;
      if (!ipv6 && (at == 1 || at == 8 || at == 10 || at == 11)) continue;  // changed on the way
      if (ipv6 && (at == 0 || at == 1 || at == 7)) continue;                // wholly or partly
      FrameBytes other = frame;
      other[i] ^= 1;
      EXPECT_FALSE(IsCopy(other)) << i;
    }
    EXPECT_TRUE(IsCopy(frame));
  }
  // The part of IPv6's first word that is no traffic class: version and flow label.
  const FrameBytes frame = BuildFrame({.seq = 10, .ipv6 = true});
  ASSERT_FALSE(IsCopy(frame));
  FrameBytes label = frame;
  label[15] ^= 1;
  EXPECT_FALSE(IsCopy(label));
}

TEST_F(DuplicateFilterTest, ARetransmissionIsNone) {
  FrameBytes frame = BuildFrame({.seq = 1, .payload = "again"});
  EXPECT_FALSE(IsCopy(frame));
  // The same segment with the sender's next identification, within the window.
  FrameBytes next = frame;
  ++next[14 + 5];
  StoreBe16(&next[14 + 10], 0);
  StoreBe16(&next[14 + 10], PlainChecksum({next.begin() + 14, next.begin() + 34}));
  EXPECT_FALSE(IsCopy(next, now_ns_ + kNsPerMs));
  EXPECT_TRUE(IsCopy(frame, now_ns_ + kWindowNs));
  // The same bytes again, later: the window is counted from the first copy, not from the last.
  EXPECT_FALSE(IsCopy(frame, now_ns_ + kWindowNs + 1));
  EXPECT_TRUE(IsCopy(frame, now_ns_ + kWindowNs + 2));
}

TEST_F(DuplicateFilterTest, WhatIsNoIpOrNotWholeIsNever) {
  const FrameBytes whole = BuildFrame({.seq = 3, .payload = "whole"}), whole6 = BuildFrame({.seq = 3, .payload = "whole", .ipv6 = true});
  FrameBytes arp = whole, jumbogram = whole6;
  StoreBe16(&arp[12], 0x0806);
  StoreBe16(&jumbogram[18], 0);
  for (const FrameBytes& frame : {arp, jumbogram, FrameBytes(), FrameBytes(13, 8)}) {
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(IsCopy(frame));
  }
  for (size_t size = 0; size < whole.size(); ++size) {
    const FrameBytes cut(whole.begin(), whole.begin() + static_cast<long>(size));
    for (int i = 0; i < 2; ++i) EXPECT_FALSE(IsCopy(cut)) << size;
  }
  // Cut by the capture: what was cut may differ.
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(filter_.IsCopy(whole, 9'000, now_ns_));
  EXPECT_EQ(removed(), 0u);
}

// Against a table without bounds: never a copy that is none; missed only what was counted as forgotten.
TEST_F(DuplicateFilterTest, AgreesWithAnUnboundedTable) {
  std::mt19937 random(3);
  std::map<FrameBytes, int64_t> first;
  uint64_t copies = 0, missed = 0;
  const auto forgotten = [&] { return filter_.counters().Get(DuplicateCounter::kForgotten); };
  // Twice what the table holds within the window at the end.
  for (int i = 0; i < 300'000; ++i) {
    now_ns_ += i < 150'000 ? 1'000 : 50;
    const FrameBytes frame = BuildFrame({.seq = static_cast<uint32_t>(random() % 200'000)});
    const auto [at, fresh] = first.emplace(frame, now_ns_);
    const bool copy = !fresh && now_ns_ - at->second <= kWindowNs;
    if (!copy) at->second = now_ns_;
    const bool said = IsCopy(frame);
    EXPECT_LE(said, copy);
    if (copy && !said) {
      ++missed;
      at->second = now_ns_;
    }
    copies += copy ? 1 : 0;
    if (i == 149'999) {
      // 10,000 within the window, a sixth of the table: hardly ever a full bucket.
      EXPECT_LE(missed, forgotten());
      EXPECT_LT(missed, copies / 1'000);
      EXPECT_GT(copies, 1'000u);
    }
  }
  EXPECT_GT(missed, 0u);
  EXPECT_LE(missed, forgotten());
}

}  // namespace
}  // namespace stillwatch::dataplane
