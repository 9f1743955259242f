#include "dataplane/packet/ipv6_in_udp.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>

#include "dataplane/packet/flow_hash.h"
#include "dataplane/packet/fragment_joiner.h"
#include "tests/dataplane/frame_builder.h"

namespace stillwatch::dataplane {
namespace {

using testing::Append;
using testing::BuildIp;
using testing::Ethernet;
using testing::FragmentIpv4;
using testing::FragmentIpv6;
using testing::TcpSegment;
using Octets = std::vector<uint8_t>;

// The UDP datagram in IPv4, its checksum left out (RFC 768 allows 0).
Octets UdpIp(uint16_t src_port, uint16_t dst_port, const Octets& data, uint32_t src = 0xc0a80003, uint32_t dst = 0xd80e6216) {
  Octets ip;
  Append(&ip, 0x4500, 2);
  Append(&ip, 28 + data.size(), 2);
  Append(&ip, 0x77770000, 4);
  Append(&ip, 0x40110000, 4);
  Append(&ip, src, 4);
  Append(&ip, dst, 4);
  StoreBe16(&ip[10], testing::PlainChecksum(ip));
  Append(&ip, src_port, 2);
  Append(&ip, dst_port, 2);
  Append(&ip, 8 + data.size(), 2);
  Append(&ip, 0, 2);
  ip.insert(ip.end(), data.begin(), data.end());
  return ip;
}

Octets Before(const Octets& header, const Octets& packet) {
  Octets out = header;
  out.insert(out.end(), packet.begin(), packet.end());
  return out;
}

Octets Inner(std::string_view payload = "inside") { return BuildIp({.payload = payload, .ipv6 = true}); }

// RFC 4380, 5.1.1.
const Octets kOrigin = {0, 0, 0xf1, 0x2a, 0xb9, 0xc8, 0x28, 0x15};
Octets Authentication(uint8_t client_id, uint8_t value) {
  Octets out = {0, 1, client_id, value};
  out.resize(4u + client_id + value + 8 + 1, 0x5a);
  return out;
}
// The draft's usual one: 16 bytes of identity, a SHA-1 over it.
Octets Ayiya(uint8_t opcode = 1, uint8_t next_header = 41) {
  Octets out = {0x41, 0x52, static_cast<uint8_t>(0x10 | opcode), next_header};
  out.resize(8 + 16 + 20, 0x33);
  return out;
}

DecodeStatus Decode(const Octets& frame, Packet* packet) {
  *packet = Packet{};
  return DecodeFrame(frame, static_cast<uint32_t>(frame.size()), {}, packet);
}

void ExpectOpened(const Octets& ip) {
  const Octets frame = Ethernet(ip);
  Packet packet;
  ASSERT_EQ(Decode(frame, &packet), DecodeStatus::kTcp);
  EXPECT_EQ(AsText(packet.payload), "inside");
  EXPECT_EQ(packet.src.length, 16);
  EXPECT_EQ(packet.tunnels, 1);
}

void ExpectPlainUdp(const Octets& ip, uint16_t src_port) {
  const Octets frame = Ethernet(ip);
  Packet packet;
  ASSERT_EQ(Decode(frame, &packet), DecodeStatus::kUdp);
  EXPECT_EQ(packet.src.length, 4);
  EXPECT_EQ(packet.src_port, src_port);
  EXPECT_EQ(packet.tunnels, 0);
}

TEST(Ipv6InUdpTest, OpensTeredoWithEachIndication) {
  for (const Octets& header : {Octets{}, kOrigin, Authentication(0, 0), Authentication(5, 20), Authentication(255, 255),
                               Before(Authentication(0, 0), kOrigin)}) {
    ExpectOpened(UdpIp(3797, 3544, Before(header, Inner())));
    ExpectOpened(UdpIp(3544, 3797, Before(header, Inner())));
  }
}

// The inner packet with its source (or destination) made a Teredo address (RFC 4380, 4) that names `port`. The mapped
// address is what keeps the TCP checksum right.
Octets TeredoInner(uint16_t port, bool source, uint32_t prefix = 0x20010000) {
  Octets inner = Inner();
  uint8_t* const address = &inner[source ? 8 : 24];
  const auto sum = [&] {
    uint32_t words = 0;
    for (size_t i = 0; i < 16; i += 2) words += LoadBe16(address + i);
    return words % 65'535;
  };
  const uint32_t before = sum();
  StoreBe16(address, static_cast<uint16_t>(prefix >> 16));
  StoreBe16(address + 2, static_cast<uint16_t>(prefix));
  StoreBe16(address + 8, 0x8000);
  StoreBe16(address + 10, static_cast<uint16_t>(~port));
  StoreBe16(address + 14, 0);
  StoreBe16(address + 14, static_cast<uint16_t>((before + 65'535 - sum()) % 65'535));
  return inner;
}

TEST(Ipv6InUdpTest, OpensTeredoOfAMappedPort) {
  ExpectOpened(UdpIp(3797, 32900, TeredoInner(3797, true)));   // client to relay
  ExpectOpened(UdpIp(32900, 3797, TeredoInner(3797, false)));  // and back
  ExpectOpened(UdpIp(3797, 3798, TeredoInner(3798, false)));   // between clients
}

TEST(Ipv6InUdpTest, AMappedPortMustBeTheDatagramsOwnAtThatEnd) {
  ExpectPlainUdp(UdpIp(3797, 32900, TeredoInner(3796, true)), 3797);
  ExpectPlainUdp(UdpIp(3797, 32900, TeredoInner(32900, true)), 3797);
  ExpectPlainUdp(UdpIp(3797, 32900, TeredoInner(3797, false)), 3797);
  ExpectPlainUdp(UdpIp(3797, 32900, TeredoInner(3797, true, 0x20010001)), 3797);
  ExpectPlainUdp(UdpIp(3797, 32900, Before(kOrigin, TeredoInner(3797, true))), 3797);  // servers send those
  for (const int off : {-1, 1, 1000}) {
    Octets inner = TeredoInner(3797, true);
    StoreBe16(&inner[4], static_cast<uint16_t>(LoadBe16(&inner[4]) + off));
    ExpectPlainUdp(UdpIp(3797, 32900, inner), 3797);
  }
  Octets cut = TeredoInner(3797, true);
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{11}, size_t{39}}) {
    cut.resize(40);
    ExpectPlainUdp(UdpIp(3797, 32900, Octets(cut.begin(), cut.begin() + static_cast<ptrdiff_t>(bytes))), 3797);
  }
}

TEST(Ipv6InUdpTest, OpensAyiyaOfEachHeaderLength) {
  for (const uint8_t opcode : {1, 3}) {
    ExpectOpened(UdpIp(53859, 5072, Before(Ayiya(opcode), Inner())));
    ExpectOpened(UdpIp(5072, 53859, Before(Ayiya(opcode), Inner())));
  }
  for (size_t identity = 0; identity < 8; ++identity) {
    for (size_t signature = 0; signature < 16; ++signature) {
      Octets header = {static_cast<uint8_t>(identity << 4), static_cast<uint8_t>(signature << 4), 1, 41};
      header.resize(8 + (size_t{1} << identity) + 4 * signature);
      ExpectOpened(UdpIp(53859, 5072, Before(header, Inner())));
    }
  }
}

TEST(Ipv6InUdpTest, NothingIsTakenForATunnelByItsContentAlone) {
  ExpectPlainUdp(UdpIp(3797, 3543, Inner()), 3797);
  ExpectPlainUdp(UdpIp(3797, 3545, Before(kOrigin, Inner())), 3797);
  ExpectPlainUdp(UdpIp(3797, 5073, Before(Ayiya(), Inner())), 3797);
  ExpectPlainUdp(UdpIp(3797, 5072, Inner()), 3797);                   // the other protocol's port
  ExpectPlainUdp(UdpIp(3797, 3544, Before(Ayiya(), Inner())), 3797);
}

TEST(Ipv6InUdpTest, WhatIsMalformedStaysUdp) {
  for (const bool teredo : {true, false}) {
    const Octets header = teredo ? Octets{} : Ayiya();
    const uint16_t port = teredo ? 3544 : 5072;
    const auto expect_plain = [&](Octets inner) { ExpectPlainUdp(UdpIp(3797, port, Before(header, inner)), 3797); };
    Octets wrong_version = Inner();
    wrong_version[0] = 0x45;
    expect_plain(wrong_version);
    expect_plain(BuildIp({.payload = "inside"}));  // IPv4
    for (const int off : {-1, 1, 1000}) {  // an inner length that does not end with the datagram
      Octets inner = Inner();
      StoreBe16(&inner[4], static_cast<uint16_t>(LoadBe16(&inner[4]) + off));
      expect_plain(inner);
    }
    Octets no_length = Inner();
    StoreBe16(&no_length[4], 0);
    expect_plain(no_length);
    Octets bubble = Inner();
    bubble.resize(40);
    StoreBe16(&bubble[4], 0);
    bubble[6] = 59;  // no next header
    expect_plain(bubble);
    expect_plain({});
    Octets no_tcp = Inner();
    no_tcp[6] = 58;
    expect_plain(no_tcp);
    // A UDP length that the IP packet does not hold, or that is no length.
    for (const uint16_t length : {uint16_t{0}, uint16_t{7}, uint16_t{0xffff}}) {
      Octets ip = UdpIp(3797, port, Before(header, Inner()));
      StoreBe16(&ip[24], length);
      ExpectPlainUdp(ip, 3797);
    }
  }
  for (const uint8_t opcode : {0, 2, 4, 5, 6, 7, 15}) ExpectPlainUdp(UdpIp(3797, 5072, Before(Ayiya(opcode), Inner())), 3797);
  for (const uint8_t next : {4, 59, 0}) ExpectPlainUdp(UdpIp(3797, 5072, Before(Ayiya(1, next), Inner())), 3797);
  ExpectPlainUdp(UdpIp(3797, 3544, Before(kOrigin, Before(kOrigin, Inner()))), 3797);            // once only
  ExpectPlainUdp(UdpIp(3797, 3544, Before(Before(kOrigin, Authentication(0, 0)), Inner())), 3797);  // this order only
}

TEST(Ipv6InUdpTest, ABadInnerTcpChecksumIsNoticed) {
  Octets ip = UdpIp(3797, 3544, Inner());
  ip.back() ^= 1;
  const Octets frame = Ethernet(ip);
  Packet packet;
  EXPECT_EQ(Decode(frame, &packet), DecodeStatus::kBadTcpChecksum);
}

TEST(Ipv6InUdpTest, NestingIsBounded) {
  Octets ip = Inner();
  Packet packet;
  for (int depth = 1; depth <= 8; ++depth) {
    // An IPv6 packet with the datagram, so that the next level can carry it.
    const Octets data = ip;
    Octets outer(40);
    outer[0] = 0x60;
    StoreBe16(&outer[4], static_cast<uint16_t>(8 + data.size()));
    outer[6] = 17;
    outer[7] = 64;
    Append(&outer, 3797, 2);
    Append(&outer, 3544, 2);
    Append(&outer, 8 + data.size(), 2);
    Append(&outer, 0, 2);
    ip = Before(outer, data);
    const Octets frame = Ethernet(ip);
    EXPECT_EQ(Decode(frame, &packet), depth <= 4 ? DecodeStatus::kTcp : DecodeStatus::kUdp) << depth;
  }
}

TEST(Ipv6InUdpTest, TheFlowHashIsTheInnerPackets) {
  const TcpSegment there{.payload = "inside", .ipv6 = true};
  TcpSegment back = there;
  std::swap(back.src, back.dst);
  std::swap(back.src_port, back.dst_port);
  const Salt salt{9};
  const uint64_t plain = FlowHash(testing::BuildFrame(there), salt);
  EXPECT_EQ(FlowHash(Ethernet(UdpIp(3797, 3544, BuildIp(there), 1, 2)), salt), plain);
  EXPECT_EQ(FlowHash(Ethernet(UdpIp(3544, 3797, Before(kOrigin, BuildIp(back)), 3, 4)), salt), plain);
  EXPECT_EQ(FlowHash(Ethernet(UdpIp(53859, 5072, Before(Ayiya(), BuildIp(there)), 1, 2)), salt), plain);
  EXPECT_EQ(FlowHash(Ethernet(UdpIp(5072, 53859, Before(Ayiya(), BuildIp(back)), 2, 1)), salt), plain);
  Octets padded = Ethernet(UdpIp(3797, 3544, BuildIp(there)));
  padded.resize(padded.size() + 9, 0xee);
  EXPECT_EQ(FlowHash(padded, salt), plain);
  // A capture that cut the frame behind the inner ports.
  Octets cut = Ethernet(UdpIp(3797, 3544, BuildIp({.payload = std::string(900, 'p'), .ipv6 = true})));
  cut.resize(14 + 28 + 40 + 20);
  EXPECT_EQ(FlowHash(cut, salt), plain);
}

TEST(Ipv6InUdpTest, FragmentsOutsideAndInsideAreJoined) {
  const std::string payload(700, 'q');
  const Octets inner = BuildIp({.payload = payload, .ipv6 = true});
  const auto expect_joined = [&](const std::vector<Octets>& frames) {
    ASSERT_GT(frames.size(), 1u);
    FragmentJoiner joiner({.datagrams_max = 4});
    for (size_t i = 0; i < frames.size(); ++i) {
      Frame joined;
      bool complete = false;
      const Frame frame{frames[i], static_cast<uint32_t>(frames[i].size()), 0, i, 0};
      ASSERT_TRUE(joiner.Offer(frame, &joined, &complete)) << i;
      ASSERT_EQ(complete, i + 1 == frames.size());
      if (!complete) continue;
      Packet packet;
      ASSERT_EQ(DecodeFrame(joined.bytes, joined.wire_length, {}, &packet), DecodeStatus::kTcp);
      EXPECT_EQ(AsText(packet.payload), payload);
      EXPECT_EQ(FlowHash(joined.bytes, Salt{4}), FlowHash(Ethernet(inner), Salt{4}));
      joiner.Release(joined);
    }
  };
  expect_joined(FragmentIpv4(UdpIp(3797, 3544, Before(kOrigin, inner)), 200));
  expect_joined(FragmentIpv4(UdpIp(3797, 5072, Before(Ayiya(), inner)), 200));
  std::vector<Octets> inside;
  for (const Octets& frame : FragmentIpv6(inner, 200, 77)) {
    const Octets ip(frame.begin() + 14, frame.end());
    inside.push_back(Ethernet(UdpIp(3797, inside.size() % 2 == 0 ? 3544 : 5072,
                                    inside.size() % 2 == 0 ? ip : Before(Ayiya(), ip))));
  }
  expect_joined(inside);
}

// Each prefix lies in a block of exactly its size, so that a sanitizer sees any read behind it.
TEST(Ipv6InUdpTest, AnyBytesAreReadWithinTheirBounds) {
  std::mt19937 random(17);
  const Octets seeds[] = {Ethernet(UdpIp(3797, 3544, Before(Before(Authentication(3, 4), kOrigin), Inner()))),
                          Ethernet(UdpIp(3797, 5072, Before(Ayiya(), Inner())))};
  for (const Octets& seed : seeds) {
    for (int round = 0; round < 20'000; ++round) {
      Octets frame = seed;
      if (round >= 1'000) {
        for (int change = 0; change < 3; ++change) frame[42 + random() % (frame.size() - 42)] = static_cast<uint8_t>(random());
      }
      const size_t size = round < 1'000 ? std::min<size_t>(static_cast<size_t>(round), frame.size()) : random() % (frame.size() + 1);
      const auto block = std::make_unique<uint8_t[]>(size);
      std::memcpy(block.get(), frame.data(), size);
      Packet packet;
      DecodeFrame(Bytes(block.get(), size), static_cast<uint32_t>(frame.size()), {}, &packet);
      FlowHash(Bytes(block.get(), size), Salt{1});
    }
  }
}

}  // namespace
}  // namespace stillwatch::dataplane
