// Counters of the HTTP layer, one block a worker. Those from kBareLf to kResynchronised are also the reasons
// for which a transaction is called ambiguous: a second reader could have seen another message there.
#pragma once

#include "base/counters.h"

namespace stillwatch::dataplane {

enum class HttpCounter {
  kRequests,             // request heads decoded
  kResponses,            // final response heads decoded (1xx other than 101 not counted)
  kInterim,              // 1xx responses passed over
  kTransactions,         // transactions ended, of all kinds
  kRequestUnseen,        // responses whose request was not seen
  kTimedOut,             // transactions whose response took longer than the timeout
  kUpgraded,             // connections that turned to another protocol by 101
  kTunnelled,            // CONNECT answered by 2xx

  // Ambiguous: the message was read on, and its transaction is marked.
  kBareLf,               // a line of a head or chunk ended in LF without CR (RFC 9112, 2.2)
  kBareCr,               // CR without LF inside a head (2.2)
  kControlInHead,        // NUL or another control character in a field or start line (RFC 9110, 5.5)
  kObsFold,              // a field continued on the next line (RFC 9112, 5.2)
  kSpaceBeforeColon,     // blanks between field name and colon (5.1)
  kSpaceBeforeFields,    // a line of blanks first in a head, or a fold with nothing to continue (2.2)
  kFieldName,            // a field name with characters that no token has, or a line without colon (5.1)
  kStartLine,            // a start line read with goodwill: odd blanks, version or status digits
  kTargetForm,           // a target form that its method must not have (3.2)
  kHostRepeated,         // more than one Host field, or one that contradicts the target (3.2)
  kHttp09,               // a request line without version: HTTP/0.9
  kLengthRepeated,       // the same Content-Length more than once (6.3)
  kLengthConflict,       // differing Content-Length values: the body's end is unknown (6.3)
  kLengthInvalid,        // a Content-Length that is not a number of 63 bits: the body's end is unknown
  kLengthAndTransfer,    // Content-Length beside Transfer-Encoding: read by the latter (6.3)
  kTransferInHttp10,     // Transfer-Encoding in an HTTP/1.0 message (6.1)
  kTransferUnknown,      // a transfer coding that is not registered, identity, or one with parameters (7)
  kTransferNotFinal,     // chunked missing at the end of a request's codings, or not last, or twice (6.1)
  kChunkSyntax,          // blanks in a chunk's size line, an empty or unclosed extension (7.1)
  kTrailerForbidden,     // a trailer that frames or routes: Content-Length, Transfer-Encoding, Host (6.5)
  kDataAfterClose,       // a further message after Connection: close (9.6)
  kEncodingMislabelled,  // "gzip" whose bytes are not: taken as they are
  kResynchronised,       // a message found by searching, after a gap or a broken message

  // Stops: decoding of a message or direction ended or lost something.
  kHeadTooLarge,         // a head or trailer over header_bytes_max; raise http.header_kib
  kHeadBuffersEmpty,     // no buffer left for a head that spans segments
  kFieldsTooMany,        // fields past the 256th are not shown to the dialects (framing still reads them)
  kHeadTruncated,        // heads or trailers that the end of their direction cut off
  kBodyTruncated,        // bodies by Content-Length or in chunks that the end of their direction cut off
  kNotHttpLine,          // a start line that is not HTTP: searched for the next head
  kChunkMalformed,       // chunk framing that makes no sense: searched for the next head
  kBodyLengthUnknown,    // a request or response whose end cannot be known: searched for the next head
  kGapInHead,            // TCP bytes of a head, chunk line or between messages are missing
  kGapInBody,            // TCP bytes of a body of known extent are missing: read on behind
  kResyncBytes,          // bytes passed over while searching for a head
  kGaveUp,               // connections no longer looked at: nothing like HTTP for resync_bytes_max
  kPipelineTooDeep,      // connections no longer looked at: pipelined_requests_max passed
  kTransactionsEmpty,    // connections no longer looked at: no transaction record left in the pool
  kOpaqueBytes,          // bytes of upgraded or given-up connections

  // Content decoding.
  kDecodersEmpty,        // bodies not decoded: no decompressor left in the pool; raise http.decoders_max
  kEncodingUnsupported,  // bodies not decoded: compress or another coding that is not decoded
  kEncodingTooDeep,      // bodies not decoded: more than 3 codings on top of each other
  kDecodeFailed,         // bodies whose compressed data is corrupt: cut there
  kDecodeTruncated,      // bodies whose compressed data ended early
  kDecodedTooLarge,      // bodies cut at decoded_body_bytes_max; raise http.decoded_body_mib
  kDecodedRatio,         // bodies cut because they grew more than decoded_ratio_max times (a bomb)
  kDecodeGap,            // compressed bodies cut at missing TCP bytes
  kWindowTooLarge,       // br and zstd bodies cut because they need a window over 8 MiB
  kWindowsEmpty,         // br and zstd bodies cut: no window memory left; raise http.window_mib
  kCount
};

inline constexpr CounterNames<HttpCounter> kHttpCounterNames{
    "http.requests", "http.responses", "http.interim", "http.transactions", "http.request_unseen",
    "http.timed_out", "http.upgraded", "http.tunnelled",
    "http.bare_lf", "http.bare_cr", "http.control_in_head", "http.obs_fold",
    "http.space_before_colon", "http.space_before_fields", "http.field_name", "http.start_line",
    "http.target_form", "http.host_repeated", "http.http09", "http.length_repeated",
    "http.length_conflict", "http.length_invalid", "http.length_and_transfer",
    "http.transfer_in_http10", "http.transfer_unknown", "http.transfer_not_final",
    "http.chunk_syntax", "http.trailer_forbidden", "http.data_after_close",
    "http.encoding_mislabelled", "http.resynchronised",
    "http.head_too_large", "http.head_buffers_empty", "http.fields_too_many", "http.head_truncated",
    "http.body_truncated", "http.not_http_line", "http.chunk_malformed", "http.body_length_unknown", "http.gap_in_head", "http.gap_in_body",
    "http.resync_bytes", "http.gave_up", "http.pipeline_too_deep", "http.transactions_empty",
    "http.opaque_bytes",
    "http.decoders_empty", "http.encoding_unsupported", "http.encoding_too_deep",
    "http.decode_failed", "http.decode_truncated", "http.decoded_too_large", "http.decoded_ratio",
    "http.decode_gap", "http.window_too_large", "http.windows_empty"};

// A set of counters, one bit each.
using HttpAnomalies = uint64_t;
constexpr HttpAnomalies AnomalyBit(HttpCounter counter) {
  return HttpAnomalies{1} << static_cast<unsigned>(counter);
}
static_assert(static_cast<size_t>(HttpCounter::kCount) <= 64);

}  // namespace stillwatch::dataplane
