// `stillwatch replay --save` and `--restore`: a capture in two halves gives the files of one replay, byte for byte, and a
// snapshot that is not this box's is refused in one line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/endian.h"
#include "tests/tools/stillwatch/replay_suite.h"

namespace stillwatch {
namespace {

using ::testing::HasSubstr;
using testing::Ran;
using testing::ReadAll;

constexpr size_t kFileHead = 24, kRecordHead = 16;

struct Packet {
  uint32_t second;
  std::string record;      // with its head
  std::string connection;  // addresses and ports, the smaller first
};

// Of Ethernet, IPv4 and TCP, which is all that stillgen writes.
std::vector<Packet> PacketsOf(const std::string& capture) {
  std::vector<Packet> packets;
  for (size_t at = kFileHead; at + kRecordHead <= capture.size();) {
    const size_t size = kRecordHead + LoadLe<uint32_t>(&capture[at + 8]);
    Packet packet{LoadLe<uint32_t>(&capture[at]), capture.substr(at, size), ""};
    const std::string ip = packet.record.substr(kRecordHead + 14);
    const size_t tcp = static_cast<size_t>(ip[0] & 15) * 4;
    const std::string from = ip.substr(12, 4) + ip.substr(tcp, 2), to = ip.substr(16, 4) + ip.substr(tcp + 2, 2);
    packet.connection = std::min(from, to) + std::max(from, to);
    packets.push_back(std::move(packet));
    at += size;
  }
  return packets;
}

class ReplayRestoreTest : public testing::ReplaySuite {
 protected:
  // Connections that are open at the cut are left out of all three captures: what is not read to its end is no exchange.
  static void SetUpTestSuite() {
    ReplaySuite::SetUpTestSuite();
    Make("capture", "made.pcap", {"--scenario", "t1", "--seed", "1"});
    const std::string bytes = ReadAll(Path("made.pcap"));
    const std::vector<Packet> packets = PacketsOf(bytes);
    ASSERT_FALSE(packets.empty());
    const uint32_t cut = packets[packets.size() * 2 / 3].second;
    std::map<std::string, int> sides;
    for (const Packet& packet : packets) sides[packet.connection] |= packet.second < cut ? 1 : 2;
    std::string head = bytes.substr(0, kFileHead), first = head, second = head, whole = head;
    for (const Packet& packet : packets) {
      if (sides[packet.connection] == 3) continue;
      (packet.second < cut ? first : second) += packet.record;
      whole += packet.record;
    }
    std::ofstream(Path("first.pcap"), std::ios::binary) << first;
    std::ofstream(Path("second.pcap"), std::ios::binary) << second;
    std::ofstream(Path("whole.pcap"), std::ios::binary) << whole;
    ASSERT_GT(second.size(), whole.size() / 10);
  }
};

TEST_F(ReplayRestoreTest, TwoHalvesAreOneReplay) {
  const Ran whole = Replay("whole", {Path("whole.pcap")});
  ASSERT_EQ(whole.exit, 0) << whole.output;
  const Ran first = Replay("first", {"--save", Path("memory"), Path("first.pcap")});
  ASSERT_EQ(first.exit, 0) << first.output;
  EXPECT_THAT(first.output, HasSubstr("saved: "));
  const Ran second = Replay("second", {"--restore", Path("memory"), Path("second.pcap")});
  ASSERT_EQ(second.exit, 0) << second.output;
  EXPECT_FALSE(ReadAll(Path("first/campaign-verdict.ndjson")).empty()) << "no campaign before the cut";
  for (const std::string topic : {"campaign-verdict", "campaign-state", "enforcement-advice", "edge", "account-profile", "audit"}) {
    const std::string file = "/" + topic + ".ndjson";
    EXPECT_TRUE(ReadAll(Path("whole" + file)) == ReadAll(Path("first" + file)) + ReadAll(Path("second" + file))) << topic;
  }
}

TEST_F(ReplayRestoreTest, WhatIsNotThisBoxsIsRefusedInOneLine) {
  ASSERT_EQ(Replay("saved", {"--save", Path("mine"), Path("first.pcap")}).exit, 0);
  const auto refused = [&](const std::vector<std::string>& words, int exit, const std::string& why) {
    const Ran ran = Replay("never", words);
    EXPECT_EQ(ran.exit, exit) << ran.output;
    EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
    EXPECT_THAT(ran.output, HasSubstr(why));
  };
  const std::string capture = Path("second.pcap");
  refused({"--restore", Path("mine"), "--set", "privacy.salt=hex:0000000000000001", capture}, 2, "another privacy.salt");
  refused({"--restore", Path("mine"), "--set", "privacy.account_key=hex:0011", capture}, 2, "another privacy.account_key");
  refused({"--restore", Path("none"), capture}, 2, "cannot be read");
  refused({"--restore", capture, capture}, 2, "is no snapshot");
  std::ofstream(Path("cut"), std::ios::binary) << ReadAll(Path("mine")).substr(0, 5'000);
  refused({"--restore", Path("cut"), capture}, 2, "is cut short");
  refused({"--restore", Path("mine"), "--record-edges", Path("edges"), capture}, 64, "--restore FILE");
  refused({"--save", Path("mine"), "--edges", Path("edges")}, 64, "--save FILE");
}

}  // namespace
}  // namespace stillwatch
