// Makes Ethernet frames with TCP segments, for tests and benchmarks. Checksums by the plain 16-bit loop of RFC
// 1071, not by the code under test.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/endian.h"

namespace stillwatch::testing {

inline uint16_t PlainChecksum(const std::vector<uint8_t>& data) {
  uint32_t sum = 0;
  for (size_t i = 0; i < data.size(); i += 2) {
    sum += static_cast<uint32_t>(data[i] << 8) + (i + 1 < data.size() ? data[i + 1] : 0);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(~sum);
}

inline void Append(std::vector<uint8_t>* out, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out->push_back(static_cast<uint8_t>(value >> (8 * i)));
}

struct TcpSegment {
  uint32_t src = 0x0a000001, dst = 0x0a000002;  // IPv4, host order; low 32 bits of the address for IPv6
  uint16_t src_port = 40000, dst_port = 80;
  uint32_t seq = 0, ack = 0;
  uint8_t flags = 0x10;
  uint16_t window = 65535;
  std::string_view payload = {};
  std::string options = {};               // padded to 4 bytes by the builder
  bool ipv6 = false;
  std::vector<uint16_t> vlan_types = {};  // outermost first
  std::string ip_options = {};            // IPv4, padded to 4 bytes; IPv6: extension headers as they are
  uint8_t first_extension = 6;            // IPv6: what the fixed header announces
  uint8_t hops = 64;                      // time to live, hop limit
};

inline std::vector<uint8_t> BuildTcp(const TcpSegment& s) {
  std::vector<uint8_t> tcp;
  std::string options = s.options;
  while (options.size() % 4 != 0) options += '\0';
  Append(&tcp, s.src_port, 2);
  Append(&tcp, s.dst_port, 2);
  Append(&tcp, s.seq, 4);
  Append(&tcp, s.ack, 4);
  Append(&tcp, (5 + options.size() / 4) << 4, 1);
  Append(&tcp, s.flags, 1);
  Append(&tcp, s.window, 2);
  Append(&tcp, 0, 4);
  tcp.insert(tcp.end(), options.begin(), options.end());
  tcp.insert(tcp.end(), s.payload.begin(), s.payload.end());
  return tcp;
}

inline void AppendAddress(std::vector<uint8_t>* out, uint32_t address, bool ipv6) {
  if (ipv6) {
    Append(out, 0x20010db800000000, 8);
    Append(out, 0, 4);
  }
  Append(out, address, 4);
}

// The IP packet alone.
inline std::vector<uint8_t> BuildIp(const TcpSegment& s) {
  std::vector<uint8_t> tcp = BuildTcp(s);
  std::vector<uint8_t> pseudo;
  AppendAddress(&pseudo, s.src, s.ipv6);
  AppendAddress(&pseudo, s.dst, s.ipv6);
  Append(&pseudo, 6, 2);
  Append(&pseudo, tcp.size(), 2);
  pseudo.insert(pseudo.end(), tcp.begin(), tcp.end());
  StoreBe16(&tcp[16], PlainChecksum(pseudo));

  std::vector<uint8_t> ip;
  if (s.ipv6) {
    Append(&ip, 0x60000000, 4);
    Append(&ip, s.ip_options.size() + tcp.size(), 2);
    Append(&ip, s.first_extension, 1);
    Append(&ip, s.hops, 1);
    AppendAddress(&ip, s.src, true);
    AppendAddress(&ip, s.dst, true);
    ip.insert(ip.end(), s.ip_options.begin(), s.ip_options.end());
  } else {
    std::string options = s.ip_options;
    while (options.size() % 4 != 0) options += '\1';
    Append(&ip, 0x45 + options.size() / 4, 1);
    Append(&ip, 0, 1);
    Append(&ip, 20 + options.size() + tcp.size(), 2);
    Append(&ip, 0x12344000, 4);
    Append(&ip, s.hops, 1);
    Append(&ip, 0x060000, 3);
    AppendAddress(&ip, s.src, false);
    AppendAddress(&ip, s.dst, false);
    ip.insert(ip.end(), options.begin(), options.end());
    StoreBe16(&ip[10], PlainChecksum(ip));
  }
  ip.insert(ip.end(), tcp.begin(), tcp.end());
  return ip;
}

inline std::vector<uint8_t> Ethernet(const std::vector<uint8_t>& ip, const std::vector<uint16_t>& vlan_types = {}) {
  std::vector<uint8_t> frame(12, 2);
  for (size_t i = 0; i < vlan_types.size(); ++i) {
    Append(&frame, vlan_types[i], 2);
    Append(&frame, 100 + i, 2);
  }
  Append(&frame, ip[0] >> 4 == 6 ? 0x86dd : 0x0800, 2);
  frame.insert(frame.end(), ip.begin(), ip.end());
  return frame;
}

inline std::vector<uint8_t> BuildFrame(const TcpSegment& s) { return Ethernet(BuildIp(s), s.vlan_types); }

// A frame in a VXLAN tunnel.
inline std::vector<uint8_t> InVni(uint32_t vni, const TcpSegment& segment) {
  const std::vector<uint8_t> inner = BuildFrame(segment);
  std::vector<uint8_t> ip;
  Append(&ip, 0x4500, 2);
  Append(&ip, 20 + 8 + 8 + inner.size(), 2);
  Append(&ip, 0, 4);
  Append(&ip, 0x40110000, 4);
  Append(&ip, 0xc0000201c0000202, 8);
  StoreBe16(&ip[10], PlainChecksum(ip));
  Append(&ip, 0xc00012b5, 4);
  Append(&ip, 8 + 8 + inner.size(), 2);
  Append(&ip, 0, 2);
  Append(&ip, 0x08000000, 4);
  Append(&ip, uint64_t{vni} << 8, 4);
  ip.insert(ip.end(), inner.begin(), inner.end());
  return Ethernet(ip);
}

// Cuts an IPv4 packet into fragments of `piece` payload bytes (a multiple of 8).
inline std::vector<std::vector<uint8_t>> FragmentIpv4(const std::vector<uint8_t>& ip, size_t piece) {
  const size_t header = (ip[0] & 15u) * 4u, total = ip.size() - header;
  std::vector<std::vector<uint8_t>> out;
  for (size_t at = 0; at < total; at += piece) {
    const size_t size = std::min(piece, total - at);
    std::vector<uint8_t> part(ip.begin(), ip.begin() + static_cast<long>(header));
    part.insert(part.end(), ip.begin() + static_cast<long>(header + at), ip.begin() + static_cast<long>(header + at + size));
    StoreBe16(&part[2], static_cast<uint16_t>(header + size));
    StoreBe16(&part[6], static_cast<uint16_t>(at / 8 | (at + size < total ? 0x2000 : 0)));
    StoreBe16(&part[10], 0);
    StoreBe16(&part[10], PlainChecksum({part.begin(), part.begin() + static_cast<long>(header)}));
    out.push_back(Ethernet(part));
  }
  return out;
}

// Cuts an IPv6 packet without extension headers.
inline std::vector<std::vector<uint8_t>> FragmentIpv6(const std::vector<uint8_t>& ip, size_t piece, uint32_t id) {
  const size_t total = ip.size() - 40;
  std::vector<std::vector<uint8_t>> out;
  for (size_t at = 0; at < total; at += piece) {
    const size_t size = std::min(piece, total - at);
    std::vector<uint8_t> part(ip.begin(), ip.begin() + 40);
    StoreBe16(&part[4], static_cast<uint16_t>(8 + size));
    part[6] = 44;
    Append(&part, ip[6], 1);
    Append(&part, 0, 1);
    Append(&part, at | (at + size < total ? 1 : 0), 2);
    Append(&part, id, 4);
    part.insert(part.end(), ip.begin() + static_cast<long>(40 + at), ip.begin() + static_cast<long>(40 + at + size));
    out.push_back(Ethernet(part));
  }
  return out;
}

}  // namespace stillwatch::testing
