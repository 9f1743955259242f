#include "tools/stillwatch/inspect_packets.h"

#include <arpa/inet.h>

#include "dataplane/packet/fragment_joiner.h"
#include "dataplane/packet/packet.h"
#include "dataplane/port/capture_file.h"
#include "tools/stillwatch/json_line.h"

namespace stillwatch {
namespace {

using namespace dataplane;  // NOLINT: one file, one layer

const char* NameOf(DecodeStatus status) {
  switch (status) {
    case DecodeStatus::kTcp: return "tcp";
    case DecodeStatus::kUdp: return "udp";
    case DecodeStatus::kFragment: return "fragment";
    case DecodeStatus::kIcmp: return "icmp";
    case DecodeStatus::kTunnel: return "tunnel";
    case DecodeStatus::kOtherTransport: return "other_transport";
    case DecodeStatus::kArp: return "arp";
    case DecodeStatus::kLlc: return "llc";
    case DecodeStatus::kNonIp: return "non_ip";
    case DecodeStatus::kTooManyTags: return "too_many_tags";
    case DecodeStatus::kTruncatedHeader: return "truncated_header";
    case DecodeStatus::kBadIpHeader: return "bad_ip_header";
    case DecodeStatus::kBadIpChecksum: return "bad_ip_checksum";
    case DecodeStatus::kBadTcpHeader: return "bad_tcp_header";
    case DecodeStatus::kBadTcpChecksum:
    case DecodeStatus::kPartialTcpChecksum: return "tcp";
    case DecodeStatus::kCount: break;
  }
  return "unknown";
}

std::string AddressText(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(address.length == 4 ? AF_INET : AF_INET6, address.bytes, text, sizeof text);
  return text;
}

class PacketLines {
 public:
  PacketLines(bool ignore_checksums, std::FILE* out) : ignore_checksums_(ignore_checksums), out_(out) {}

  void OnFrame(const Frame& frame) {
    Packet packet;
    DecodeStatus status = DecodeFrame(frame.bytes, frame.wire_length, Unchecked(), &packet);
    Frame whole;
    const bool joined = status == DecodeStatus::kFragment && joiner_.Add(frame, packet, &whole);
    if (joined) {
      packet = Packet{};
      status = DecodeFrame(whole.bytes, whole.wire_length, Unchecked(), &packet);
    }
    Print(frame.number, status, packet, joined);
    if (joined) joiner_.Release(whole);
  }

 private:
  DecodeOptions Unchecked() const { return {.ignore_checksums = ignore_checksums_, .defer_tcp_checksum = true}; }
  const char* ChecksumOf(const Packet& packet) const {
    if (ignore_checksums_) return "unchecked";
    switch (CheckTcpChecksum(packet)) {
      case DecodeStatus::kBadTcpChecksum: return "bad";
      case DecodeStatus::kPartialTcpChecksum: return "partial";
      default: return "good";
    }
  }
  void Print(uint64_t number, DecodeStatus status, const Packet& packet, bool joined) {
    JsonLine line;
    line.Number("frame", number).Text("status", NameOf(status));
    if (packet.src.length != 0) line.Text("src", AddressText(packet.src)).Text("dst", AddressText(packet.dst));
    if (status == DecodeStatus::kTcp || status == DecodeStatus::kUdp) line.Number("sport", packet.src_port).Number("dport", packet.dst_port);
    if (packet.src.length != 0) line.Number("protocol", packet.protocol).Number("tunnels", packet.tunnels);
    if (status == DecodeStatus::kTcp) {
      line.Number("seq", packet.seq).Number("len", packet.payload_wire).Number("flags", packet.flags).Text("checksum", ChecksumOf(packet));
    }
    if (status == DecodeStatus::kUdp) line.Number("len", packet.udp_wire);
    if (status == DecodeStatus::kFragment) line.Number("frag_offset", packet.fragment_offset).Bool("more_fragments", packet.more_fragments);
    if (joined) line.Bool("joined", true);
    line.Print(out_);
  }

  const bool ignore_checksums_;
  FragmentJoiner joiner_{{}};
  std::FILE* const out_;
};

}  // namespace

Status InspectPackets(std::span<const std::string> captures, bool ignore_checksums, std::FILE* out) {
  auto opened = OpenCaptures(captures);
  if (!opened.ok()) return opened.error();
  CapturePort& port = *opened.value();
  PacketLines lines(ignore_checksums, out);
  Frame frames[kBurstMax];
  while (!port.at_end()) {
    const size_t count = port.Receive(frames);
    for (const Frame& frame : std::span(frames, count)) lines.OnFrame(frame);
    port.Release({frames, count});
  }
  return {};
}

}  // namespace stillwatch
