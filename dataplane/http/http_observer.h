// What the HTTP layer tells the layer above, transaction by transaction. Called on the worker's thread.
// Views are valid during the call only. For one HTTP/1 connection calls come in transaction order for each
// direction; request and response of a transaction may interleave (a server may answer early). HTTP/2's streams
// interleave: calls come in the order of the bytes, indexes in the order in which streams were opened.
// The dialect layer (dataplane/llm) implements it; inspect implements it too.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "dataplane/http/http2_frame.h"
#include "dataplane/http/websocket_observer.h"
#include "dataplane/llm/exchange.h"

namespace stillwatch::dataplane {

struct HttpHeader {
  std::string_view name;   // as sent
  std::string_view value;  // trimmed of blanks
};

struct HttpRequestHead {
  std::string_view method, target, host;  // host: of an absolute target, else Host header or :authority, "" when absent
  std::span<const HttpHeader> headers;  // without pseudo-header fields
  uint8_t version = 1;                  // major
  std::string_view protocol = {};       // of an extended CONNECT (RFC 8441): what its stream is to carry
};
struct HttpResponseHead {
  uint16_t status = 0;
  std::span<const HttpHeader> headers;
  uint8_t version = 1;
};

// Where a call stands: same for both directions of a flow.
struct StreamContext {
  uint64_t flow_id = 0;
  uint64_t flow_hash = 0;       // for OrderKey
  uint64_t packet = 0;          // packet being looked at (or that carried the timeout)
  int64_t time_ns = 0;          // its traffic time
  ClientAddress client, server;
  uint16_t client_port = 0, server_port = 0;
  bool client_from_proxy = false;  // a PROXY header that we may trust named the client
  bool contested = false;          // some of the connection's bytes came in two versions
  uint64_t ja4_hash = 0, http2_hash = 0;
};

enum class HttpEnd : uint8_t {
  kComplete,    // both ends were seen
  kFlowEnded,   // the connection closed, was reset or was evicted before
  kTimedOut,    // 10 min of traffic time after the request ended
  kUpgraded,    // the rest of the connection is another protocol
  kMalformed,   // the bytes stopped making sense
};

struct HttpTransactionInfo {
  uint64_t index = 0;           // in the flow, from 0
  bool ambiguous = false;       // two readings possible (conflicting lengths, two versions of bytes ...)
  bool gap = false;             // TCP bytes of this transaction are missing
  bool request_complete = false, response_complete = false;
  uint64_t request_body_bytes = 0, response_body_bytes = 0;  // decoded; as sent where not decoded
  // The observer got less than the whole body: a bound, a gap in compressed data, corrupt compressed data,
  // or a coding that is not decoded (then it got nothing).
  bool request_body_cut = false, response_body_cut = false;
  // HTTP/2 only: the stream, and the bytes of DATA as sent, before content decoding.
  uint32_t stream_id = 0;
  uint64_t request_data_bytes = 0, response_data_bytes = 0;
};

// What inspect wants to know of HTTP/2 frames; null in the daemon. OnFrame, then the payload in pieces, OnFrameFields
// where a header block ended, OnFrameError where the frame is malformed, OnFrameEnd unless bytes are missing.
class Http2FrameObserver {
 public:
  virtual ~Http2FrameObserver() = default;
  virtual void OnFrame(const StreamContext& at, bool from_client, const Http2FrameHeader& header) = 0;
  virtual void OnFramePayload(const StreamContext& at, bool from_client, Bytes data) = 0;
  virtual void OnFrameFields(const StreamContext& at, bool from_client, std::span<const HttpHeader> fields) = 0;
  virtual void OnFrameError(const StreamContext& at, bool from_client, Http2Error error) = 0;
  virtual void OnFrameEnd(const StreamContext& at, bool from_client) = 0;
};

class HttpObserver {
 public:
  virtual ~HttpObserver() = default;

  // One HttpTransaction* handle for each transaction, made by the observer in OnRequestHead (or in
  // OnResponseHead when the request was never seen), given back to it in all later calls, and released
  // by it in OnTransactionEnd, which comes exactly once. nullptr: not interested; the HTTP layer then
  // skips decoding of bodies.
  using Handle = void*;
  virtual Handle OnRequestHead(const StreamContext& at, uint64_t index,
                               const HttpRequestHead& head) = 0;
  // Decoded body bytes (after transfer and content decoding), in order, at most 64 KiB a call.
  virtual void OnRequestBody(const StreamContext& at, Handle handle, Bytes data) = 0;
  virtual void OnRequestEnd(const StreamContext& at, Handle handle) = 0;
  // head of a final response (not 1xx). handle is nullptr when no request was seen or it was declined;
  // the observer returns the handle to use from here on.
  virtual Handle OnResponseHead(const StreamContext& at, Handle handle, uint64_t index,
                                const HttpResponseHead& head) = 0;
  virtual void OnResponseBody(const StreamContext& at, Handle handle, Bytes data) = 0;
  virtual void OnTransactionEnd(const StreamContext& at, Handle handle, HttpEnd end,
                                const HttpTransactionInfo& info) = 0;
  // The request was answered by 101 and goes on as HTTP/2's stream 1: the transaction's response is still to come.
  virtual void OnSwitchedToHttp2(const StreamContext&, Handle, const HttpTransactionInfo&) {}
  virtual Http2FrameObserver* frames() { return nullptr; }
  // Null: a connection that turns to WebSocket is not looked at any more.
  virtual WebSocketObserver* websockets() { return nullptr; }
};

}  // namespace stillwatch::dataplane
