// Counters of HTTP/2 connections, one block a worker. Requests, responses and bodies are counted as HTTP/1's are
// (http_counters.h); here is what only HTTP/2 has. Those from kFieldMalformed to kLengthMismatch mark the
// transaction ambiguous: a gateway to HTTP/1 could make another message of it.
#pragma once

#include "base/counters.h"

namespace stillwatch::dataplane {

enum class Http2Counter {
  kConnections,         // connections read from their beginning
  kUpgrades,            // connections that turned to HTTP/2 by 101 (h2c)
  kJoined,              // connections first seen in the middle
  kFrames,              // frames read
  kStreams,             // streams opened by a request or, where that was not seen, by a response
  kStreamsReset,        // open streams ended by RST_STREAM
  kGoAways,             // GOAWAY frames
  kPushPromised,        // PUSH_PROMISE frames; pushed responses are not looked at
  kPushedFrames,        // frames of pushed streams, passed over
  kGrpc,                // gRPC requests, by what they say; who takes transactions decides by more than that
  kWebSockets,          // streams that became WebSocket connections (extended CONNECT, RFC 8441)
  kUnknownFrames,       // frames of types that RFC 9113 does not list, passed over
  kClosedStreamFrames,  // frames of streams that are over or are not followed, passed over

  // Ambiguous.
  kFieldMalformed,      // a field name with upper case or no token, a value with CR, LF or NUL (RFC 9113, 8.2.1)
  kPseudoMalformed,     // pseudo-header fields missing, repeated, unknown, late, in trailers or with what no request line has (8.3)
  kConnectionField,     // Connection, Transfer-Encoding or another field that HTTP/2 forbids (8.2.2)
  kLengthMismatch,      // DATA adds up to something else than Content-Length (8.1.1)

  // Stops.
  kPrefaceMalformed,    // client bytes that do not begin with the preface: searched for a frame
  kFrameMalformed,      // frames whose length, stream, padding or place is wrong, passed over
  kContinuationMissing, // header blocks that were not continued where they had to be, dropped
  kHeadTooLarge,        // header lists over the limit, read over for the table's sake and dropped; raise http.header_kib
  kHpackFailed,         // header blocks that cannot be decompressed; the direction's table is lost
  kHpackMemoryEmpty,    // header tables given up because the pool was empty; raise http.parsers_max
  kHpackLost,           // header tables lost: joined in the middle, missing TCP bytes, a failed block
  kHpackFieldsLost,     // fields whose name or value stood in a lost table
  kStreamsTooMany,      // streams not followed: streams_per_connection_max were open on their connection
  kStreamsEmpty,        // streams not followed: no stream record left in the pool; raise http.parsers_max
  kGapInData,           // TCP bytes of DATA are missing: read on behind
  kGapInFrame,          // TCP bytes of another frame are missing: read on behind
  kGapOverFrames,       // TCP bytes are missing over a frame's end: searched for the next frame
  kResyncBytes,         // bytes passed over while searching for a frame
  kGaveUp,              // directions no longer looked at: nothing like a frame for resync_bytes_max
  kCount
};

inline constexpr CounterNames<Http2Counter> kHttp2CounterNames{
    "http2.connections", "http2.upgrades", "http2.joined", "http2.frames", "http2.streams",
    "http2.streams_reset", "http2.goaways", "http2.push_promised", "http2.pushed_frames", "http2.grpc",
    "http2.websockets", "http2.unknown_frames", "http2.closed_stream_frames",
    "http2.field_malformed", "http2.pseudo_malformed", "http2.connection_field", "http2.length_mismatch",
    "http2.preface_malformed", "http2.frame_malformed", "http2.continuation_missing", "http2.head_too_large",
    "http2.hpack_failed", "http2.hpack_memory_empty", "http2.hpack_lost", "http2.hpack_fields_lost",
    "http2.streams_too_many", "http2.streams_empty", "http2.gap_in_data", "http2.gap_in_frame",
    "http2.gap_over_frames", "http2.resync_bytes", "http2.gave_up"};

}  // namespace stillwatch::dataplane
