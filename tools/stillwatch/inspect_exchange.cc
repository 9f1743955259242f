#include "tools/stillwatch/inspect_exchange.h"

#include <arpa/inet.h>

#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/time_format.h"
#include "dataplane/engine/side_joiner.h"

namespace stillwatch {
namespace {

using namespace dataplane;  // NOLINT: one file, one layer
using Json = nlohmann::ordered_json;

struct Call {
  std::string name, arguments;
};

struct MessageText {
  std::string role, text;
};

// What is remembered of an exchange until its line is printed.
struct Gathered {
  std::vector<std::string> roles, tools;
  std::vector<Call> calls;
  std::string response_model, finish, error;
  int64_t seed = -1;
  // Only with show_text:
  std::string system_text, last_user_text, text, reasoning;
  std::vector<MessageText> messages;
};

std::string AddressText(const ClientAddress& address) {
  if (address.length == 0) return "";
  char text[INET6_ADDRSTRLEN];
  inet_ntop(address.length == 4 ? AF_INET : AF_INET6, address.bytes, text, sizeof text);
  return text;
}

void AddLine(std::string_view part, std::string* text) {
  if (!text->empty()) *text += '\n';
  *text += part;
}

std::string Hex64(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

Json Optional(bool present, Json value) { return present ? std::move(value) : Json(nullptr); }
Json OrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

// Names of what went wrong or is missing.
Json Marks(uint32_t flags) {
  static constexpr std::pair<uint32_t, const char*> kNames[] = {
      {kAmbiguous, "ambiguous"},
      {kMalformedRequest, "malformed_request"},
      {kMalformedResponse, "malformed_response"},
      {kBodyTooLarge, "body_too_large"},
      {kGapInStream, "gap_in_stream"}};
  Json marks = Json::array();
  for (const auto& [flag, name] : kNames) {
    if ((flags & flag) != 0) marks.push_back(name);
  }
  return marks;
}

class Inspector final : public ExchangeInspector, private WorkerOutput, private ExchangeTextObserver {
 public:
  explicit Inspector(const InspectExchangeOptions& options)
      : options_(options), llm_(MakeLlmObserver(options.llm, this, this)) {}

  HttpObserver* http() override { return llm_.get(); }
  WorkerOutput* output() override { return this; }
  void RegisterCounters(CounterRegistry* registry) override { llm_->RegisterCounters(registry); }

 private:
  void OnExchange(const ExchangeView&) override {}
  void OnFlowRecord(const FlowRecord&) override {}
  void OnConnection(const ConnectionNote& note) override { sides_.OnNote(note); }
  void OnDropped(const void* exchange) override { open_.erase(exchange); }

  void OnRequest(const void* exchange, const RequestView& request) override {
    Gathered& g = open_[exchange];
    for (const auto name : request.tool_names) g.tools.emplace_back(name);
    for (const RequestMessage& message : request.messages) g.roles.emplace_back(message.role_name);
    if ((request.flags & kHasSeed) != 0) g.seed = static_cast<int64_t>(request.seed);
    if (!options_.show_text) return;
    for (const TextPiece& piece : request.system) AddLine(piece.text, &g.system_text);
    for (const RequestMessage& message : request.messages) {
      MessageText out{std::string(message.role_name), ""};
      std::string own;  // text that is no tool result
      for (const TextPiece& piece : request.PiecesOf(message)) {
        AddLine(piece.text, &out.text);
        if (piece.kind == PieceKind::kText) AddLine(piece.text, &own);
      }
      if (message.role == Role::kUser) g.last_user_text = own;
      g.messages.push_back(std::move(out));
    }
  }

  void OnOutput(const void* exchange, OutputKind kind, std::string_view fragment) override {
    Gathered& g = open_[exchange];
    switch (kind) {
      case OutputKind::kText:
        if (options_.show_text) g.text += fragment;
        break;
      case OutputKind::kReasoning:
        if (options_.show_text) g.reasoning += fragment;
        break;
      case OutputKind::kToolName: g.calls.push_back({std::string(fragment), ""}); break;
      case OutputKind::kToolArguments:
        if (options_.show_text && !g.calls.empty()) g.calls.back().arguments += fragment;
        break;
      case OutputKind::kModel: g.response_model = fragment; break;
      case OutputKind::kFinish: g.finish = fragment; break;
      case OutputKind::kError: g.error = fragment; break;
      case OutputKind::kMoreChoices: break;
    }
  }

  void OnExchange(const void* exchange, const ExchangeView& view, uint64_t events) override {
    const std::string line =
        Line(open_[exchange], view, events).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    std::fwrite(line.data(), 1, line.size(), options_.out);
    open_.erase(exchange);
  }

  Json Line(const Gathered& g, const ExchangeView& view, uint64_t events) {
    ExchangeHeader h = view.header();
    sides_.OnExchange(&h);
    const auto has = [&](uint32_t flag) { return (h.flags & flag) != 0; };
    Json line;
    line["time"] = FormatTime(h.request_start_ns);
    line["dialect"] = NameOf(h.dialect);
    line["api"] = NameOf(h.api);
    line["model"] = view.model();
    line["batch"] = has(kBatched);
    line["stream"] = has(kStreamed);
    line["messages"] = h.turns;
    line["roles"] = g.roles;
    line["temperature"] = Optional(has(kHasTemperature), h.temperature_milli / 1000.0);
    line["top_p"] = Optional(has(kHasTopP), h.top_p_milli / 1000.0);
    line["n"] = Optional(has(kHasN), h.n);
    line["max_tokens"] = Optional(has(kHasMaxTokens), h.max_tokens);
    line["seed"] = Optional(has(kHasSeed), g.seed);
    line["logprobs"] = has(kLogprobs);
    line["logit_bias"] = h.logit_bias_count;
    line["response_format"] = has(kResponseFormat);
    line["reasoning"] = has(kReasoningAsked);
    line["tools"] = g.tools;
    line["status"] = Optional(has(kResponseSeen), h.status);
    line["finish_reason"] = OrNull(g.finish);
    line["finish"] = NameOf(h.finish);
    line["response_model"] = OrNull(g.response_model);
    line["usage"] = {{"input", h.tokens_in}, {"output", h.tokens_out}, {"counted", !has(kHasUsage)}};
    Json calls = Json::array();
    for (const Call& call : g.calls) {
      Json one{{"name", call.name}};
      if (options_.show_text) one["arguments"] = call.arguments;
      calls.push_back(std::move(one));
    }
    line["tool_calls"] = std::move(calls);
    line["error"] = OrNull(g.error);
    line["refusal"] = has(kRefusal);
    line["rate_limited"] = has(kRateLimited);
    line["account"] = Optional(has(kHasKey), HexOf(Bytes(h.key_id, sizeof h.key_id)));
    line["client"] = AddressText(h.client);
    line["client_port"] = Optional(h.client_port != 0, h.client_port);
    line["joined"] = has(kClientJoined);
    line["ja4"] = Optional(h.ja4_hash != 0, Hex64(h.ja4_hash));
    line["request_bytes"] = h.request_bytes;
    line["response_bytes"] = h.response_bytes;
    line["events"] = events;
    line["time_to_first_byte_ms"] =
        Optional(h.first_token_ns != 0, static_cast<double>((h.first_token_ns - h.request_end_ns) / 1000) / 1000.0);
    line["tokens"] = {{"system", h.part_tokens[0]},
                      {"instruction", h.part_tokens[1]},
                      {"tail", h.part_tokens[2]},
                      {"output", h.part_tokens[3]}};
    line["truncated"] = view.truncated(Part::kSystem) || view.truncated(Part::kInstruction) ||
                        view.truncated(Part::kTail) || view.truncated(Part::kOutput);
    line["ids"] = {{"issued", h.ids_issued_count}, {"returned", h.ids_returned_count}};
    line["prefix_chain"] = h.prefix_chain_count;
    line["request_complete"] = has(kRequestComplete);
    line["response_complete"] = has(kResponseComplete);
    line["marks"] = Marks(h.flags);
    if (options_.show_text) {
      line["system_text"] = g.system_text;
      line["last_user_text"] = g.last_user_text;
      Json texts = Json::array();
      for (const MessageText& m : g.messages) texts.push_back({{"role", m.role}, {"text", m.text}});
      line["message_texts"] = std::move(texts);
      line["text"] = g.text;
      line["reasoning_text"] = g.reasoning;
    }
    return line;
  }

  const InspectExchangeOptions options_;
  SideJoiner sides_{1u << 16, 1'200 * kNsPerSecond, Salt{}};
  std::unordered_map<const void*, Gathered> open_;
  std::unique_ptr<LlmObserver> llm_;
};

}  // namespace

std::unique_ptr<ExchangeInspector> MakeExchangeInspector(const InspectExchangeOptions& options) {
  return std::make_unique<Inspector>(options);
}

}  // namespace stillwatch
