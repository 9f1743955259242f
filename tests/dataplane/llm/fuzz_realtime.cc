// libFuzzer: a realtime conversation over WebSocket, from bytes to exchanges, behind an upgrade of HTTP/1.1 or in a stream
// of HTTP/2 (RFC 8441). Whole and in pieces the same exchanges come out, and all memory comes back.
//
// Byte 0: bit 0 HTTP/2, bit 1 permessage-deflate, bits 2 to 4 the API. Byte 1: where to cut. Then records of a command, two
// bytes of length and that many bytes. The command's bit 0 says who speaks (1: the client); bits 1 and 2 what: an event as a
// text message, the same compressed, bytes as they are, the end of a side; bit 3: as a binary message.
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "base/endian.h"
#include "dataplane/http/http_connection.h"
#include "dataplane/http/http_core.h"
#include "dataplane/llm/llm_observer.h"
#include "tests/dataplane/http/gzip_data.h"
#include "tests/dataplane/http/http2_builder.h"
#include "tests/dataplane/http/websocket_talk.h"
#include "tests/fuzz/target.h"

namespace stillwatch::dataplane {
namespace {

using fuzz::Require;

constexpr const char* kTargets[] = {"/v1/realtime?model=gpt-realtime", "/openai/realtime?api-version=2024-10-01-preview&deployment=d",
                                    "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent", "/v1/realtime",
                                    "/v1/responses"};

class Log final : public WorkerOutput {
 public:
  void OnExchange(const ExchangeView& view) override {
    text += std::to_string(KeyedHash64(view.block(), Salt{})) + "\n";
  }
  void OnFlowRecord(const FlowRecord&) override {}
  std::string text;
};

std::string Frame(bool from_client, uint8_t first, const std::string& payload) {
  std::string out(1, static_cast<char>(first));
  const uint8_t mask = from_client ? 0x80 : 0;
  if (payload.size() < 126) {
    out += static_cast<char>(mask | payload.size());
  } else {
    out += static_cast<char>(mask | 126);
    out += {static_cast<char>(payload.size() >> 8), static_cast<char>(payload.size())};
  }
  if (from_client) out += std::string(4, '\0');  // masked with zeros
  return out + payload;
}

// Takes longer to make than an input to play, and is empty again at the end of each.
struct Bench {
  Log log;
  std::unique_ptr<LlmObserver> observer;
  Bench() {
    LlmOptions options;
    options.exchanges_max = 64;
    options.streams_max = 2;
    options.body_bytes_max = 32u << 10;
    options.body_pool_bytes = 2u << 20;
    observer = MakeLlmObserver(options, &log);
  }
};

std::string PlayTalk(Bytes data, size_t piece) {
  const bool http2 = (data[0] & 1) != 0, deflate = (data[0] & 2) != 0;
  const std::string target = kTargets[(data[0] >> 2 & 7) % std::size(kTargets)];
  static Bench bench;
  HttpLimits limits = WebSocketTalk::Small();
  limits.decoded_body_bytes_max = 1u << 20;
  const auto shared = MakeHttpShared(limits, bench.observer.get());
  auto connection = MakeHttpConnection(shared.get(), 0, http2 ? HttpVersion::kHttp2 : HttpVersion::kHttp1, true);
  StreamContext at;
  at.time_ns = at.packet = 1;
  at.client.length = 4;
  const auto say = [&](bool from_client, const std::string& bytes) {
    for (size_t from = 0; from < bytes.size(); from += piece) {
      const size_t now = std::min(piece, bytes.size() - from);
      const std::unique_ptr<uint8_t[]> copy(new uint8_t[now]);
      std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(from), now, copy.get());
      for (size_t used = 0; used < now;) {
        DecodeBudget budget;
        used += connection->Feed(at, from_client, {copy.get() + used, now - used}, &budget);
      }
    }
    ++at.packet;
    at.time_ns += 1'000'000;
  };
  Deflater client, server;
  if (http2) {
    say(true, Preface() + client.Headers(1, {{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "https"}, {":path", target},
                                             {":authority", "h"}, {"authorization", "Bearer sk-fuzz"}}));
    FieldPairs fields = Status("200");
    if (deflate) fields.push_back({"sec-websocket-extensions", "permessage-deflate"});
    say(false, Settings() << server.Headers(1, fields));
  } else {
    say(true, "GET " + target + " HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: Bearer sk-fuzz\r\n\r\n");
    say(false, UpgradeAnswer(deflate ? "permessage-deflate" : ""));
  }
  for (size_t i = 2; i + 3 <= data.size();) {
    const uint8_t command = data[i];
    const size_t length = std::min<size_t>(LoadBe16(&data[i + 1]), data.size() - i - 3);
    const std::string text(AsText(data.subspan(i + 3, length)));
    i += 3 + length;
    const bool from_client = (command & 1) != 0;
    const uint8_t opcode = 0x80 | ((command & 8) != 0 ? kWsBinary : kWsText);
    std::string bytes = text;
    switch (command >> 1 & 3) {
      case 0: bytes = Frame(from_client, opcode, text); break;
      case 1: bytes = Frame(from_client, opcode | 0x40, DeflatedMessage(text, 1)); break;
      case 2: break;
      default:
        if (http2) {
          say(from_client, Data(1, "", true));
        } else {
          connection->End(at, from_client);
        }
        continue;
    }
    if (!http2) {
      say(from_client, bytes);
    } else if (command >> 1 == 2 && (command & 0x10) != 0) {
      say(from_client, bytes);  // in the place of HTTP/2's frames
    } else {
      say(from_client, Data(1, bytes));
    }
  }
  connection->Close(at, HttpEnd::kFlowEnded);
  connection.reset();
  Require(bench.observer->exchanges_in_flight() == 0 && bench.observer->pool_bytes_used() == 0);
  const auto& core = static_cast<HttpCore&>(*shared);
  Require(core.streams.taken() == 0 && core.decoders.taken() == 0 && core.connections.taken() == 0 && core.transactions.taken() == 0);
  return std::exchange(bench.log.text, {});
}

}  // namespace
}  // namespace stillwatch::dataplane

std::string stillwatch::fuzz::Play(Bytes data) {
  using namespace stillwatch::dataplane;
  if (data.size() < 2) return {};
  const std::string whole = PlayTalk(data, 1 << 20);
  Require(whole == PlayTalk(data, 1 + (data[1] & 0x3f)));
  return whole;
}
