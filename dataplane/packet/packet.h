// One decoded packet, and the decoder that makes it from a frame. Pure functions over read-only bytes, any
// thread, no state, bounded work: at most 4 VLAN tags and 8 IPv6 extension headers.
//
// Ethernet, 802.1Q/802.1ad tags and VN-Tags, IPv4 with options (RFC 791), IPv6 with extension headers (RFC 8200), TCP (RFC 9293).
// Encapsulations are opened down to the innermost packet, at most 4 deep: MPLS, PPPoE, PBB, IP in IP, GRE, and over
// UDP by their ports VXLAN, Geneve, GTP-U, GRE, Teredo (by its mapped port too) and AYIYA. Ethernet padding is cut by the IP length. Every reason not to
// look at a frame has its own status.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace stillwatch::dataplane {

enum class DecodeStatus : uint8_t {
  kTcp,               // all fields of Packet are valid
  kUdp,               // addresses, ports and udp are valid
  kFragment,          // addresses and fragment fields are valid; payload is the fragment's
  kIcmp,              // ICMP, ICMPv6
  kTunnel,            // an encapsulation that is not opened: unknown inside, or too deep
  kOtherTransport,    // another IP protocol: SCTP, ESP, OSPF...
  kArp,
  kLlc,               // 802.3 frames with a length instead of a type: spanning tree, IS-IS
  kNonIp,             // another EtherType: LLDP, L2 control
  kTooManyTags,
  kTruncatedHeader,   // the frame ends inside a header that we need
  kBadIpHeader,       // version, header length or total length contradict each other
  kBadIpChecksum,
  kBadTcpHeader,      // data offset under 5 or past the segment
  kBadTcpChecksum,
  kPartialTcpChecksum,  // the field holds the pseudo header's sum: the sending host left it to its NIC
  kCount
};

// What tells networks apart that may use the same addresses.
enum class TunnelKind : uint8_t {
  kNone,
  kVlan,    // 802.1Q or 802.1ad, outside of any tunnel; the innermost tag
  kVni,     // VXLAN, Geneve
  kTeid,    // GTP-U
  kGreKey,  // GRE (RFC 2890)
};

struct Address {
  uint8_t bytes[16] = {};  // IPv4 in the first four
  uint8_t length = 0;      // 4 or 16
  bool operator==(const Address&) const = default;
};

enum TcpFlags : uint8_t { kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16, kUrg = 32 };

struct Packet {
  Address src, dst;
  uint16_t src_port = 0, dst_port = 0;
  uint8_t protocol = 0;
  uint8_t hops = 0;  // time to live, or hop limit, that is left
  // TCP
  uint8_t flags = 0;
  uint32_t seq = 0, ack = 0;
  uint16_t window = 0;
  Bytes segment;               // TCP header and payload
  Bytes tcp_options;
  Bytes payload;
  uint32_t payload_wire = 0;  // bytes of payload on the wire; more than payload.size() when the capture cut it
  // UDP that is no tunnel
  Bytes udp;                  // its payload
  uint32_t udp_wire = 0;      // bytes of it on the wire
  // Fragments
  uint32_t fragment_id = 0;
  uint32_t fragment_offset = 0;  // bytes
  bool more_fragments = false;
  uint16_t unfragmentable = 0;   // bytes of ip_packet before the fragment's payload or fragment header
  uint16_t next_header_at = 0;   // IPv6: the byte of ip_packet that announces the fragment header
  Bytes ip_packet;  // from the IP header on, without padding
  uint8_t tunnels = 0;  // encapsulations that were opened
  TunnelKind tunnel_kind = TunnelKind::kNone;  // of the innermost one that has an id
  uint32_t tunnel_id = 0;
};

struct DecodeOptions {
  bool ignore_checksums = false;
  bool defer_tcp_checksum = false;  // the caller calls CheckTcpChecksum: reading the payload can wait
};

// `wire_length` as in Frame.
DecodeStatus DecodeFrame(Bytes frame, uint32_t wire_length, const DecodeOptions& options, Packet* packet);
// kTcp, kBadTcpChecksum or kPartialTcpChecksum, for a packet decoded as kTcp. What the capture cut is kTcp.
DecodeStatus CheckTcpChecksum(const Packet& packet);
// From the IP header on (a reassembled datagram, an inner packet).
DecodeStatus DecodeIp(Bytes ip, uint32_t wire_length, const DecodeOptions& options, Packet* packet);

}  // namespace stillwatch::dataplane
