#include "tools/stillwatch/inspect_layers.h"

#include <arpa/inet.h>
#include <openssl/evp.h>

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tools/stillwatch/capture_run.h"
#include "tools/stillwatch/http2_json.h"
#include "tools/stillwatch/json_line.h"

namespace stillwatch {
namespace {

using dataplane::ClientAddress;
using dataplane::StreamContext;

std::string AddressText(const ClientAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.length != 0) {
    inet_ntop(address.length == 4 ? AF_INET : AF_INET6, address.bytes, text, sizeof text);
  }
  return text;
}

void AddEndpoints(const StreamContext& at, bool from_client, JsonLine* line) {
  const auto& src = from_client ? at.client : at.server;
  const auto& dst = from_client ? at.server : at.client;
  line->Text("src", AddressText(src))
      .Number("sport", from_client ? at.client_port : at.server_port)
      .Text("dst", AddressText(dst))
      .Number("dport", from_client ? at.server_port : at.client_port);
}

// --layer http
class HttpLines final : public dataplane::HttpObserver {
 public:
  explicit HttpLines(std::FILE* out) : out_(out) {}
  Handle OnRequestHead(const StreamContext&, uint64_t,
                       const dataplane::HttpRequestHead& head) override {
    auto* const row = new Row;
    row->method = head.method;
    row->host = head.host;
    row->uri = head.target;
    row->version = head.version;
    return row;
  }
  void OnRequestBody(const StreamContext&, Handle, Bytes) override {}
  void OnRequestEnd(const StreamContext&, Handle) override {}
  Handle OnResponseHead(const StreamContext&, Handle handle, uint64_t,
                        const dataplane::HttpResponseHead& head) override {
    auto* const row = handle == nullptr ? new Row : static_cast<Row*>(handle);
    row->status = head.status;
    row->version = head.version;
    return row;
  }
  void OnResponseBody(const StreamContext&, Handle, Bytes) override {}
  void OnTransactionEnd(const StreamContext& at, Handle handle, dataplane::HttpEnd,
                        const dataplane::HttpTransactionInfo& info) override {
    const std::unique_ptr<Row> row(static_cast<Row*>(handle));
    Print(at, *row, info);
  }
  // The request as HTTP/1 saw it; its stream has a line of its own.
  void OnSwitchedToHttp2(const StreamContext& at, Handle handle,
                         const dataplane::HttpTransactionInfo& info) override {
    Row& row = *static_cast<Row*>(handle);
    row.status = 101;
    dataplane::HttpTransactionInfo upgraded = info;
    upgraded.response_complete = true;
    Print(at, row, upgraded);
    row.status = -1;
    row.version = 2;
  }

 private:
  struct Row {
    std::string method, host, uri;
    int status = -1;
    uint8_t version = 1;
  };

  void Print(const StreamContext& at, const Row& row, const dataplane::HttpTransactionInfo& info) {
    const bool http2 = row.version == 2;
    JsonLine line;
    AddEndpoints(at, true, &line);
    line.Text("method", row.method).Text("host", row.host).Text("uri", row.uri);
    if (row.status < 0) {
      line.Null("status");
    } else {
      line.Number("status", static_cast<uint64_t>(row.status));
    }
    line.Number("request_body_len", http2 ? info.request_data_bytes : info.request_body_bytes)
        .Number("response_body_len", http2 ? info.response_data_bytes : info.response_body_bytes)
        .Bool("complete", info.request_complete && info.response_complete)
        .Text("proto", http2 ? "http/2" : "http/1")
        .Print(out_);
  }

  std::FILE* const out_;
};

// Declines everything: the layers below HTTP are looked at.
class NoHttp : public dataplane::HttpObserver {
 public:
  Handle OnRequestHead(const StreamContext&, uint64_t,
                       const dataplane::HttpRequestHead&) override {
    return nullptr;
  }
  void OnRequestBody(const StreamContext&, Handle, Bytes) override {}
  void OnRequestEnd(const StreamContext&, Handle) override {}
  Handle OnResponseHead(const StreamContext&, Handle, uint64_t,
                        const dataplane::HttpResponseHead&) override {
    return nullptr;
  }
  void OnResponseBody(const StreamContext&, Handle, Bytes) override {}
  void OnTransactionEnd(const StreamContext&, Handle, dataplane::HttpEnd,
                        const dataplane::HttpTransactionInfo&) override {}
};

// --layer websocket: a line a frame.
class WebSocketLines final : public NoHttp, private dataplane::WebSocketObserver {
 public:
  explicit WebSocketLines(std::FILE* out) : out_(out) {}
  dataplane::WebSocketObserver* websockets() override { return this; }

 private:
  using Connection = dataplane::WebSocketObserver::Handle;
  using Side = std::tuple<Connection, bool, bool>;  // ..., from the client, a control frame
  static Side SideOf(Connection connection, bool from_client, uint8_t opcode) {
    return {connection, from_client, opcode >= dataplane::kWsClose};
  }
  // Each request is told apart, since streams of HTTP/2 share a flow.
  HttpObserver::Handle OnResponseHead(const StreamContext&, HttpObserver::Handle, uint64_t, const dataplane::HttpResponseHead&) override {
    return reinterpret_cast<HttpObserver::Handle>(++connections_);
  }

  void OnWebSocketFrame(const StreamContext& at, Connection connection, bool from_client,
                        const dataplane::WebSocketFrame& frame) override {
    JsonLine line;
    line.Number("frame", at.packet);
    AddEndpoints(at, from_client, &line);
    line.Number("fin", frame.fin)
        .Number("opcode", frame.opcode)
        .Number("masked", frame.masked)
        .Number("payload_length", frame.length_field)
        .Number("length", frame.length)
        .Number("rsv", frame.rsv);
    if (frame.fin) {
      line.Number("message_length", bytes_[SideOf(connection, from_client, frame.opcode)]);
    } else {
      line.Null("message_length");
    }
    line.Print(out_);
  }
  void OnWebSocketData(const StreamContext&, Connection connection, bool from_client, uint8_t opcode,
                       Bytes data) override {
    bytes_[SideOf(connection, from_client, opcode)] += data.size();
  }
  void OnWebSocketMessage(const StreamContext&, Connection connection, bool from_client,
                          uint8_t opcode, bool) override {
    bytes_.erase(SideOf(connection, from_client, opcode));
  }
  void OnWebSocketEnd(const StreamContext&, dataplane::WebSocketObserver::Handle) override {}

  std::map<Side, uint64_t> bytes_;  // of the messages at hand
  uintptr_t connections_ = 0;
  std::FILE* const out_;
};

// --layer http2: a line a frame, collected until its end.
class Http2Lines final : public NoHttp, private dataplane::Http2FrameObserver {
 public:
  explicit Http2Lines(std::FILE* out) : out_(out) {}
  dataplane::Http2FrameObserver* frames() override { return this; }

 private:
  struct Frame {
    dataplane::Http2FrameHeader header;
    std::string payload;
    std::vector<std::pair<std::string, std::string>> fields;
    bool has_fields = false;
    dataplane::Http2Error error = dataplane::Http2Error::kNone;
  };
  using Direction = std::pair<uint64_t, bool>;

  void OnFrame(const StreamContext& at, bool from_client, const dataplane::Http2FrameHeader& header) override {
    Frame& frame = open_[{at.flow_id, from_client}];
    frame = {};
    frame.header = header;
  }
  void OnFramePayload(const StreamContext& at, bool from_client, Bytes data) override {
    open_[{at.flow_id, from_client}].payload += AsText(data);
  }
  void OnFrameFields(const StreamContext& at, bool from_client,
                     std::span<const dataplane::HttpHeader> fields) override {
    Frame& frame = open_[{at.flow_id, from_client}];
    frame.has_fields = true;
    for (const dataplane::HttpHeader& field : fields) frame.fields.emplace_back(field.name, field.value);
  }
  void OnFrameError(const StreamContext& at, bool from_client, dataplane::Http2Error error) override {
    open_[{at.flow_id, from_client}].error = error;
  }
  void OnFrameEnd(const StreamContext& at, bool from_client) override {
    const auto found = open_.find({at.flow_id, from_client});
    if (found == open_.end()) return;
    const Frame& frame = found->second;
    JsonLine line;
    AddEndpoints(at, from_client, &line);
    line.Number("length", frame.header.length)
        .Number("type", frame.header.type)
        .Number("flags", frame.header.flags)
        .Number("stream_identifier", frame.header.stream_id);
    if (frame.error == dataplane::Http2Error::kNone) {
      line.Raw("frame_payload", Http2PayloadJson(frame.header, frame.payload)).Null("error");
    } else {
      line.Null("frame_payload").Raw("error", "[" + std::to_string(static_cast<int>(frame.error)) + "]");
    }
    if (frame.has_fields) line.Raw("headers", FieldsJson(frame));
    line.Print(out_);
    open_.erase(found);
  }

  static std::string FieldsJson(const Frame& frame) {
    std::string json = "[";
    for (const auto& [name, value] : frame.fields) {
      json += json.size() > 1 ? ",[" : "[";
      AppendJsonText(name, &json);
      json += ',';
      AppendJsonText(value, &json);
      json += ']';
    }
    return json + "]";
  }

  std::map<Direction, Frame> open_;
  std::FILE* const out_;
};

// --layer stream
class StreamLines final : public dataplane::StreamObserver {
 public:
  explicit StreamLines(std::FILE* out) : out_(out) {}
  void OnStreamBytes(const StreamContext& at, bool from_client, uint64_t skipped,
                     Bytes data) override {
    Stream& stream = streams_[{at.flow_id, from_client}];
    stream.at = at;
    if (stream.digest == nullptr) {
      stream.digest.reset(EVP_MD_CTX_new());
      EVP_DigestInit_ex(stream.digest.get(), EVP_sha256(), nullptr);
    }
    stream.gaps += skipped > 0;
    stream.bytes += data.size();
    EVP_DigestUpdate(stream.digest.get(), data.data(), data.size());
  }
  void OnStreamEnd(const StreamContext& at, bool from_client) override {
    const auto found = streams_.find({at.flow_id, from_client});
    if (found == streams_.end()) return;
    Print(found->second, from_client);
    streams_.erase(found);
  }
  void PrintRest() {
    for (auto& [key, stream] : streams_) Print(stream, key.second);
    streams_.clear();
  }

 private:
  struct FreeDigest {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  struct Stream {
    StreamContext at;
    uint64_t bytes = 0, gaps = 0;
    std::unique_ptr<EVP_MD_CTX, FreeDigest> digest;
  };

  void Print(Stream& stream, bool from_client) {
    if (stream.bytes == 0 && stream.gaps == 0) return;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(stream.digest.get(), digest, &size);
    JsonLine line;
    AddEndpoints(stream.at, from_client, &line);
    line.Number("bytes", stream.bytes)
        .Number("gaps", stream.gaps)
        .Text("sha256", HexOf(Bytes(digest, size)))
        .Print(out_);
  }

  std::map<std::pair<uint64_t, bool>, Stream> streams_;
  std::FILE* const out_;
};

// --layer tls
class TlsLines final : public dataplane::TlsObserver {
 public:
  explicit TlsLines(std::FILE* out) : out_(out) {}
  void OnClientHello(const StreamContext& at, const dataplane::ClientHello& hello, std::string_view ja3,
                     std::string_view ja4) override {
    Connection& connection = connections_[at.flow_id];
    Print(&connection);
    JsonLine& line = connection.line;
    AddEndpoints(at, true, &line);
    std::string alpn;
    dataplane::ForEachAlpn(hello.alpn, [&](std::string_view name) {
      if (!alpn.empty()) alpn += ',';
      alpn += name;
    });
    line.Text("sni", hello.sni).Text("ja3", ja3).Text("ja4", ja4).Text("alpn", alpn);
    line.Number("client_version", hello.version_best)
        .Bool("ech", hello.ech)
        .Bool("early_data", hello.early_data)
        .Bool("resumes", hello.resumes)
        .Bool("malformed", hello.malformed);
    connection.pending = true;
  }
  void OnServerHello(const StreamContext& at, const dataplane::ServerHello& hello, std::string_view ja3s) override {
    Connection& connection = connections_[at.flow_id];
    if (!connection.pending) return;
    connection.line.Number("version", hello.version_chosen)
        .Number("cipher", hello.cipher)
        .Text("ja3s", ja3s)
        .Text("server_alpn", hello.alpn)
        .Bool("retry", hello.retry);
    Print(&connection);
  }
  void OnTlsContent(const StreamContext&, bool, Bytes) override {}
  // Hellos that got no answer.
  void PrintRest() {
    for (auto& [id, connection] : connections_) Print(&connection);
    connections_.clear();
  }

 private:
  struct Connection {
    JsonLine line;
    bool pending = false;
  };
  void Print(Connection* connection) {
    if (!std::exchange(connection->pending, false)) return;
    connection->line.Print(out_);
  }

  std::map<uint64_t, Connection> connections_;
  std::FILE* const out_;
};

class NoOutput final : public dataplane::WorkerOutput {
 public:
  void OnExchange(const dataplane::ExchangeView&) override {}
  void OnFlowRecord(const dataplane::FlowRecord&) override {}
};

}  // namespace

Status InspectHttp(std::span<const std::string> captures, const dataplane::WorkerOptions& options,
                   std::FILE* out) {
  NoOutput output;
  HttpLines lines(out);
  return RunCaptures(captures, options, &lines, &output, nullptr);
}

Status InspectHttp2(std::span<const std::string> captures, const dataplane::WorkerOptions& options,
                    std::FILE* out) {
  NoOutput output;
  Http2Lines lines(out);
  return RunCaptures(captures, options, &lines, &output, nullptr);
}

Status InspectWebSocket(std::span<const std::string> captures, const dataplane::WorkerOptions& options,
                    std::FILE* out) {
  NoOutput output;
  WebSocketLines lines(out);
  return RunCaptures(captures, options, &lines, &output, nullptr);
}

Status InspectStreams(std::span<const std::string> captures,
                      const dataplane::WorkerOptions& options, std::FILE* out) {
  NoOutput output;
  NoHttp http;
  StreamLines lines(out);
  const Status status = RunCaptures(captures, options, &http, &output, &lines);
  lines.PrintRest();
  return status;
}

Status InspectTls(std::span<const std::string> captures, const dataplane::WorkerOptions& options, std::FILE* out) {
  NoOutput output;
  NoHttp http;
  TlsLines lines(out);
  const Status status = RunCaptures(captures, options, &http, &output, nullptr, &lines);
  lines.PrintRest();
  return status;
}

}  // namespace stillwatch
