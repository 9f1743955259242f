// libFuzzer: any bytes as request and response of any dialect, whole and cut, give the same exchange.
// Byte 0 chooses dialect and response type, byte 1 where the rest is cut; the first 0x00 byte parts request from response.
#include <iterator>
#include <memory>
#include <string_view>
#include <vector>

#include "dataplane/llm/llm_observer.h"
#include "tests/fuzz/target.h"

namespace stillwatch::dataplane {
namespace {

using fuzz::Require;

class Last final : public WorkerOutput {
 public:
  void OnExchange(const ExchangeView& view) override {
    const auto block = view.block();
    bytes = AsText(block);
  }
  void OnFlowRecord(const FlowRecord&) override {}
  std::string bytes;
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

std::string PlayExchange(Bench* bench, std::string_view target, std::string_view type, std::string_view request,
                          std::string_view response, size_t piece) {
  const HttpHeader type_header[] = {{"content-type", type}};
  const HttpHeader key[] = {{"authorization", "Bearer x"}, {"content-type", "application/json"}};
  StreamContext at;
  auto* handle = bench->observer->OnRequestHead(at, 0, {"POST", target, "h", key});
  Require(handle != nullptr);
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
  Require(bench->observer->pool_bytes_used() == 0 && bench->observer->exchanges_in_flight() == 0);
  return bench->last.bytes;
}

}  // namespace
}  // namespace stillwatch::dataplane

std::string stillwatch::fuzz::Play(Bytes data) {
  using namespace stillwatch::dataplane;
  static Bench bench;
  if (data.size() < 3) return {};
  static constexpr std::string_view kTargets[] = {
      "/v1/chat/completions", "/v1/responses", "/v1/messages", "/models/x:generateContent",
      "/models/x:streamGenerateContent", "/model/x/converse-stream", "/model/x/invoke-with-response-stream",
      "/api/chat", "/v1/messages/batches", "/v1/files", "/v1/embeddings", "/unknown"};
  static constexpr std::string_view kTypes[] = {"application/json", "", "text/event-stream", "application/x-ndjson",
                                                "application/vnd.amazon.eventstream"};
  const uint8_t choice = data[0];
  const std::string_view text = AsText(data.subspan(2));
  const size_t cut = text.find('\0');
  const std::string_view request = text.substr(0, cut);
  const std::string_view response = cut == std::string_view::npos ? text : text.substr(cut + 1);
  // At the end of the numbers, so that older inputs keep their target.
  const std::string_view target = choice >= 240 ? "/v1beta/interactions" : kTargets[choice % std::size(kTargets)];
  const std::string_view type = kTypes[choice / std::size(kTargets) % std::size(kTypes)];
  const auto whole = PlayExchange(&bench, target, type, request, response, data.size());
  const auto pieces = PlayExchange(&bench, target, type, request, response, 1 + data[1] % 16);
  Require(whole == pieces);
  return whole;
}
