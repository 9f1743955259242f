// What a worker keeps of one TCP connection. Parser, flow record and out-of-order bytes come from pools and are
// held only while needed: an idle flow costs this struct alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "dataplane/flow/proxy_header.h"
#include "dataplane/flow/reassembly.h"
#include "dataplane/flow/step_log.h"
#include "dataplane/flow/tls_records.h"
#include "dataplane/http/http_connection.h"
#include "dataplane/packet/flow_hash.h"
#include "dataplane/tls/tls_connection.h"

namespace stillwatch::dataplane {

enum class FlowPhase : uint8_t {
  kOpening,  // no payload so far
  kActive,
  kClosed,   // over; kept a little so that late copies do not look like a new flow
};

// Of the bytes, or where they are TLS, of its content.
enum class Protocol : uint8_t { kUndecided, kHttp, kOther };

inline constexpr uint8_t kScaleUnknown = 0xff, kScaleNone = 0x80;  // no SYN was seen; it had no such option

// Of a connection that began with a PROXY header.
struct ProxiedClient {
  ClientAddress client{}, server{};  // length 0: the header named none
  uint16_t port = 0, server_port = 0;
  uint16_t header_left = 0; // bytes of the header that have not come yet
  uint16_t before_tlvs = 0; // so many of them are none of the TLVs
  ProxyTlvs tlvs{};
};

struct alignas(64) Direction {
  // The first cache line: all that an in-order segment needs.
  Reassembly stream;
  uint64_t acked_offset = 0;    // the other side has said that it has everything below
  uint32_t fin_seq = 0;
  bool syn_seen = false, fin_seen = false;
  bool acked = false;           // the other side has acknowledged at least once
  bool anchored = false;        // ... a byte near the stream's place: its first sequence number is sure
  bool ended = false;           // handed on to its FIN
  // What its receiver makes of segments is told from these (doubt.cc).
  uint8_t window_scale = kScaleUnknown;  // of the side that sends in this direction, by its SYN
  uint8_t hops = 0;             // the least that is known to reach the receiver; 0: unknown
  bool has_timestamps = false;  // in its SYN
  uint8_t doubted_chunks = 0;

  int64_t hole_since_ns = 0;    // when the first early byte that is held came
  Segment* first_bytes = nullptr;  // in-order bytes that are too few to tell the protocol
  uint32_t isn = 0;             // of the SYN
  TlsRecords tls;
  uint32_t timestamp = 0;       // RFC 7323's TS.Recent
  uint32_t window_max = 0;      // the largest window that the receiver has offered; 0: unknown
  uint64_t window_end = 0;      // behind the last byte that the receiver has offered to take; 0: unknown
  uint64_t sent_end = 0;        // behind the last byte or FIN that was sent
  Segment* doubted = nullptr;   // bytes that the receiver may have thrown away, as they came
};

struct alignas(64) Flow {
  // Found by.
  FlowKey key;
  FlowPhase phase = FlowPhase::kOpening;
  Protocol protocol = Protocol::kUndecided;
  bool client_is_low : 1 = false;
  bool client_known : 1 = false;
  bool http_client_first : 1 = true;  // of kHttp2Joined: the side that was recognised
  HttpVersion http_version : 2 = HttpVersion::kHttp1;  // to make a parser of
  bool told : 1 = false;        // by a ConnectionNote
  bool tunnelled : 1 = false;   // some of it came in a tunnel
  bool mid_stream : 1 = false;  // its first bytes were not seen: the protocol is looked for at later segments too
  uint8_t address_length = 0;
  uint64_t hash = 0;
  Flow* chain = nullptr;        // same bucket of the table
  int64_t last_ns = 0;          // of its latest packet

  // Used by most packets.
  std::unique_ptr<HttpConnection> http;
  StepLog log;
  int64_t reset_ns = 0;         // a RST came then, and nothing since that contradicts it; 0: none
  uint64_t id = 0;

  Direction direction[2];       // [0]: from the client

  uint32_t reset_seq = 0;       // the other direction had no byte from here on when the RST came
  uint8_t reset_side = 0;       // in whose name it came
  bool reset_exact = false;     // it stood at its direction's next byte: no receiver questions it
  bool reset_seq_known = false;
  bool reset_doubted = false;   // after the end its sender acknowledged what it cannot have seen before
  uint8_t sniffs = 0;           // segments that told no protocol
  bool over_tls = false;        // the bytes are TLS
  bool syn_repeated = false;    // the handshake's time tells nothing
  bool restart_pending = false;    // a SYN with restart_isn came on this living flow
  bool restart_from_low = false;
  bool contested = false;       // some of its bytes came in two versions
  uint32_t restart_isn = 0;
  uint32_t rtt_us = 0;
  int64_t restart_ns = 0;
  int64_t syn_ns = 0, syn_ack_ns = 0;
  int64_t passed_ns = 0;        // when the kernel was asked to keep it; 0: never
  uint64_t tcp_hash = 0;
  uint64_t exchanges_done = 0;  // transactions when the parser was given back
  uint64_t exchanges_told = 0;  // transactions that earlier flow records counted
  ProxiedClient* proxied = nullptr;
  uint32_t timer_second = 0;    // where the wheel holds it; 0: nowhere
  Flow *timer_next = nullptr, *timer_before = nullptr;
  TlsConnection* tls = nullptr;  // while there is something to learn from it
  uint64_t ja4_hash = 0;
};
static_assert(sizeof(Reassembly) <= 40 && offsetof(Direction, hole_since_ns) <= 64);
static_assert(offsetof(Flow, last_ns) == 56 && offsetof(Flow, http) == 64 && offsetof(Flow, direction) == 128);
static_assert(sizeof(Flow) <= 512, "an idle flow costs at most 512 bytes");

}  // namespace stillwatch::dataplane
