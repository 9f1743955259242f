// Counters of QUIC (HTTP/3), of which only the first hello is read; one block a worker. The packets are counted as UDP, too.
#pragma once

#include "base/counters.h"

namespace stillwatch::dataplane {

enum class QuicCounter {
  kConnections,     // connections whose client's first packet was opened
  kDatagrams,       // datagrams of such connections
  kInitials,        // Initial packets of clients that were opened
  kHellos,          // ClientHellos read
  kEch,             // of these, with an encrypted hello: the name may be another one's
  kVersionUnknown,  // datagrams with a long header of a version that we do not know, or of another protocol
  kSealed,          // Initial packets that no key of ours opens: the server's way of counting, damaged, or none
  kMalformed,       // long headers or frames whose lengths do not fit, first messages that are no ClientHello
  kHelloTooLarge,   // hellos over 16 KiB, given up
  kHelloInPieces,   // hellos that came in more than 64 pieces with holes between them; the piece is not taken
  kBuffersEmpty,    // hellos over more than one packet not read; raise tls.buffers_max
  kEvicted,         // connections given up because too many were followed
  kPassed,          // times that the kernel was asked to keep a connection whose hello and first 256 datagrams were seen
  kCount
};

inline constexpr CounterNames<QuicCounter> kQuicCounterNames{
    "quic.connections", "quic.datagrams",  "quic.initials",          "quic.hellos",          "quic.ech",
    "quic.version_unknown", "quic.sealed", "quic.malformed", "quic.hello_too_large", "quic.hello_in_pieces",
    "quic.buffers_empty", "quic.evicted", "quic.passed"};

}  // namespace stillwatch::dataplane
