#include "dataplane/packet/fragment_joiner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/dataplane/frame_builder.h"

namespace stillwatch::dataplane {
namespace {

using testing::BuildIp;
using testing::Ethernet;
using testing::FragmentIpv4;
using testing::FragmentIpv6;

class FragmentJoinerTest : public ::testing::Test {
 protected:
  // The joined frame's bytes, or nothing.
  std::vector<uint8_t> Give(const std::vector<uint8_t>& bytes, int64_t time_ns = 0) {
    const Frame frame{bytes, static_cast<uint32_t>(bytes.size()), 3, ++number_, time_ns};
    Frame joined;
    bool complete = false;
    EXPECT_TRUE(joiner_.Offer(frame, &joined, &complete));
    if (!complete) return {};
    EXPECT_EQ(joined.number, number_);
    EXPECT_EQ(joined.port, 3);
    EXPECT_TRUE(joiner_.Owns(joined));
    std::vector<uint8_t> out(joined.bytes.begin(), joined.bytes.end());
    joiner_.Release(joined);
    return out;
  }
  uint64_t Counted(FragmentCounter counter) const { return joiner_.counters().Get(counter); }

  uint64_t number_ = 0;
  FragmentJoiner joiner_{{.datagrams_max = 4}};
};

std::string Payload(size_t size) {
  std::string payload(size, ' ');
  for (size_t i = 0; i < size; ++i) payload[i] = static_cast<char>('a' + i % 26);
  return payload;
}

// The joined frame decodes, checksums included, to the segment that was cut up.
void ExpectSegment(const std::vector<uint8_t>& joined, const std::string& payload) {
  Packet packet;
  ASSERT_EQ(DecodeFrame(joined, static_cast<uint32_t>(joined.size()), {}, &packet), DecodeStatus::kTcp);
  EXPECT_EQ(AsText(packet.payload), payload);
}

TEST_F(FragmentJoinerTest, JoinsInAnyOrderIpv4AndIpv6) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    const std::string payload = Payload(1 + random() % 5000);
    const bool six = round % 2 == 1;
    const std::vector<uint8_t> ip = BuildIp({.payload = payload, .ipv6 = six, .ip_options = six ? "" : "\1\1\1"});
    const size_t piece = 8 * (1 + random() % 100);
    if (ip.size() - 40 <= piece + 40) continue;
    auto fragments = six ? FragmentIpv6(ip, piece, static_cast<uint32_t>(random())) : FragmentIpv4(ip, piece);
    std::shuffle(fragments.begin(), fragments.end(), random);
    // Some come twice.
    if (random() % 2 == 0) fragments.insert(fragments.begin() + 1, fragments[0]);
    std::vector<uint8_t> joined;
    for (size_t i = 0; i < fragments.size(); ++i) {
      ASSERT_TRUE(joined.empty());
      joined = Give(fragments[i]);
    }
    ASSERT_FALSE(joined.empty()) << round;
    ExpectSegment(joined, payload);
  }
}

TEST_F(FragmentJoinerTest, AnOverlapSpoilsTheDatagram) {
  const std::string payload = Payload(400);
  const auto a = FragmentIpv4(BuildIp({.payload = payload}), 200);
  auto other = FragmentIpv4(BuildIp({.payload = Payload(400)}), 96);
  ASSERT_EQ(a.size(), 3u);
  EXPECT_TRUE(Give(a[0]).empty());
  EXPECT_TRUE(Give(other[1]).empty());  // bytes 96 to 191 of the same datagram: inside a[0], same content: a repeat
  EXPECT_EQ(Counted(FragmentCounter::kOverlapped), 0u);
  EXPECT_TRUE(Give(other[2]).empty());  // 192 to 287: reaches past a[0]
  EXPECT_EQ(Counted(FragmentCounter::kOverlapped), 1u);
  EXPECT_TRUE(Give(a[1]).empty());
  EXPECT_TRUE(Give(a[2]).empty());
  EXPECT_EQ(Counted(FragmentCounter::kJoined), 0u);
  EXPECT_EQ(Counted(FragmentCounter::kRefused), 3u);
  // Long after, the number may be used again.
  const int64_t later = 31 * kNsPerSecond;
  Give(a[0], later);
  Give(a[1], later);
  ExpectSegment(Give(a[2], later), payload);
}

TEST_F(FragmentJoinerTest, DifferentBytesSpoilTheDatagram) {
  auto fragments = FragmentIpv4(BuildIp({.payload = Payload(100)}), 64);
  Give(fragments[0]);
  std::vector<uint8_t> forged = fragments[0];
  forged[60] ^= 1;
  Give(forged);
  EXPECT_EQ(Counted(FragmentCounter::kOverlapped), 1u);
  EXPECT_TRUE(Give(fragments[1]).empty());
}

TEST_F(FragmentJoinerTest, BoundsInCountAndTime) {
  std::vector<std::vector<std::vector<uint8_t>>> datagrams;
  for (uint32_t i = 0; i < 6; ++i) {
    datagrams.push_back(FragmentIpv4(BuildIp({.src = 0x0a000001 + i, .payload = Payload(100)}), 64));
  }
  for (int i = 0; i < 6; ++i) Give(datagrams[static_cast<size_t>(i)][0], i);
  EXPECT_EQ(Counted(FragmentCounter::kTableFull), 2u);
  EXPECT_TRUE(Give(datagrams[0][1], 10).empty());  // the oldest was given up; this begins anew in the next oldest's place
  EXPECT_FALSE(Give(datagrams[5][1], 10).empty());
  Give(datagrams[4][1], 100 * kNsPerSecond);
  EXPECT_GT(Counted(FragmentCounter::kTimedOut), 0u);
  EXPECT_EQ(Counted(FragmentCounter::kJoined), 1u);
}

TEST_F(FragmentJoinerTest, ContradictionsAndOtherProtocols) {
  auto fragments = FragmentIpv4(BuildIp({.payload = Payload(300)}), 64);
  Give(fragments.back());
  std::vector<uint8_t> past = fragments[1];  // claims a place behind the last fragment's end
  StoreBe16(&past[14 + 6], 0x2000 | 1000);
  StoreBe16(&past[14 + 10], 0);
  StoreBe16(&past[14 + 10], testing::PlainChecksum({past.begin() + 14, past.begin() + 34}));
  Give(past);
  EXPECT_EQ(Counted(FragmentCounter::kMalformed), 1u);

  std::vector<uint8_t> icmp = FragmentIpv4(BuildIp({.src = 9, .payload = Payload(300)}), 64)[0];
  icmp[14 + 9] = 1;
  Give(icmp);
  EXPECT_EQ(Counted(FragmentCounter::kOther), 1u);
}

// "The Next Header values in the Fragment headers of different fragments of the same original packet may differ. Only the
// value from the Offset zero fragment packet is used for reassembly." (RFC 8200, 4.5)
TEST_F(FragmentJoinerTest, OnlyTheFirstFragmentSaysWhatFollows) {
  constexpr size_t kNextHeaderAt = 14 + 40;
  constexpr uint8_t kNone = 59, kIcmpv6 = 58;
  const std::string payload = Payload(300);
  const std::vector<uint8_t> ip = BuildIp({.payload = payload, .ipv6 = true});
  auto fragments = FragmentIpv6(ip, 96, 1);
  for (size_t i = 1; i < fragments.size(); ++i) fragments[i][kNextHeaderAt] = kNone;
  for (size_t i = 1; i < fragments.size(); ++i) EXPECT_TRUE(Give(fragments[i]).empty());
  ExpectSegment(Give(fragments[0]), payload);
  // An authentication header is cut up with what follows it (RFC 8200, 4.1).
  const std::string authentication("\x06\x04" "2345678901234567890123", 24);
  ExpectSegment([&] {
    std::vector<uint8_t> joined;
    for (const auto& part : FragmentIpv6(
             BuildIp({.payload = payload, .ipv6 = true, .ip_options = authentication, .first_extension = 51}), 96, 2)) {
      joined = Give(part);
    }
    return joined;
  }(), payload);
  EXPECT_EQ(Counted(FragmentCounter::kOther), 0u);
  auto ping = FragmentIpv6(ip, 96, 3);
  for (auto& part : ping) part[kNextHeaderAt] = kIcmpv6;
  for (const auto& part : ping) EXPECT_TRUE(Give(part).empty());
  EXPECT_EQ(Counted(FragmentCounter::kOther), 1u);
  EXPECT_EQ(Counted(FragmentCounter::kJoined), 2u);
}

// A datagram's fragments "all have the same value for the four fields: identification, source, destination, and protocol"
// (RFC 791, 2.3): a fragment of UDP is none of a TCP segment with the same identification.
TEST_F(FragmentJoinerTest, ProtocolsOfOneIdentificationAreDatagramsOfTheirOwn) {
  const std::string payload = Payload(300);
  const auto fragments = FragmentIpv4(BuildIp({.payload = payload}), 96);
  std::vector<uint8_t> udp = fragments[1];
  udp[14 + 9] = 17;
  udp[14 + 20] ^= 1;
  Give(udp);
  for (size_t i = 0; i + 1 < fragments.size(); ++i) EXPECT_TRUE(Give(fragments[i]).empty());
  ExpectSegment(Give(fragments.back()), payload);
}

TEST_F(FragmentJoinerTest, RandomFragmentsStayInBounds) {
  std::mt19937 random(13);
  for (int round = 0; round < 20'000; ++round) {
    auto fragments = FragmentIpv4(BuildIp({.src = static_cast<uint32_t>(random() % 3), .payload = Payload(random() % 200)}), 8 * (1 + random() % 8));
    std::vector<uint8_t> frame = fragments[random() % fragments.size()];
    StoreBe16(&frame[14 + 6], static_cast<uint16_t>((random() % 2) << 13 | (random() % 4 == 0 ? random() % 8192 : random() % 30)));
    Packet packet;
    if (DecodeFrame(frame, static_cast<uint32_t>(frame.size()), {true}, &packet) != DecodeStatus::kFragment) continue;
    Frame joined;
    if (joiner_.Add(Frame{frame, static_cast<uint32_t>(frame.size()), 0, 1, round * kNsPerMs}, packet, &joined)) {
      DecodeFrame(joined.bytes, joined.wire_length, {}, &packet);
      joiner_.Release(joined);
    }
  }
}

}  // namespace
}  // namespace stillwatch::dataplane
