// libFuzzer: any bytes as request and response of any dialect, whole and cut, give the same exchange.
// Byte 0 chooses dialect and response type, byte 1 where the rest is cut; the first 0x00 byte parts request from response.
#include <cstdlib>
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

#include "dataplane/llm/llm_observer.h"

namespace {
using namespace stillwatch;
using namespace stillwatch::dataplane;

class Last final : public WorkerOutput {
 public:
  void OnExchange(const ExchangeView& view) override {
    const auto block = view.block();
    bytes.assign(block.begin(), block.end());
    ++exchanges;
  }
  void OnFlowRecord(const FlowRecord&) override {}
  std::vector<uint8_t> bytes;
  uint64_t exchanges = 0;
};

struct Bench {
  Last last;
  std::unique_ptr<LlmObserver> observer;
  Bench() {
    LlmOptions options;
    options.body_bytes_max = 256 << 10;
    options.body_pool_bytes = 8 << 20;
    options.exchanges_max = 4;
    options.streams_max = 2;
    observer = MakeLlmObserver(options, &last);
  }
};

std::vector<uint8_t> Play(Bench* bench, std::string_view target, std::string_view type, std::string_view request,
                          std::string_view response, size_t piece) {
  const HttpHeader type_header[] = {{"content-type", type}};
  const HttpHeader key[] = {{"authorization", "Bearer x"}, {"content-type", "application/json"}};
  StreamContext at;
  auto* handle = bench->observer->OnRequestHead(at, 0, {"POST", target, "h", key});
  if (handle == nullptr) std::abort();
  for (size_t i = 0; i < request.size(); i += piece) {
    const std::vector<uint8_t> copy(request.begin() + i, request.begin() + std::min(i + piece, request.size()));
    bench->observer->OnRequestBody(at, handle, copy);
  }
  bench->observer->OnRequestEnd(at, handle);
  handle = bench->observer->OnResponseHead(at, handle, 0, {200, type_header});
  for (size_t i = 0; i < response.size(); i += piece) {
    const std::vector<uint8_t> copy(response.begin() + i, response.begin() + std::min(i + piece, response.size()));
    bench->observer->OnResponseBody(at, handle, copy);
  }
  HttpTransactionInfo info;
  info.request_complete = info.response_complete = true;
  bench->last.bytes.clear();
  bench->observer->OnTransactionEnd(at, handle, HttpEnd::kComplete, info);
  if (bench->observer->pool_bytes_used() != 0 || bench->observer->exchanges_in_flight() != 0) std::abort();
  return bench->last.bytes;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Bench bench;
  if (size < 3) return 0;
  static constexpr std::string_view kTargets[] = {
      "/v1/chat/completions", "/v1/responses", "/v1/messages", "/models/x:generateContent",
      "/models/x:streamGenerateContent", "/model/x/converse-stream", "/model/x/invoke-with-response-stream",
      "/api/chat", "/v1/messages/batches", "/v1/files", "/v1/embeddings", "/unknown"};
  static constexpr std::string_view kTypes[] = {"application/json", "", "text/event-stream", "application/x-ndjson",
                                                "application/vnd.amazon.eventstream"};
  const uint8_t choice = data[0];
  const std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);
  const size_t cut = text.find('\0');
  const std::string_view request = text.substr(0, cut);
  const std::string_view response = cut == std::string_view::npos ? text : text.substr(cut + 1);
  const std::string_view target = kTargets[choice % std::size(kTargets)];
  const std::string_view type = kTypes[choice / std::size(kTargets) % std::size(kTypes)];
  const auto whole = Play(&bench, target, type, request, response, size);
  const auto pieces = Play(&bench, target, type, request, response, 1 + data[1] % 16);
  if (whole != pieces) std::abort();
  return 0;
}
