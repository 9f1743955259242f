#include "dataplane/packet/packet.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/flow_hash.h"
#include "dataplane/packet/tcp_options.h"
#include "tests/dataplane/frame_builder.h"

namespace stillwatch::dataplane {
namespace {

using testing::BuildFrame;
using testing::BuildIp;
using testing::Ethernet;
using testing::TcpSegment;

// `frame` must outlive the use of the packet's spans.
DecodeStatus Decode(const std::vector<uint8_t>& frame, Packet* packet, bool ignore_checksums = false) {
  *packet = Packet{};
  return DecodeFrame(frame, static_cast<uint32_t>(frame.size()), {ignore_checksums}, packet);
}

TEST(PacketTest, ReadsATcpSegment) {
  TcpSegment segment{.seq = 0xfffffff0, .ack = 7, .flags = kPsh | kAck, .window = 1234, .payload = "hello"};
  const std::vector<uint8_t> frame = BuildFrame(segment);
  Packet packet;
  ASSERT_EQ(Decode(frame, &packet), DecodeStatus::kTcp);
  EXPECT_EQ(packet.seq, 0xfffffff0u);
  EXPECT_EQ(packet.ack, 7u);
  EXPECT_EQ(packet.flags, kPsh | kAck);
  EXPECT_EQ(packet.window, 1234);
  EXPECT_EQ(AsText(packet.payload), "hello");
  EXPECT_EQ(packet.payload_wire, 5u);
  EXPECT_EQ(packet.hops, 64);
  EXPECT_EQ(packet.src.length, 4);
  EXPECT_EQ(packet.src_port, 40000);
}

TEST(PacketTest, ReadsThroughTagsOptionsAndExtensionHeaders) {
  Packet packet;
  for (const std::vector<uint16_t>& tags : std::vector<std::vector<uint16_t>>{
           {0x8100}, {0x88a8, 0x8100}, {0x9100, 0x8100, 0x8100}, {0x88a8, 0x88a8, 0x8100, 0x8100}}) {
    const std::vector<uint8_t> frame = BuildFrame({.payload = "x", .vlan_types = tags});
    EXPECT_EQ(Decode(frame, &packet), DecodeStatus::kTcp);
    EXPECT_EQ(AsText(packet.payload), "x");
  }
  EXPECT_EQ(Decode(BuildFrame({.vlan_types = std::vector<uint16_t>(5, 0x8100)}), &packet), DecodeStatus::kTooManyTags);

  EXPECT_EQ(Decode(BuildFrame({.payload = "x", .ip_options = "\x94\x04\1\2"}), &packet), DecodeStatus::kTcp);

  const std::string hop_by_hop("\x2b\x00\x05\x02\x00\x00\x01\x00", 8);            // next: routing
  const std::string routing("\x3c\x02" "23456789abcdefghijklmn", 24);             // next: destination options
  const std::string destination("\x33\x00\x01\x04\0\0\0\0", 8);                   // next: authentication
  const std::string authentication("\x2c\x04" "234567890123456789012", 23);       // next: fragment; 24 bytes
  const std::string atomic_fragment("\x06\x00\x00\x00\1\2\3\4", 8);               // offset 0, no more: whole
  TcpSegment segment{.payload = "six", .ipv6 = true, .first_extension = 0};
  segment.ip_options = hop_by_hop + routing + destination + authentication + "!" + atomic_fragment;
  const std::vector<uint8_t> frame = BuildFrame(segment);
  ASSERT_EQ(Decode(frame, &packet), DecodeStatus::kTcp);
  EXPECT_EQ(AsText(packet.payload), "six");
  EXPECT_EQ(packet.hops, 64);
  EXPECT_EQ(packet.src.length, 16);
}

// An IPv4 packet of `protocol` that carries `data`.
std::vector<uint8_t> Outer(uint8_t protocol, const std::vector<uint8_t>& data) {
  std::vector<uint8_t> ip;
  testing::Append(&ip, 0x4500, 2);
  testing::Append(&ip, 20 + data.size(), 2);
  testing::Append(&ip, 0, 4);
  testing::Append(&ip, 0x40000000 | uint32_t{protocol} << 16, 4);
  testing::Append(&ip, 0xc0000201c0000202, 8);
  StoreBe16(&ip[10], testing::PlainChecksum(ip));
  ip.insert(ip.end(), data.begin(), data.end());
  return ip;
}

// In a UDP datagram to `port`, behind `header`.
std::vector<uint8_t> InUdp(uint16_t port, const std::vector<uint8_t>& header, const std::vector<uint8_t>& inner) {
  std::vector<uint8_t> udp;
  testing::Append(&udp, 0xc000, 2);
  testing::Append(&udp, port, 2);
  testing::Append(&udp, 8 + header.size() + inner.size(), 2);
  testing::Append(&udp, 0, 2);
  udp.insert(udp.end(), header.begin(), header.end());
  udp.insert(udp.end(), inner.begin(), inner.end());
  return Outer(17, udp);
}

TEST(PacketTest, SaysInWhatTunnelAPacketCame) {
  const std::vector<uint8_t> ip = testing::BuildIp({.payload = "x"}), frame = testing::Ethernet(ip);
  const auto expect = [](const std::vector<uint8_t>& bytes, TunnelKind kind, uint32_t id) {
    Packet packet;
    EXPECT_EQ(Decode(bytes, &packet), DecodeStatus::kTcp);
    EXPECT_EQ(packet.tunnel_kind, kind);
    EXPECT_EQ(packet.tunnel_id, id);
  };
  const auto gre = [&](std::vector<uint8_t> header) {
    header.insert(header.end(), ip.begin(), ip.end());
    return testing::Ethernet(Outer(47, header));
  };
  expect(frame, TunnelKind::kNone, 0);
  expect(testing::BuildFrame({.payload = "x", .vlan_types = {0x88a8, 0x8100}}), TunnelKind::kVlan, 101);
  const std::vector<uint8_t> vxlan = InUdp(4789, {8, 0, 0, 0, 0x12, 0x34, 0x56, 0xff}, frame);
  expect(testing::Ethernet(vxlan), TunnelKind::kVni, 0x123456);
  expect(testing::Ethernet(vxlan, {0x8100}), TunnelKind::kVni, 0x123456);
  expect(testing::Ethernet(InUdp(4789, {8, 0, 0, 0, 0, 0, 9, 0}, testing::BuildFrame({.payload = "x", .vlan_types = {0x8100}}))), TunnelKind::kVni, 9);
  expect(testing::Ethernet(InUdp(6081, {1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 0}, frame)), TunnelKind::kVni, 7);
  expect(testing::Ethernet(InUdp(2152, {0x30, 0xff, 0, static_cast<uint8_t>(ip.size()), 0xde, 0xad, 0xbe, 0xef}, ip)), TunnelKind::kTeid, 0xdeadbeef);
  expect(gre({0, 0, 8, 0}), TunnelKind::kNone, 0);
  expect(gre({0x20, 0, 8, 0, 0, 0, 1, 2}), TunnelKind::kGreKey, 0x102);
  expect(gre({0xa0, 0, 8, 0, 9, 9, 9, 9, 0, 0, 1, 3}), TunnelKind::kGreKey, 0x103);
  // What looks like a tunnel and is none leaves no trace.
  Packet packet;
  EXPECT_EQ(Decode(testing::Ethernet(InUdp(4789, {8, 0, 0, 0, 0, 0, 9, 0}, {1, 2, 3})), &packet), DecodeStatus::kUdp);
  EXPECT_EQ(packet.tunnel_kind, TunnelKind::kNone);
}

// On the way along a route the header's destination is the next stop: checksum and flow are the last one's (RFC 8200, 8.1).
TEST(PacketTest, ARoutesLastAddressIsTheDestination) {
  for (const char type : {2, 4}) {  // mobile IPv6 (RFC 6275, 6.4), segment routing (RFC 8754, 2)
    std::string routing{6, 2, type, 1, 0, 0, 0, 0};
    std::vector<uint8_t> last;
    testing::AppendAddress(&last, 0x0a000002, true);
    routing.append(last.begin(), last.end());
    std::vector<uint8_t> frame = BuildFrame({.payload = "x", .ipv6 = true, .ip_options = routing, .first_extension = 43});
    frame[14 + 24 + 15] = 9;
    Packet packet;
    ASSERT_EQ(Decode(frame, &packet), DecodeStatus::kTcp);
    EXPECT_EQ(Bytes(packet.dst.bytes, 16)[15], 2);
    EXPECT_EQ(FlowHash(frame, Salt{1}),
              FlowHash(BuildFrame({.src = 0x0a000002, .dst = 0x0a000001, .src_port = 80, .dst_port = 40000, .ipv6 = true}), Salt{1}));
    frame[14 + 40 + 3] = 0;  // arrived
    EXPECT_EQ(Decode(frame, &packet), DecodeStatus::kBadTcpChecksum);
  }
}

// A pseudo-wire's control word is zeros and a sequence number (RFC 4448, 4.6); without one a MAC address stands there.
TEST(PacketTest, OpensAPseudoWireWithAndWithoutAControlWord) {
  for (const uint8_t mac : {0x00, 0x02, 0x0c, 0xf0}) {
    for (const bool control_word : {false, true}) {
      std::vector<uint8_t> inner = BuildFrame({.payload = "x"});
      inner[0] = mac;
      std::vector<uint8_t> frame(12, 2);
      for (const uint8_t byte : {0x88, 0x47, 0, 1, 1, 64}) frame.push_back(byte);
      if (control_word) testing::Append(&frame, 0x1234, 4);
      frame.insert(frame.end(), inner.begin(), inner.end());
      Packet packet;
      EXPECT_EQ(Decode(frame, &packet), DecodeStatus::kTcp) << int{mac} << control_word;
    }
  }
}

TEST(PacketTest, CutsEthernetPaddingByTheIpLength) {
  std::vector<uint8_t> frame = BuildFrame({.flags = kAck});
  frame.resize(60, 0xee);
  Packet packet;
  ASSERT_EQ(Decode(frame, &packet), DecodeStatus::kTcp);
  EXPECT_EQ(packet.payload_wire, 0u);
  frame = BuildFrame({.payload = "a"});
  frame.resize(1500, 0xee);
  ASSERT_EQ(Decode(frame, &packet), DecodeStatus::kTcp);
  EXPECT_EQ(AsText(packet.payload), "a");
}

TEST(PacketTest, SaysHowMuchACutCaptureLeftOut) {
  const std::string payload(1000, 'p');
  std::vector<uint8_t> frame = BuildFrame({.payload = payload});
  const uint32_t wire = static_cast<uint32_t>(frame.size());
  frame.resize(14 + 20 + 20 + 100);
  Packet packet;
  ASSERT_EQ(DecodeFrame(frame, wire, {}, &packet), DecodeStatus::kTcp);
  EXPECT_EQ(packet.payload.size(), 100u);
  EXPECT_EQ(packet.payload_wire, 1000u);
}

TEST(PacketTest, EveryWrongChecksumIsNoticed) {
  const std::vector<uint8_t> good = BuildFrame({.payload = "some payload, odd length"});
  std::mt19937 random(1);
  for (size_t at = 14; at < good.size(); ++at) {
    std::vector<uint8_t> bad = good;
    bad[at] ^= static_cast<uint8_t>(1 + random() % 255);
    Packet packet;
    const DecodeStatus status = Decode(bad, &packet);
    EXPECT_NE(status, DecodeStatus::kTcp) << "byte " << at;
  }
}

TEST(PacketTest, TellsAnUnfinishedChecksumFromAWrongOne) {
  std::vector<uint8_t> frame = BuildFrame({.payload = "offloaded"});
  // What Linux leaves for the NIC: the sum of the pseudo header, not complemented.
  std::vector<uint8_t> pseudo(frame.begin() + 26, frame.begin() + 34);
  testing::Append(&pseudo, 6, 2);
  testing::Append(&pseudo, 20 + 9, 2);
  StoreBe16(&frame[14 + 20 + 16], static_cast<uint16_t>(~testing::PlainChecksum(pseudo)));
  Packet packet;
  EXPECT_EQ(Decode(frame, &packet), DecodeStatus::kPartialTcpChecksum);
  EXPECT_EQ(Decode(frame, &packet, true), DecodeStatus::kTcp);
  frame[14 + 20 + 16] ^= 1;
  EXPECT_EQ(Decode(frame, &packet), DecodeStatus::kBadTcpChecksum);
}

// Each prefix of a frame lies in a block of exactly its size, so that a sanitizer sees any read behind it.
TEST(PacketTest, EveryPrefixIsReadWithinItsBounds) {
  TcpSegment four{.payload = "payload", .options = std::string("\2\4\5\xb4\3\3\7\4\2", 9), .vlan_types = {0x88a8, 0x8100}};
  TcpSegment six = four;
  six.ipv6 = true;
  six.first_extension = 0;
  six.ip_options = std::string("\x06\x00\x05\x02\x00\x00\x01\x00", 8);
  for (const TcpSegment& segment : {four, six}) {
    const std::vector<uint8_t> frame = BuildFrame(segment);
    for (size_t size = 0; size < frame.size(); ++size) {
      const auto block = std::make_unique<uint8_t[]>(size);
      std::memcpy(block.get(), frame.data(), size);
      for (const uint32_t wire : {static_cast<uint32_t>(size), static_cast<uint32_t>(frame.size())}) {
        Packet packet;
        const DecodeStatus status = DecodeFrame(Bytes(block.get(), size), wire, {}, &packet);
        if (status == DecodeStatus::kTcp) {
          EXPECT_GE(wire, frame.size());
          EXPECT_EQ(packet.payload_wire, 7u);
          ParseTcpOptions(packet.tcp_options);
        }
        FlowHash(Bytes(block.get(), size), Salt{1});
      }
    }
  }
}

TEST(PacketTest, RandomBytesAreReadWithinTheirBounds) {
  std::mt19937 random(7);
  const std::vector<uint8_t> seeds[] = {BuildFrame({.payload = "x"}), BuildFrame({.payload = "x", .ipv6 = true})};
  for (int round = 0; round < 50'000; ++round) {
    std::vector<uint8_t> frame = seeds[round & 1];
    for (int change = 0; change < 4; ++change) frame[random() % frame.size()] = static_cast<uint8_t>(random());
    if (round % 3 == 0) frame.resize(random() % frame.size());
    frame.shrink_to_fit();
    Packet packet;
    Decode(frame, &packet, round % 5 != 0);
  }
}

TEST(ChecksumTest, EqualsThePlainLoopAtAnyLengthAndAlignment) {
  std::mt19937 random(3);
  std::vector<uint8_t> data(2100);
  for (uint8_t& byte : data) byte = static_cast<uint8_t>(random());
  for (size_t size = 0; size < 2000; size += size < 200 ? 1 : 37) {
    for (size_t at : {0u, 1u, 7u, 33u}) {
      const std::vector<uint8_t> part(data.begin() + static_cast<long>(at), data.begin() + static_cast<long>(at + size));
      const uint16_t sum = FoldSum(InternetSum(Bytes(data).subspan(at, size)));
      EXPECT_EQ(__builtin_bswap16(sum), testing::PlainChecksum(part)) << size;
    }
  }
  const std::vector<uint8_t> ones(65535, 0xff);
  EXPECT_EQ(FoldSum(InternetSum(ones)), __builtin_bswap16(testing::PlainChecksum(ones)));
}

TEST(TcpOptionsTest, ReadsWhatStacksSend) {
  const std::string linux_syn("\2\4\5\xb4\4\2\x08\x0a\0\0\0\1\0\0\0\2\1\3\3\7", 20);
  const TcpOptions options = ParseTcpOptions(AsBytes(linux_syn));
  EXPECT_EQ(options.mss, 1460);
  EXPECT_TRUE(options.sack_permitted);
  EXPECT_TRUE(options.has_timestamps);
  EXPECT_EQ(options.timestamp, 1u);
  EXPECT_EQ(options.timestamp_echo, 2u);
  const std::string usual("\1\1\x08\x0a\0\0\0\3\0\0\0\4", 12), other("\x08\x0a\0\0\0\3\0\0\0\4", 10);
  for (const std::string& each : {usual, other, linux_syn}) {
    uint32_t timestamp = 0, echo = 0;
    ASSERT_TRUE(ReadTimestamps(AsBytes(each), &timestamp, &echo));
    EXPECT_EQ(timestamp, ParseTcpOptions(AsBytes(each)).timestamp);
    EXPECT_EQ(echo, ParseTcpOptions(AsBytes(each)).timestamp_echo);
    EXPECT_FALSE(ReadTimestamps(AsBytes(each).first(9), &timestamp, &echo));
  }
  EXPECT_TRUE(options.has_window_scale);
  EXPECT_EQ(options.window_scale, 7);
  EXPECT_FALSE(options.malformed);
  EXPECT_EQ(options.kinds_count, 5);
  const Salt salt{5};
  EXPECT_EQ(TcpFingerprint(64240, options, salt), TcpFingerprint(64240, options, salt));
  EXPECT_NE(TcpFingerprint(64240, options, salt), TcpFingerprint(65535, options, salt));
  for (const std::string& bad : {std::string("\2"), std::string("\2\0", 2), std::string("\2\5\1\1"), std::string("\3\1")}) {
    EXPECT_TRUE(ParseTcpOptions(AsBytes(bad)).malformed);
  }
}

TEST(FlowHashTest, BothDirectionsAgreeAndFlowsDiffer) {
  std::mt19937 random(11);
  std::vector<uint64_t> seen;
  for (int i = 0; i < 2000; ++i) {
    TcpSegment there{.src = static_cast<uint32_t>(random()), .dst = static_cast<uint32_t>(random()),
                     .src_port = static_cast<uint16_t>(random()), .dst_port = static_cast<uint16_t>(random()),
                     .ipv6 = i % 2 == 1};
    TcpSegment back = there;
    std::swap(back.src, back.dst);
    std::swap(back.src_port, back.dst_port);
    back.vlan_types = {0x8100};
    back.payload = "answer";
    const uint64_t hash = FlowHash(BuildFrame(there), Salt{9});
    EXPECT_EQ(hash, FlowHash(BuildFrame(back), Salt{9}));
    EXPECT_NE(hash, FlowHash(BuildFrame(there), Salt{10}));
    seen.push_back(hash);
  }
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
}

}  // namespace
}  // namespace stillwatch::dataplane
