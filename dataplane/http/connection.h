// The HTTP/1.x of one TCP connection: two MessageReaders, and the transactions in which requests and responses
// are matched in order (RFC 9112, 9.3.2). After an upgrade to HTTP/2 (h2c) an Http2Connection goes on, after one to
// WebSocket a WebSocketConnection where the observer asks for it.
#pragma once

#include <string_view>

#include "dataplane/http/http2_connection.h"
#include "dataplane/http/http_core.h"
#include "dataplane/http/message_reader.h"
#include "dataplane/http/websocket.h"

namespace stillwatch::dataplane {

struct Transaction {
  Transaction* next = nullptr;
  HttpObserver::Handle handle = nullptr;
  HttpTransactionInfo info;
  int64_t awaited_since_ns = 0;     // when the request ended
  RequestTraits request;
  uint32_t http2_table_bytes = 0;   // of the client, for an upgrade to h2c
  bool asked_upgrade = false, simple = false;
  bool request_done = false;        // no more of it will come
  bool request_broken = false;
  bool response_begun = false, response_done = false;
  bool ended = false;               // the observer knows; kept to match what still comes
};

class Connection final : public HttpConnection, private MessageEvents {
 public:
  Connection(HttpCore* core, uint64_t first_index);
  ~Connection() override;
  static void* operator new(size_t bytes, HttpCore* core);
  static void operator delete(void* object, HttpCore* core);
  static void operator delete(void* object);

  size_t Feed(const StreamContext& at, bool from_client, Bytes data, DecodeBudget* budget) override;
  void Gap(const StreamContext& at, bool from_client, uint64_t skipped) override;
  void End(const StreamContext& at, bool from_client) override;
  void Close(const StreamContext& at, HttpEnd reason) override;
  void Tick(const StreamContext& at) override;
  int64_t next_deadline_ns() const override;
  bool finished() const override {
    if (http2_ != nullptr) return http2_->finished();
    if (websocket_ != nullptr) return websocket_->finished();
    return request_.stopped() && response_.stopped() && finished_;
  }
  bool tunnelled() const override { return http2_ == nullptr && finished_; }
  bool nothing_follows() const override;
  bool idle() const override {
    return http2_ == nullptr && websocket_ == nullptr && first_ == nullptr && request_.at_rest() && response_.at_rest() && !request_closed_ && !response_closed_;
  }
  uint64_t transactions() const override { return http2_ != nullptr ? http2_->transactions() : next_index_; }
  uint64_t http2_hash() const override { return http2_ != nullptr ? http2_->http2_hash() : 0; }

 private:
  Answer OnHead(bool is_request, Head* head) override;
  bool StartsRaw() override;
  void OnBody(bool is_request, Bytes data) override;
  void OnMessageEnd(bool is_request) override;
  void OnBroken(bool is_request) override;
  void OnAnomalies(bool is_request, HttpAnomalies anomalies) override;
  void OnGap(bool is_request) override;
  void OnGaveUp(bool is_request) override;

  Answer OnRequest(Head* head);
  Answer OnResponse(Head* head);
  Transaction* Append();
  Transaction* AwaitingResponse() const;
  Transaction* Current(bool is_request) const { return is_request ? requesting_ : responding_; }
  void TellEnd(Transaction* transaction, HttpEnd end);
  void EndUnanswered();
  void Remove(Transaction* transaction);
  void FinishIfDone(Transaction* transaction);
  void SwitchProtocol(Transaction* transaction, bool tunnel);
  bool SwitchToHttp2(Transaction* transaction, const Head& head);
  bool SwitchToWebSocket(Transaction* transaction, const Head& head);
  void GiveUp(HttpCounter why);
  static void Mark(Transaction* transaction, HttpAnomalies anomalies);

  HttpCore* const core_;
  const StreamContext* at_ = nullptr;  // of the call being served
  MessageReader request_, response_;
  Transaction *first_ = nullptr, *last_ = nullptr;
  Transaction *requesting_ = nullptr, *responding_ = nullptr;  // whose messages are being read
  uint64_t next_index_ = 0;
  uint32_t open_ = 0;
  bool request_closed_ = false, response_closed_ = false;  // Connection: close was said
  bool finished_ = false;
  std::unique_ptr<Http2Connection> http2_;  // since the upgrade
  std::unique_ptr<WebSocketConnection> websocket_;
};

}  // namespace stillwatch::dataplane
