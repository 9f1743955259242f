// Requests a second through LlmObserver alone: HTTP calls in, exchange blocks out.
#include <benchmark/benchmark.h>

#include <string>

#include "dataplane/llm/llm_observer.h"

namespace {
using namespace stillwatch;
using namespace stillwatch::dataplane;

class Count final : public WorkerOutput {
 public:
  void OnExchange(const ExchangeView& view) override {
    benchmark::DoNotOptimize(view.header().part_hash[1]);
    for (size_t p = 0; p < kParts; ++p) tokens[p] = view.header().part_tokens[p];
    ++exchanges;
  }
  void OnFlowRecord(const FlowRecord&) override {}
  uint64_t exchanges = 0;
  uint32_t tokens[kParts] = {};
};

constexpr const char* kWords[] = {"the", "model", "Explain", "in", "which", "immune", "system", "answer", "of", "a",
                                  "students", "reading", "history", "and", "compare", "two", "methods", "that", "are", "used",
                                  "for", "1984", "energy", "transport,", "finally;", "write", "summary", "without", "jargon.", "(short)"};

std::string Text(size_t bytes, uint64_t seed) {
  std::string text;
  while (text.size() < bytes) {
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    text += kWords[(seed >> 33) % std::size(kWords)];
    text += (seed >> 60) == 0 ? "\\n" : " ";
  }
  return text;
}

std::string ChatRequest(size_t bytes) {
  return R"({"model":"gpt-4o-mini","messages":[{"role":"system","content":")" + Text(bytes / 3, 1) +
         R"("},{"role":"user","content":")" + Text(bytes / 6, 2) + R"("},{"role":"assistant","content":")" +
         Text(bytes / 6, 3) + R"("},{"role":"user","content":")" + Text(bytes / 3, 4) +
         R"("}],"temperature":0.7,"max_tokens":512,"stream":false,"user":"u-1"})";
}

std::string ChatResponse(size_t bytes) {
  return R"({"id":"chatcmpl-9hXyZ0aBcDeFgHiJkLmNoPqRsT","object":"chat.completion","created":1700000000,)"
         R"("model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":")" +
         Text(bytes, 5) +
         R"(","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":520,)"
         R"("completion_tokens":410,"total_tokens":930},"system_fingerprint":"fp_1"})";
}

std::string ChatStream(size_t bytes) {
  const std::string head = R"(data: {"id":"chatcmpl-9hXyZ0aBcDeFgHiJkLmNoPqRsT","object":"chat.completion.chunk",)"
                           R"("created":1700000000,"model":"gpt-4o-mini","system_fingerprint":"fp_1","choices":[{"index":0,)";
  std::string out;
  const std::string text = Text(bytes, 6);
  for (size_t at = 0; at < text.size(); at += 5) {
    std::string piece = text.substr(at, 5);
    for (char& c : piece) c = c == '\\' || c == '"' ? ' ' : c;
    out += head + R"("delta":{"content":")" + piece + R"("},"logprobs":null,"finish_reason":null}]})" + "\n\n";
  }
  out += head + R"("delta":{},"logprobs":null,"finish_reason":"stop"}]})" + "\n\ndata: [DONE]\n\n";
  return out;
}

struct Exchange {
  std::string request, response, type;
};

void Run(benchmark::State& state, const Exchange& exchange) {
  Count count;
  LlmOptions options;
  options.salt = Salt{1};
  options.account_key = "key";
  options.body_pool_bytes = 64 << 20;
  options.exchanges_max = 1024;
  options.streams_max = 64;
  const auto observer = MakeLlmObserver(options, &count);
  const HttpHeader request_headers[] = {
      {"Host", "api.example.com"}, {"Accept-Encoding", "gzip, deflate"}, {"Connection", "keep-alive"},
      {"Accept", "application/json"}, {"Content-Type", "application/json"}, {"User-Agent", "OpenAI/Python 1.51.0"},
      {"X-Stainless-Lang", "python"}, {"X-Stainless-Package-Version", "1.51.0"}, {"X-Stainless-OS", "Linux"},
      {"X-Stainless-Arch", "x64"}, {"Authorization", "Bearer sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"},
      {"Content-Length", "2500"}};
  const HttpHeader response_headers[] = {{"Date", "Wed, 01 Jan 2026 00:00:00 GMT"}, {"Content-Type", exchange.type},
                                         {"Connection", "keep-alive"}, {"x-request-id", "req_0123456789abcdef"},
                                         {"openai-processing-ms", "412"}};
  const HttpRequestHead head{"POST", "/v1/chat/completions", "api.example.com", request_headers};
  StreamContext at;
  HttpTransactionInfo info;
  info.request_complete = info.response_complete = true;
  constexpr size_t kSegment = 1448;
  for (auto _ : state) {
    at.packet += 1;
    at.time_ns += 1000;
    HttpObserver::Handle handle = observer->OnRequestHead(at, info.index, head);
    const Bytes request = AsBytes(exchange.request), response = AsBytes(exchange.response);
    for (size_t i = 0; i < request.size(); i += kSegment) {
      observer->OnRequestBody(at, handle, request.subspan(i, std::min(kSegment, request.size() - i)));
    }
    observer->OnRequestEnd(at, handle);
    handle = observer->OnResponseHead(at, handle, info.index, {200, response_headers});
    for (size_t i = 0; i < response.size(); i += kSegment) {
      observer->OnResponseBody(at, handle, response.subspan(i, std::min(kSegment, response.size() - i)));
    }
    observer->OnTransactionEnd(at, handle, HttpEnd::kComplete, info);
    ++info.index;
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["request_bytes"] = static_cast<double>(exchange.request.size());
  state.counters["response_bytes"] = static_cast<double>(exchange.response.size());
  state.counters["tokens_in"] = count.tokens[0] + count.tokens[1] + count.tokens[2];
  state.counters["tokens_out"] = count.tokens[3];
}
BENCHMARK_CAPTURE(Run, chat_2k5_json_2k, Exchange{ChatRequest(2300), ChatResponse(1600), "application/json"});
BENCHMARK_CAPTURE(Run, chat_2k5_stream_2k, Exchange{ChatRequest(2300), ChatStream(1600), "text/event-stream"});
BENCHMARK_CAPTURE(Run, chat_200k_json_2k, Exchange{ChatRequest(200'000), ChatResponse(1600), "application/json"});
}  // namespace
