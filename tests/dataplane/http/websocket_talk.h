// A WebSocket conversation behind a real upgrade, for tests and the fuzzer: what was said, written down.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/http/http_connection.h"

namespace stillwatch::dataplane {

inline const std::string kUpgradeRequest =
    "GET /v1/realtime HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

inline std::string UpgradeAnswer(const std::string& extensions = "") {
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
         (extensions.empty() ? "" : "Sec-WebSocket-Extensions: " + extensions + "\r\n") + "\r\n";
}

struct Heard {
  bool from_client;
  uint8_t opcode;
  std::string text;
  bool whole;
  bool operator==(const Heard&) const = default;
};

class WebSocketEar final : public HttpObserver, public WebSocketObserver {
 public:
  using Handle = HttpObserver::Handle;
  std::vector<Heard> heard;
  std::vector<WebSocketFrame> frames;
  int ends = 0;
  bool listens = true;

  Handle OnRequestHead(const StreamContext&, uint64_t, const HttpRequestHead&) override { return nullptr; }
  void OnRequestBody(const StreamContext&, Handle, Bytes) override {}
  void OnRequestEnd(const StreamContext&, Handle) override {}
  Handle OnResponseHead(const StreamContext&, Handle, uint64_t, const HttpResponseHead&) override { return nullptr; }
  void OnResponseBody(const StreamContext&, Handle, Bytes) override {}
  void OnTransactionEnd(const StreamContext&, Handle, HttpEnd, const HttpTransactionInfo&) override {}
  WebSocketObserver* websockets() override { return listens ? this : nullptr; }

  void OnWebSocketFrame(const StreamContext&, HttpObserver::Handle, bool, const WebSocketFrame& frame) override {
    frames.push_back(frame);
  }
  void OnWebSocketData(const StreamContext&, HttpObserver::Handle, bool from_client, uint8_t opcode,
                       Bytes data) override {
    open_[from_client][opcode >= kWsClose].append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  void OnWebSocketMessage(const StreamContext&, HttpObserver::Handle, bool from_client, uint8_t opcode,
                          bool whole) override {
    heard.push_back({from_client, opcode, std::exchange(open_[from_client][opcode >= kWsClose], {}), whole});
  }
  void OnWebSocketEnd(const StreamContext&, HttpObserver::Handle) override { ++ends; }

 private:
  std::string open_[2][2];
};

struct WebSocketTalk {
  explicit WebSocketTalk(const std::string& extensions = "", HttpLimits limits = Small()) {
    shared = MakeHttpShared(limits, &ear);
    connection = MakeHttpConnection(shared.get());
    Say(true, kUpgradeRequest, 1 << 16);
    Say(false, UpgradeAnswer(extensions), 1 << 16);
  }
  static HttpLimits Small() {
    HttpLimits limits;
    limits.decoders_max = 4;
    limits.connections_max = 4;
    limits.transactions_max = 16;
    limits.large_heads_max = 2;
    limits.streams_max = 16;
    limits.window_bytes_max = 1 << 20;
    limits.hpack_bytes_max = 1 << 20;
    return limits;
  }
  void Say(bool from_client, const std::string& bytes, size_t piece) {
    for (size_t from = 0; from < bytes.size();) {
      const size_t size = std::min(piece, bytes.size() - from);
      const std::unique_ptr<uint8_t[]> copy(new uint8_t[size]);  // of its own size: a sanitizer sees reads beside it
      std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(from), size, copy.get());
      for (size_t used = 0; used < size;) {
        DecodeBudget budget;
        used += connection->Feed(at, from_client, {copy.get() + used, size - used}, &budget);
      }
      from += size;
    }
  }

  WebSocketEar ear;
  StreamContext at;
  std::unique_ptr<HttpShared> shared;
  std::unique_ptr<HttpConnection> connection;
};

}  // namespace stillwatch::dataplane
