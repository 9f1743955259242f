// ns for a request head (in place and over two segments), whole keep-alive exchanges, GB/s of bodies by framing
// and coding, and of event streams.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "dataplane/http/http_connection.h"
#include "dataplane/http/sse.h"
#include "tests/dataplane/http/gzip_data.h"

namespace stillwatch::dataplane {
namespace {

using std::string;

class Counting final : public HttpObserver {
 public:
  Handle OnRequestHead(const StreamContext&, uint64_t, const HttpRequestHead& head) override {
    seen += head.headers.size();
    return this;
  }
  void OnRequestBody(const StreamContext&, Handle, Bytes data) override { seen += data.size(); }
  void OnRequestEnd(const StreamContext&, Handle) override {}
  Handle OnResponseHead(const StreamContext&, Handle, uint64_t,
                        const HttpResponseHead& head) override {
    seen += head.status;
    return this;
  }
  void OnResponseBody(const StreamContext&, Handle, Bytes data) override { seen += data.size(); }
  void OnTransactionEnd(const StreamContext&, Handle, HttpEnd, const HttpTransactionInfo&) override {
  }
  uint64_t seen = 0;
};

// What a client library of a model API sends: 12 fields, about 600 bytes.
string RequestHead(size_t body) {
  return "POST /v1/chat/completions HTTP/1.1\r\n"
         "Host: api.openai.com\r\n"
         "Accept-Encoding: gzip, deflate\r\n"
         "Connection: keep-alive\r\n"
         "Accept: application/json\r\n"
         "Content-Type: application/json\r\n"
         "User-Agent: OpenAI/Python 1.40.6\r\n"
         "X-Stainless-Lang: python\r\n"
         "X-Stainless-Package-Version: 1.40.6\r\n"
         "X-Stainless-OS: Linux\r\n"
         "Authorization: Bearer sk-proj-0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMN\r\n"
         "X-Stainless-Async: false\r\n"
         "Content-Length: " + std::to_string(body) + "\r\n\r\n";
}
string ResponseHead(const string& fields) {
  return "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2029 00:00:00 GMT\r\nContent-Type: application/json\r\n"
         "Connection: keep-alive\r\nopenai-processing-ms: 512\r\nx-ratelimit-remaining-requests: 9999\r\n"
         "x-request-id: req_0123456789abcdef\r\n" + fields + "\r\n";
}

struct Fixture {
  Counting observer;
  std::unique_ptr<HttpShared> shared = MakeHttpShared({}, &observer);
  std::unique_ptr<HttpConnection> connection = MakeHttpConnection(shared.get());
  StreamContext at;

  void Feed(bool from_client, Bytes data) {
    while (!data.empty()) {
      DecodeBudget budget;
      data = data.subspan(connection->Feed(at, from_client, data, &budget));
    }
  }
};

const string kNoContent = "HTTP/1.1 204 No Content\r\n\r\n";

void RequestHeads(benchmark::State& state, bool split) {
  Fixture f;
  const string head = RequestHead(0);
  const Bytes bytes = AsBytes(head);
  for (auto _ : state) {
    if (split) {
      f.Feed(true, bytes.first(300));
      f.Feed(true, bytes.subspan(300));
    } else {
      f.Feed(true, bytes);
    }
    f.Feed(false, AsBytes(kNoContent));
  }
  benchmark::DoNotOptimize(f.observer.seen);
  state.counters["head_bytes"] = static_cast<double>(head.size());
}
BENCHMARK_CAPTURE(RequestHeads, in_place, false);
BENCHMARK_CAPTURE(RequestHeads, two_segments, true);

// The short answer of RequestHeads alone, with a request of two lines: what to subtract.
void ShortestExchange(benchmark::State& state) {
  Fixture f;
  for (auto _ : state) {
    f.Feed(true, AsBytes("GET / HTTP/1.1\r\n\r\n"));
    f.Feed(false, AsBytes(kNoContent));
  }
}
BENCHMARK(ShortestExchange);

// 2 KB requests in two segments, 2 KB answers: one exchange of tools/bench.
void KeepAliveExchange(benchmark::State& state) {
  Fixture f;
  const string request = RequestHead(2'000) + string(2'000, 'q');
  const string response = ResponseHead("Content-Length: 2000\r\n") + string(2'000, 'a');
  for (auto _ : state) {
    f.Feed(true, AsBytes(request).first(1'448));
    f.Feed(true, AsBytes(request).subspan(1'448));
    f.Feed(false, AsBytes(response).first(1'448));
    f.Feed(false, AsBytes(response).subspan(1'448));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(request.size() + response.size()));
}
BENCHMARK(KeepAliveExchange);

string JsonText(size_t size) {
  string text;
  for (int i = 0; text.size() < size; ++i) {
    text += "data: {\"id\":\"chatcmpl-" + std::to_string(i * 7919 % 100'003) +
            "\",\"choices\":[{\"delta\":{\"content\":\" word" + std::to_string(i % 317) + "\"}}]}\n\n";
  }
  return text;
}

enum class Form { kLength, kChunked, kGzip };
void Bodies(benchmark::State& state, Form form) {
  Fixture f;
  const string text = JsonText(1u << 20);
  string response;
  if (form == Form::kLength) {
    response = ResponseHead("Content-Length: " + std::to_string(text.size()) + "\r\n") + text;
  } else if (form == Form::kGzip) {
    const string body = Gzip(text);
    response = ResponseHead("Content-Encoding: gzip\r\nContent-Length: " +
                            std::to_string(body.size()) + "\r\n") + body;
  } else {
    response = ResponseHead("Transfer-Encoding: chunked\r\n");
    for (size_t at = 0; at < text.size(); at += 100) {
      const string piece = text.substr(at, 100);
      char size[16];
      std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
      response += size + piece + "\r\n";
    }
    response += "0\r\n\r\n";
  }
  for (auto _ : state) {
    f.Feed(true, AsBytes("GET / HTTP/1.1\r\n\r\n"));
    for (Bytes rest = AsBytes(response); !rest.empty();) {
      const size_t segment = std::min<size_t>(rest.size(), 1'448);
      f.Feed(false, rest.first(segment));
      rest = rest.subspan(segment);
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}
BENCHMARK_CAPTURE(Bodies, length, Form::kLength);
BENCHMARK_CAPTURE(Bodies, chunks_of_100, Form::kChunked);
BENCHMARK_CAPTURE(Bodies, gzip_decoded, Form::kGzip);

void Sse(benchmark::State& state) {
  const string text = JsonText(1u << 20);
  SseParser parser;
  size_t seen = 0;
  for (auto _ : state) {
    for (Bytes rest = AsBytes(text); !rest.empty();) {
      const size_t segment = std::min<size_t>(rest.size(), 1'448);
      parser.Feed(rest.first(segment), [&](const SseEvent& event) { seen += event.data.size(); });
      rest = rest.subspan(segment);
    }
  }
  benchmark::DoNotOptimize(seen);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
  state.counters["events"] = static_cast<double>(parser.events()) / static_cast<double>(state.iterations());
}
BENCHMARK(Sse);

}  // namespace
}  // namespace stillwatch::dataplane
