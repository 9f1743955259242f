// What a worker counts of packets, flows and TCP bytes. One line of meaning each; docs/counters.md is made from here.
#pragma once

#include "base/counters.h"

namespace stillwatch::dataplane {

enum class FlowCounter {
  kPackets,           // frames looked at
  // Not looked into, by DecodeStatus, in its order.
  kUdp,               // UDP
  kFragment,          // IP fragments; those that carry TCP are joined, see fragment.*
  kIcmp,              // ICMP and ICMPv6
  kTunnel,            // encapsulations that are not opened: unknown inside, or more than four deep
  kOtherTransport,    // other IP protocols
  kArp,               // ARP
  kLlc,               // 802.3 frames with a length instead of a type: spanning tree, IS-IS
  kNonIp,             // other EtherTypes
  kTooManyTags,       // more than four VLAN tags
  kTruncatedHeader,   // the frame ends inside a header
  kBadIpHeader,       // IP version, header length or total length contradict each other
  kBadIpChecksum,     // wrong IPv4 header checksum
  kBadTcpHeader,      // TCP data offset out of range
  kBadTcpChecksum,    // wrong TCP checksum; not reassembled
  kPartialTcpChecksum,  // TCP checksum left to the sending host's NIC; to look at such packets set ports.ignore_checksums
  // Flows.
  kNoFlow,            // segments without data or SYN that belong to no flow
  kOpened,            // flows made
  kClosed,            // flows that ended (closed, reset, timed out, evicted, end of capture)
  kEvicted,           // flows given up because the table was full; raise flow.flows_max
  kTimedOut,          // flows ended by silence
  kReset,             // RSTs taken; the flow ends if no data follows
  kResetOutOfWindow,  // RSTs far from the stream's place; ignored
  kResetContradicted, // data went on after a RST: it was none of the peer's
  kFinContradicted,   // bytes came from behind a FIN, before it, or after it and before its acknowledgement: ignored the FIN
  kAfterFin,          // data behind an acknowledged FIN; ignored
  kPortReused,        // a new SYN on the addresses and ports of an older flow
  kSynOnLiveFlow,     // SYNs in the middle of a connection; ignored until the connection follows them
  kAfterClose,        // segments that came after their flow had ended
  kMidStream,         // flows first seen in the middle
  // TCP bytes.
  kEarlySegments,     // segments that came before their turn and were kept
  kOldSegments,       // retransmissions and probes with nothing new
  kOutOfWindow,       // segments farther ahead than any window; ignored
  kUnacceptable,      // segments that their receiver drops: without ACK, or with data in a SYN that does not begin the stream; ignored
  kDoubted,           // segments that their receiver throws away by what is known of it (window, acknowledgement, timestamp, hops): set aside until it acknowledges them
  kDoubtedTaken,      // pieces of segments in doubt that were read after all: acknowledged, or not contradicted to the flow's end
  kDoubtedFull,       // pieces of segments in doubt that were not kept: too many on their connection, or no chunk left; raise flow.reassembly_mib
  kConflicts,         // segments that differ from a held copy of the same bytes; the first copy was taken, or of one in doubt the other
  kConflictBytes,     // bytes in those
  kGaps,              // holes in a direction's bytes that will not be filled
  kGapBytes,          // bytes in those holes
  kCutBytes,          // payload bytes that the capture left out (snap length)
  kReassemblyFull,    // holes given up because the bound on early bytes was reached; raise flow.reassembly_mib
  // Protocols.
  kHttp,              // flows recognised as HTTP/1 or HTTP/2
  kTls,               // flows recognised as TLS; see tls.*
  kNotHttp,           // flows that are neither
  kProxied,           // connections that began with a PROXY header (version 1 or 2); llm.trusted_hops says whether its address is used
  kProxyMalformed,    // connections that began with a PROXY header that contradicts the protocol; not looked into
  kProxyTooLong,      // connections whose PROXY header is over 4 KiB; not looked into
  kParserPoolEmpty,   // times that an HTTP flow got no parser because http.parsers_max exchanges were open; looked for again later; raise http.parsers_max
  kSniffPoolEmpty,    // flows whose protocol could not be told because no chunk was left to collect first bytes
  kRecords,           // flow records written
  kRecordPoolEmpty,   // flow steps not noted because too many flows hold a record
  kPassed,            // times that the kernel was asked to keep a TCP flow of no interest; bypass.passed has the frames
  kCount
};
inline constexpr CounterNames<FlowCounter> kFlowCounterNames{
    "packet.seen",              "packet.udp",
    "packet.fragment",          "packet.icmp",
    "packet.tunnel",            "packet.other_transport",
    "packet.arp",               "packet.llc",
    "packet.non_ip",            "packet.too_many_tags",
    "packet.truncated_header",  "packet.bad_ip_header",
    "packet.bad_ip_checksum",   "packet.bad_tcp_header",
    "packet.bad_tcp_checksum",  "packet.partial_tcp_checksum",
    "flow.no_flow",             "flow.opened",
    "flow.closed",              "flow.evicted",
    "flow.timed_out",           "flow.reset",
    "flow.reset_out_of_window", "flow.reset_contradicted",
    "flow.fin_contradicted",    "flow.after_fin",
    "flow.port_reused",         "flow.syn_on_live_flow",
    "flow.after_close",         "flow.mid_stream",
    "tcp.early_segments",       "tcp.old_segments",
    "tcp.out_of_window",        "tcp.unacceptable",
    "tcp.doubted",              "tcp.doubted_taken",
    "tcp.doubted_full",         "tcp.conflicts",
    "tcp.conflict_bytes",       "tcp.gaps",
    "tcp.gap_bytes",            "tcp.cut_bytes",
    "tcp.reassembly_full",      "flow.http",
    "flow.tls",                 "flow.not_http",
    "flow.proxied",             "flow.proxy_malformed",
    "flow.proxy_too_long",
    "flow.parser_pool_empty",   "flow.sniff_pool_empty",
    "flow.records",             "flow.record_pool_empty",
    "flow.passed"};

}  // namespace stillwatch::dataplane
