#include "dataplane/packet/packet.h"

#include <algorithm>
#include <cstring>

#include "base/endian.h"
#include "base/mutant.h"
#include "dataplane/packet/checksum.h"
#include "dataplane/packet/ipv6_in_udp.h"

namespace stillwatch::dataplane {

namespace {

constexpr size_t kEthernetHeader = 14;
constexpr int kTagsMax = 4;
constexpr int kExtensionsMax = 8;
constexpr int kTunnelsMax = 4;
constexpr uint8_t kProtoIcmp = 1, kProtoIpv4 = 4, kProtoTcp = 6, kProtoUdp = 17, kProtoIpv6 = 41, kProtoGre = 47,
                  kProtoIcmpv6 = 58;
constexpr uint16_t kTypeIpv4 = 0x0800, kTypeArp = 0x0806, kTypeEthernet = 0x6558, kTypeIpv6 = 0x86dd, kTypeVnTag = 0x8926;

void SetAddress(const uint8_t* at, uint8_t length, Address* out) {
  std::memcpy(out->bytes, at, length);
  std::memset(out->bytes + length, 0, 16 - length);
  out->length = length;
}

// Sum of the pseudo header (RFC 9293, 3.1; RFC 8200, 8.1), as InternetSum counts.
uint64_t PseudoHeaderSum(const Packet& packet, uint32_t segment_length) {
  uint8_t tail[8] = {0, kProtoTcp, 0, 0};
  StoreBe32(tail + 4, segment_length);
  return InternetSum({packet.src.bytes, packet.src.length}) +
         InternetSum({packet.dst.bytes, packet.dst.length}) + InternetSum(Bytes(tail, 8));
}

void SetTunnel(TunnelKind kind, uint32_t id, Packet* packet) {
  packet->tunnel_kind = kind;
  packet->tunnel_id = id;
}

// What an encapsulation carries: an Ethernet frame or an IP packet at `at` of `outer`.
DecodeStatus DecodeInner(uint16_t type, Bytes outer, uint32_t outer_wire, size_t at, const DecodeOptions& options,
                         Packet* packet) {
  if (at >= outer.size()) return DecodeStatus::kTruncatedHeader;
  if (packet->tunnels >= kTunnelsMax) return DecodeStatus::kTunnel;
  ++packet->tunnels;
  const uint32_t wire = outer_wire - static_cast<uint32_t>(at);
  if (type == kTypeEthernet) return DecodeFrame(outer.subspan(at), wire, options, packet);
  if (type == kTypeIpv4 || type == kTypeIpv6) return DecodeIp(outer.subspan(at), wire, options, packet);
  return DecodeStatus::kTunnel;
}

// RFC 2784 and 2890; version 1 (PPTP) is not opened.
DecodeStatus DecodeGre(Bytes gre, uint32_t wire, const DecodeOptions& options, Packet* packet) {
  if (gre.size() < 4) return DecodeStatus::kTunnel;
  const uint16_t flags = LoadBe16(&gre[0]);
  if ((flags & 7) != 0) return DecodeStatus::kTunnel;
  const size_t header = 4 + ((flags & 0x8000) != 0 ? 4 : 0) + ((flags & 0x2000) != 0 ? 4 : 0) +
                        ((flags & 0x1000) != 0 ? 4 : 0);
  const size_t key = 4 + ((flags & 0x8000) != 0 ? 4 : 0);
  if ((flags & 0x2000) != 0 && gre.size() >= key + 4) SetTunnel(TunnelKind::kGreKey, LoadBe32(&gre[key]), packet);
  return DecodeInner(LoadBe16(&gre[2]), gre, wire, header, options, packet);
}

// 3GPP TS 29.281: user data (G-PDU) with optional sequence and extension headers.
DecodeStatus DecodeGtp(Bytes gtp, uint32_t wire, const DecodeOptions& options, Packet* packet) {
  if (gtp.size() < 12 || (gtp[0] & 0xf0) != 0x30 || gtp[1] != 0xff) return DecodeStatus::kTunnel;
  size_t at = 8;
  if ((gtp[0] & 7) != 0) {
    uint8_t next = gtp[11];
    at = 12;
    for (int extensions = 0; next != 0 && (gtp[0] & 4) != 0 && extensions < kExtensionsMax; ++extensions) {
      if (at >= gtp.size() || gtp[at] == 0 || at + gtp[at] * 4u > gtp.size()) return DecodeStatus::kTunnel;
      at += gtp[at] * 4u;
      next = gtp[at - 1];
    }
  }
  if (at >= gtp.size()) return DecodeStatus::kTunnel;
  SetTunnel(TunnelKind::kTeid, LoadBe32(&gtp[4]), packet);
  return DecodeInner(gtp[at] >> 4 == 6 ? kTypeIpv6 : kTypeIpv4, gtp, wire, at, options, packet);
}

// The well-known ports: VXLAN (RFC 7348), Geneve (RFC 8926), GTP-U, GRE in UDP (RFC 8086).
DecodeStatus DecodeUdpTunnel(uint16_t port, Bytes data, uint32_t wire, const DecodeOptions& options, Packet* packet) {
  if (data.size() < 8) return DecodeStatus::kTunnel;
  switch (port) {
    case 4789:
      if ((data[0] & 0x08) == 0) return DecodeStatus::kTunnel;
      SetTunnel(TunnelKind::kVni, LoadBe32(&data[4]) >> 8, packet);
      return DecodeInner(kTypeEthernet, data, wire, 8, options, packet);
    case 6081:
      if (data[0] >> 6 != 0) return DecodeStatus::kTunnel;
      SetTunnel(TunnelKind::kVni, LoadBe32(&data[4]) >> 8, packet);
      return DecodeInner(LoadBe16(&data[2]), data, wire, 8 + (data[0] & 0x3fu) * 4u, options, packet);
    case 2152: return DecodeGtp(data, wire, options, packet);
    case 4754: return DecodeGre(data, wire, options, packet);
    default: return DecodeStatus::kTunnel;
  }
}

// Teredo and AYIYA. The UDP length bounds what is inside: it is the same for a forwarder that does not know the
// frame's length on the wire.
DecodeStatus DecodeIpv6InUdp(Bytes segment, uint32_t segment_wire, const DecodeOptions& options, Packet* packet) {
  const uint32_t length = LoadBe16(&segment[4]);
  if (length < 8 || length > segment_wire) return DecodeStatus::kUdp;
  const Bytes data = segment.first(std::min<size_t>(length, segment.size())).subspan(8);
  const auto at = FindIpv6InUdp(packet->src_port, packet->dst_port, data, length - 8);
  if (!at) return DecodeStatus::kUdp;
  return DecodeInner(kTypeIpv6, data, length - 8, *at, options, packet);
}

DecodeStatus DecodeUdp(Bytes segment, uint32_t segment_wire, const DecodeOptions& options, Packet* packet) {
  if (segment.size() < 8) return DecodeStatus::kTruncatedHeader;
  packet->src_port = LoadBe16(segment.data());
  packet->dst_port = LoadBe16(segment.data() + 2);
  Packet inner = *packet;  // what looks like a tunnel and is none stays UDP
  DecodeStatus status = DecodeUdpTunnel(packet->dst_port, segment.subspan(8), segment_wire - 8, options, &inner);
  if (status == DecodeStatus::kTunnel) {
    inner = *packet;
    status = DecodeIpv6InUdp(segment, segment_wire, options, &inner);
  }
  switch (status) {
    case DecodeStatus::kTcp:
    case DecodeStatus::kFragment:
    case DecodeStatus::kBadTcpChecksum:
    case DecodeStatus::kPartialTcpChecksum: break;
    default: {
      const uint32_t length = LoadBe16(&segment[4]);
      packet->udp_wire = length >= 8 && length <= segment_wire ? length - 8 : segment_wire - 8;
      packet->udp = segment.subspan(8).first(std::min<size_t>(segment.size() - 8, packet->udp_wire));
      return DecodeStatus::kUdp;
    }
  }
  *packet = inner;
  return status;
}

// `segment`: what was captured; `segment_wire`: its length by the IP header.
DecodeStatus DecodeTransport(Bytes segment, uint32_t segment_wire, const DecodeOptions& options,
                             Packet* packet) {
  switch (packet->protocol) {
    case kProtoTcp: break;
    case kProtoUdp: return DecodeUdp(segment, segment_wire, options, packet);
    case kProtoGre: return DecodeGre(segment, segment_wire, options, packet);
    case kProtoIpv4: return DecodeInner(kTypeIpv4, segment, segment_wire, 0, options, packet);
    case kProtoIpv6: return DecodeInner(kTypeIpv6, segment, segment_wire, 0, options, packet);
    case kProtoIcmp:
    case kProtoIcmpv6: return DecodeStatus::kIcmp;
    default: return DecodeStatus::kOtherTransport;
  }
  if (segment.size() < 20) {
    return segment_wire < 20 ? DecodeStatus::kBadTcpHeader : DecodeStatus::kTruncatedHeader;
  }
  const uint8_t* tcp = segment.data();
  const uint32_t header = (tcp[12] >> 4) * 4u;
  if (header < 20 || header > segment_wire) return DecodeStatus::kBadTcpHeader;
  packet->src_port = LoadBe16(tcp);
  packet->dst_port = LoadBe16(tcp + 2);
  packet->seq = LoadBe32(tcp + 4);
  packet->ack = LoadBe32(tcp + 8);
  packet->flags = tcp[13] & 0x3f;
  packet->window = LoadBe16(tcp + 14);
  const size_t captured = std::min<size_t>(header, segment.size());  // a cut capture may end in the options
  packet->tcp_options = segment.subspan(20, captured - 20);
  packet->payload = segment.subspan(captured);
  packet->payload_wire = segment_wire - header;
  packet->segment = segment;
  return options.ignore_checksums || options.defer_tcp_checksum ? DecodeStatus::kTcp : CheckTcpChecksum(*packet);
}

DecodeStatus DecodeIpv4(Bytes ip, uint32_t wire_length, const DecodeOptions& options, Packet* packet) {
  if (ip.size() < 20) return DecodeStatus::kTruncatedHeader;
  const uint32_t header = (ip[0] & 15) * 4u;
  uint32_t total = LoadBe16(&ip[2]);
  if (total == 0) total = wire_length;  // TCP segmentation offload on the capturing host leaves it 0
  if (header < 20 || total < header) return DecodeStatus::kBadIpHeader;
  if (header > ip.size()) return DecodeStatus::kTruncatedHeader;
  // A total length past the frame: a receiver drops it, and so will the TCP checksum, unless that is ignored.
  total = std::min(total, wire_length);
  if (!options.ignore_checksums && FoldSum(InternetSum(ip.first(header))) != 0) {
    return DecodeStatus::kBadIpChecksum;
  }
  if (ip.size() > total && !MutantIs("packet.padding_kept")) ip = ip.first(total);
  packet->ip_packet = ip;
  SetAddress(&ip[12], 4, &packet->src);
  SetAddress(&ip[16], 4, &packet->dst);
  packet->protocol = ip[9];
  packet->hops = ip[8];
  const uint16_t fragment = LoadBe16(&ip[6]);
  packet->more_fragments = (fragment & 0x2000) != 0;
  packet->fragment_offset = (fragment & 0x1fff) * 8u;
  packet->fragment_id = LoadBe16(&ip[4]);
  if (packet->more_fragments || packet->fragment_offset != 0) {
    packet->unfragmentable = static_cast<uint16_t>(header);
    packet->payload = ip.subspan(header);
    packet->payload_wire = total - header;
    return DecodeStatus::kFragment;
  }
  return DecodeTransport(ip.subspan(header), total - header, options, packet);
}

DecodeStatus DecodeIpv6(Bytes ip, uint32_t wire_length, const DecodeOptions& options, Packet* packet) {
  if (ip.size() < 40) return DecodeStatus::kTruncatedHeader;
  uint32_t total = 40u + LoadBe16(&ip[4]);
  if (total == 40) total = wire_length;  // jumbograms and offload: the frame's own length
  total = std::min(total, wire_length);
  if (ip.size() > total) ip = ip.first(total);
  packet->ip_packet = ip;
  packet->hops = ip[7];
  SetAddress(&ip[8], 16, &packet->src);
  SetAddress(&ip[24], 16, &packet->dst);
  uint8_t next = ip[6];
  size_t at = 40, next_at = 6;
  for (int extensions = 0; extensions < kExtensionsMax; ++extensions) {
    const bool options_header = next == 0 || next == 43 || next == 60;
    const bool authentication = next == 51;
    if (!options_header && !authentication && next != 44) {
      packet->protocol = next;
      return DecodeTransport(ip.subspan(at), static_cast<uint32_t>(total - at), options, packet);
    }
    if (at + 8 > total) return DecodeStatus::kBadIpHeader;
    if (at + 8 > ip.size()) return DecodeStatus::kTruncatedHeader;
    const uint8_t* header = &ip[at];
    size_t length = 8;
    if (options_header) length = (header[1] + 1u) * 8u;
    if (authentication) length = (header[1] + 2u) * 4u;
    if (at + length > total) return DecodeStatus::kBadIpHeader;
    if (at + length > ip.size()) return DecodeStatus::kTruncatedHeader;
    // On the way along a route the last address counts, also for the checksum (RFC 8200, 8.1): that of mobile IPv6 (RFC 6275,
    // 6.4) or of the first entry of segment routing (RFC 8754, 2).
    if (next == 43 && (header[2] == 2 || header[2] == 4) && header[3] != 0 && length >= 24) SetAddress(header + 8, 16, &packet->dst);
    if (next == 44) {
      const uint16_t field = LoadBe16(header + 2);
      packet->more_fragments = (field & 1) != 0;
      packet->fragment_offset = field & ~7u;
      packet->fragment_id = LoadBe32(header + 4);
      if (packet->more_fragments || packet->fragment_offset != 0) {
        packet->protocol = header[0];
        packet->unfragmentable = static_cast<uint16_t>(at);
        packet->next_header_at = static_cast<uint16_t>(next_at);
        packet->payload = ip.subspan(at + length);
        packet->payload_wire = static_cast<uint32_t>(total - at - length);
        return DecodeStatus::kFragment;
      }
    }
    next = header[0];
    next_at = at;
    at += length;
  }
  return DecodeStatus::kBadIpHeader;
}

}  // namespace

DecodeStatus CheckTcpChecksum(const Packet& packet) {
  if (packet.payload.size() != packet.payload_wire) return DecodeStatus::kTcp;
  const uint64_t pseudo = PseudoHeaderSum(packet, static_cast<uint32_t>(packet.segment.size()));
  if (FoldSum(pseudo + InternetSum(packet.segment)) == 0) return DecodeStatus::kTcp;
  // A host that leaves the sum to its NIC puts the pseudo header's sum, not complemented, into the field.
  const bool partial = LoadLe<uint16_t>(&packet.segment[16]) == static_cast<uint16_t>(~FoldSum(pseudo));
  return partial ? DecodeStatus::kPartialTcpChecksum : DecodeStatus::kBadTcpChecksum;
}

DecodeStatus DecodeIp(Bytes ip, uint32_t wire_length, const DecodeOptions& options, Packet* packet) {
  if (ip.empty()) return DecodeStatus::kTruncatedHeader;
  if (ip[0] >> 4 == 4) return DecodeIpv4(ip, wire_length, options, packet);
  if (ip[0] >> 4 == 6) return DecodeIpv6(ip, wire_length, options, packet);
  return DecodeStatus::kBadIpHeader;
}

namespace {

// Below an Ethernet header: the IP packet's place, through MPLS labels or a PPPoE header.
DecodeStatus DecodeEtherType(uint16_t type, Bytes frame, uint32_t wire_length, size_t at, const DecodeOptions& options,
                             Packet* packet) {
  if (type == kTypeArp) return DecodeStatus::kArp;
  if (type == kTypeIpv4 || type == kTypeIpv6) {
    if (at >= frame.size()) return DecodeStatus::kTruncatedHeader;
    if ((type == kTypeIpv4) != (frame[at] >> 4 == 4)) return DecodeStatus::kBadIpHeader;
    return DecodeIp(frame.subspan(at), wire_length - static_cast<uint32_t>(at), options, packet);
  }
  if (type == 0x8847 || type == 0x8848) {  // MPLS (RFC 3032): labels until the bottom of the stack
    for (int labels = 0; labels < kExtensionsMax && at + 6 <= frame.size(); ++labels) {
      const bool bottom = (frame[at + 2] & 1) != 0;
      at += 4;
      if (!bottom) continue;
      if (frame[at] >> 4 == 4) return DecodeInner(kTypeIpv4, frame, wire_length, at, options, packet);
      if (frame[at] >> 4 == 6) return DecodeInner(kTypeIpv6, frame, wire_length, at, options, packet);
      // A pseudo-wire's control word begins with 16 zeros (RFC 4448, 4.6); without one a MAC address stands here.
      return DecodeInner(kTypeEthernet, frame, wire_length, at + (LoadBe16(&frame[at]) == 0 ? 4 : 0), options, packet);
    }
  }
  if (type == 0x8864 && at + 8 <= frame.size()) {  // PPPoE session (RFC 2516)
    // Its length bounds what follows: an Ethernet frame may be padded behind it.
    const size_t end = at + 6 + LoadBe16(&frame[at + 4]);
    if (end < frame.size()) frame = frame.first(std::max(end, at + 8));
    wire_length = std::min(wire_length, static_cast<uint32_t>(std::max(end, at + 8)));
    const bool compressed = (frame[at + 6] & 1) != 0;  // RFC 1661, section 6.5
    const uint16_t protocol = compressed ? frame[at + 6] : LoadBe16(&frame[at + 6]);
    at += compressed ? 7 : 8;
    if (protocol == 0x0021) return DecodeInner(kTypeIpv4, frame, wire_length, at, options, packet);
    if (protocol == 0x0057) return DecodeInner(kTypeIpv6, frame, wire_length, at, options, packet);
  }
  if (type == 0x88e7) return DecodeInner(kTypeEthernet, frame, wire_length, at + 4, options, packet);  // 802.1ah
  if (type < 0x0600) return DecodeStatus::kLlc;
  return type == 0x8847 || type == 0x8848 || type == 0x8863 || type == 0x8864 || type == 0x88e7
             ? DecodeStatus::kTunnel
             : DecodeStatus::kNonIp;
}

}  // namespace

DecodeStatus DecodeFrame(Bytes frame, uint32_t wire_length, const DecodeOptions& options, Packet* packet) {
  wire_length = std::max(wire_length, static_cast<uint32_t>(frame.size()));
  if (frame.size() < kEthernetHeader) return DecodeStatus::kTruncatedHeader;
  size_t at = 12;
  uint16_t type = LoadBe16(&frame[at]);
  for (int tags = 0; type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == kTypeVnTag; ++tags) {
    if (tags == kTagsMax) return DecodeStatus::kTooManyTags;
    at += type == kTypeVnTag ? 6 : 4;
    if (at + 2 > frame.size()) return DecodeStatus::kTruncatedHeader;
    if (type != kTypeVnTag && packet->tunnels == 0) SetTunnel(TunnelKind::kVlan, LoadBe16(&frame[at - 2]) & 0xfff, packet);
    type = LoadBe16(&frame[at]);
  }
  return DecodeEtherType(type, frame, wire_length, at + 2, options, packet);
}

}  // namespace stillwatch::dataplane
