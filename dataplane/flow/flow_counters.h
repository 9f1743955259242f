// What a worker counts of packets, flows and TCP bytes. One line of meaning each; docs/counters.md is made from here.
#pragma once

#include "base/counters.h"

namespace stillwatch::dataplane {

enum class FlowCounter {
  kPackets,           // frames looked at
  kUdp,               // UDP: not looked into
  kFragment,          // IP fragments: not looked into
  kOtherTransport,    // IP protocols other than TCP and UDP
  kArp,               // ARP
  kNonIp,             // EtherTypes other than IP and ARP, LLC and L2 control frames
  kTooManyTags,       // more than four VLAN tags
  kTruncatedHeader,   // the frame ends inside a header
  kBadIpHeader,       // IP version, header length or total length contradict each other
  kBadIpChecksum,     // wrong IPv4 header checksum
  kBadTcpHeader,      // TCP data offset out of range
  kBadTcpChecksum,    // wrong TCP checksum; with checksum offload on the capturing host set ports.ignore_checksums
  kNoFlow,            // segments without data or SYN that belong to no flow
  kOpened,            // flows made
  kClosed,            // flows that ended (closed, reset, timed out, evicted, end of capture)
  kEvicted,           // flows given up because the table was full; raise flow.flows_max
  kTimedOut,          // flows ended by silence
  kReset,             // flows ended by RST
  kResetOutOfWindow,  // RSTs far from the stream's place; ignored
  kPortReused,        // a new SYN on the addresses and ports of an older flow
  kAfterClose,        // segments that came after their flow had ended
  kMidStream,         // flows first seen in the middle
  kEarlySegments,     // segments that came before their turn and were kept
  kOldSegments,       // retransmissions with nothing new
  kOutOfWindow,       // segments farther ahead than any window; ignored
  kGaps,              // holes in a direction's bytes that will not be filled
  kGapBytes,          // bytes in those holes
  kReassemblyFull,    // holes given up because the bound on early bytes was reached
  kHttp,              // flows recognised as HTTP/1
  kTls,               // flows recognised as TLS; not decrypted
  kNotHttp,           // flows that are neither
  kParserPoolEmpty,   // HTTP flows not decoded because http.parsers_max was reached
  kRecords,           // flow records written
  kRecordPoolEmpty,   // flow steps not noted because too many flows hold a record
  kCount
};
inline constexpr CounterNames<FlowCounter> kFlowCounterNames{
    "packet.seen",          "packet.udp",           "packet.fragment",       "packet.other_transport",
    "packet.arp",           "packet.non_ip",        "packet.too_many_tags",  "packet.truncated_header",
    "packet.bad_ip_header", "packet.bad_ip_checksum", "packet.bad_tcp_header", "packet.bad_tcp_checksum",
    "flow.no_flow",         "flow.opened",          "flow.closed",           "flow.evicted",
    "flow.timed_out",       "flow.reset",           "flow.reset_out_of_window", "flow.port_reused",
    "flow.after_close",     "flow.mid_stream",      "tcp.early_segments",    "tcp.old_segments",
    "tcp.out_of_window",    "tcp.gaps",             "tcp.gap_bytes",         "tcp.reassembly_full",
    "flow.http",            "flow.tls",             "flow.not_http",         "flow.parser_pool_empty",
    "flow.records",         "flow.record_pool_empty"};

}  // namespace stillwatch::dataplane
