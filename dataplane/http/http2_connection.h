// The HTTP/2 of one TCP connection: two Http2Readers, and the streams in which requests and responses meet. A stream
// gives the same observer calls as an HTTP/1 transaction, so what stands above knows no difference.
//
// An extended CONNECT for WebSocket (RFC 8441) that is accepted turns its stream into a WebSocketConnection, where the observer
// asks for it; another CONNECT is a tunnel that is not looked into.
//
// Bounds: streams_per_connection_max open streams with records of a bounded pool; each takes a few hundred bytes, and
// a decompressor only while a coded body is open. A stream that is over is forgotten at once. One that the client
// reset is read on for two seconds, for the answer that was on its way, but at most kLingeringMax of them: a rapid
// reset costs no more memory than these. Header tables come from a bounded pool and live as long as the connection.
#pragma once

#include "dataplane/http/body_decoder.h"
#include "dataplane/http/http2_reader.h"
#include "dataplane/http/websocket.h"

namespace stillwatch::dataplane {

struct Http2Stream {
  // One message.
  struct Half {
    bool head_seen = false, done = false;
    bool no_body = false;       // by method or status: DATA does not belong here
    bool has_length = false;
    uint64_t length = 0;        // Content-Length
    uint64_t data_bytes = 0;    // of DATA, as sent
    BodyDecoder body;
  };
  Http2Stream *next = nullptr, *before = nullptr;  // in the order of opening
  Http2Stream* chain = nullptr;                    // same bucket
  uint32_t id = 0;
  RequestTraits request;
  HttpObserver::Handle handle = nullptr;
  HttpTransactionInfo info;
  int64_t awaited_since_ns = 0;  // when the request ended
  int64_t reset_ns = 0;          // the client gave it up then; what the server had sent is still read; 0: not
  bool asks_websocket = false;   // by an extended CONNECT
  WebSocketConnection* websocket = nullptr;  // its own, once accepted
  Half halves[2];                // request, response
};

class Http2Connection final : public HttpConnection, private Http2Events, private BodySink {
 public:
  Http2Connection(HttpCore* core, uint64_t first_index, Http2Reader::Start client, Http2Reader::Start server);
  ~Http2Connection() override;
  static void* operator new(size_t bytes, HttpCore* core);
  static void operator delete(void* object, HttpCore* core);
  static void operator delete(void* object);

  // Stream 1 of an upgraded connection: its request was read as HTTP/1. Takes over the handle. `table_bytes`: what
  // its HTTP2-Settings allow the server's header table, which the 101 acknowledged.
  void BeginUpgraded(const StreamContext& at, HttpObserver::Handle handle, const HttpTransactionInfo& info,
                     RequestTraits request, int64_t awaited_since_ns, uint32_t table_bytes);

  size_t Feed(const StreamContext& at, bool from_client, Bytes data, DecodeBudget* budget) override;
  void Gap(const StreamContext& at, bool from_client, uint64_t skipped) override;
  void End(const StreamContext& at, bool from_client) override;
  void Close(const StreamContext& at, HttpEnd reason) override;
  void Tick(const StreamContext& at) override;
  int64_t next_deadline_ns() const override;
  bool finished() const override { return client_.stopped() && server_.stopped(); }
  uint64_t transactions() const override { return next_index_; }
  uint64_t http2_hash() const override { return fingerprint_done_ ? fingerprint_ : 0; }

 private:
  static constexpr size_t kBuckets = 32;
  static constexpr uint32_t kLingeringMax = 64;
  enum Side : int { kRequest = 0, kResponse = 1 };
  static Side SideOf(bool from_client) { return from_client ? kRequest : kResponse; }

  const StreamContext& at() const override { return *at_; }
  void OnBlock(bool from_client, const Http2Block& block) override;
  bool OnData(bool from_client, uint32_t stream_id, Bytes* data, DecodeBudget* budget) override;
  bool OnDrain(bool from_client, uint32_t stream_id, DecodeBudget* budget) override;
  void OnDataEnd(bool from_client, uint32_t stream_id, bool end_stream) override;
  void OnReset(bool from_client, uint32_t stream_id) override;
  void OnSetting(bool from_client, uint16_t id, uint32_t value) override;
  void OnSettingsEnd(bool from_client, bool ack) override;
  void OnWindowUpdate(bool from_client, uint32_t stream_id, uint32_t increment) override;
  void OnGap(bool from_client, uint32_t stream_id) override;
  bool FollowsStream(uint32_t stream_id) const override { return Find(stream_id) != nullptr; }
  void OnGaveUp(bool from_client) override;
  void OnBodyBytes(Bytes data) override;
  void OnMislabelled() override;

  Http2Stream* Find(uint32_t id) const;
  Http2Stream* Open(uint32_t id);
  void Forget(Http2Stream* stream);
  void TellEnd(Http2Stream* stream, HttpEnd end);
  void EndHalf(Http2Stream* stream, Side side);
  void OnRequestBlock(const Http2Block& block);
  void OnResponseBlock(const Http2Block& block);
  bool SwitchToWebSocket(Http2Stream* stream, const Head& head);
  void OnTrailers(Http2Stream* stream, Side side, const Http2Block& block);
  bool OpensUnseen(uint32_t id) const;
  void Mark(Http2Stream* stream, Http2Counter anomaly);
  void BeginBody(Http2Stream* stream, Side side, const Head& head, bool ends);
  void PassedOver(uint32_t stream_id);
  void EndLingering();
  void Fingerprint(uint64_t value);

  HttpCore* const core_;
  const StreamContext* at_ = nullptr;  // of the call being served
  Http2Reader client_, server_;
  Http2Stream* buckets_[kBuckets] = {};
  Http2Stream *first_ = nullptr, *last_ = nullptr;
  Http2Stream* body_of_ = nullptr;     // whose body is being delivered
  Side body_side_ = kRequest;
  uint32_t open_ = 0, lingering_ = 0;
  int64_t linger_until_ns_ = INT64_MAX;  // of the first to end
  uint32_t last_request_ = 0;          // the highest stream that a client's HEADERS opened
  uint64_t next_index_;
  uint64_t fingerprint_ = 0;
  bool requests_missed_ = false;       // streams below last_request_ may have been opened unseen
  bool fingerprint_done_ = false;
  // Of the SETTINGS frame being read, and the last one that was not acknowledged yet.
  uint32_t table_size_[2] = {0, 0};
  bool table_pending_[2] = {false, false};
};

}  // namespace stillwatch::dataplane
