#include "dataplane/packet/ipv6_in_udp.h"

#include "base/endian.h"
#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

constexpr uint16_t kTeredoPort = 3544, kAyiyaPort = 5072;
constexpr size_t kIpv6Header = 40;

// RFC 4380, 5.1.1: an authentication indication (0x0001), then an origin indication (0x0000), both optional, in this
// order. An IPv6 packet begins with 6, so the first byte tells them apart.
std::optional<size_t> AfterTeredoIndications(Bytes data) {
  size_t at = 0;
  if (data.size() >= 4 && LoadBe16(&data[0]) == 0x0001) {
    constexpr size_t kFixed = 4, kNonceAndConfirmation = 9;
    at = kFixed + data[2] + data[3] + kNonceAndConfirmation;  // client identifier, authentication value
  }
  if (at + 2 <= data.size() && LoadBe16(&data[at]) == 0x0000) at += 8;  // obfuscated port and address
  return at;
}

// RFC 4380, 4: the prefix 2001:0::/32, server, flags, mapped port and mapped address, the last two inverted.
bool IsTeredoAddressOf(const uint8_t* address, uint16_t mapped_port) {
  constexpr uint32_t kPrefix = 0x20010000;
  if (LoadBe32(address) != kPrefix) return false;
  return static_cast<uint16_t>(~LoadBe16(address + 10)) == mapped_port || MutantIs("packet.teredo_port_ignored");
}

bool NamesMappedPort(uint16_t src_port, uint16_t dst_port, Bytes data) {
  constexpr size_t kSource = 8, kDestination = 24;
  if (data.size() < kIpv6Header || data[0] >> 4 != 6) return false;
  return IsTeredoAddressOf(&data[kSource], src_port) || IsTeredoAddressOf(&data[kDestination], dst_port);
}

// Draft, section 3: lengths, methods and opcode in half bytes, next header, epoch, identity, signature.
std::optional<size_t> AfterAyiyaHeader(Bytes data) {
  constexpr size_t kFixed = 8;
  constexpr uint8_t kForward = 1, kEchoAndForward = 3, kNextHeaderIpv6 = 41;
  if (data.size() < kFixed) return std::nullopt;
  const uint8_t opcode = data[2] & 15;
  if ((opcode != kForward && opcode != kEchoAndForward) || data[3] != kNextHeaderIpv6) return std::nullopt;
  const size_t identity = size_t{1} << (data[0] >> 4), signature = (data[1] >> 4) * 4u;
  return kFixed + identity + signature;
}

bool IsIpv6To(Bytes data, size_t at, uint32_t end) {
  if (at + kIpv6Header > data.size() || data[at] >> 4 != 6) return false;
  return at + kIpv6Header + LoadBe16(&data[at + 4]) == end || MutantIs("packet.tunnel_length_ignored");
}

}  // namespace

std::optional<size_t> FindIpv6InUdp(uint16_t src_port, uint16_t dst_port, Bytes data, uint32_t data_wire) {
  std::optional<size_t> at;
  if (NamesMappedPort(src_port, dst_port, data)) at = 0;
  if (src_port == kTeredoPort || dst_port == kTeredoPort) at = AfterTeredoIndications(data);
  if (src_port == kAyiyaPort || dst_port == kAyiyaPort) at = AfterAyiyaHeader(data);
  if (!at || !IsIpv6To(data, *at, data_wire)) return std::nullopt;
  return at;
}

}  // namespace stillwatch::dataplane
