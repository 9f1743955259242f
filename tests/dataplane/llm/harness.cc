#include "harness.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace stillwatch::dataplane::testing {

void Recorder::OnExchange(const ExchangeView& view) {
  ++exchanges;
  seen.header = view.header();
  const auto copy = [](const auto span) { return std::vector(span.begin(), span.end()); };
  seen.prefix_chain = copy(view.prefix_chain());
  seen.issued = copy(view.ids_issued());
  seen.returned = copy(view.ids_returned());
  for (size_t p = 0; p < kParts; ++p) seen.tokens[p] = copy(view.tokens(static_cast<Part>(p)));
}

void Recorder::OnRequest(const void*, const RequestView& request) {
  seen.request = true;
  seen.model = request.model;
  seen.end_user = request.end_user;
  seen.request_flags = request.flags;
  seen.text_input = request.text_input;
  seen.turns = request.turns;
  seen.max_tokens = request.max_tokens;
  seen.n = request.n;
  seen.temperature_milli = request.temperature_milli;
  seen.top_p_milli = request.top_p_milli;
  for (const TextPiece& piece : request.system) {
    seen.system_text += (seen.system_text.empty() ? "" : "\n") + std::string(piece.text);
  }
  for (const RequestMessage& message : request.messages) {
    SeenMessage out{message.role, std::string(message.role_name), "", ""};
    for (const TextPiece& piece : request.PiecesOf(message)) {
      if (piece.kind == PieceKind::kText) {
        out.text += (out.text.empty() ? "" : "\n") + std::string(piece.text);
      }
      if (piece.kind == PieceKind::kToolResult) out.tool_text += piece.text;
    }
    seen.messages.push_back(std::move(out));
  }
  for (const auto name : request.tool_names) seen.tools.emplace_back(name);
  for (const auto id : request.ids_returned) seen.ids_returned.emplace_back(id);
}

void Recorder::OnOutput(const void*, OutputKind kind, std::string_view fragment) {
  switch (kind) {
    case OutputKind::kText: seen.text += fragment; break;
    case OutputKind::kReasoning: seen.reasoning += fragment; break;
    case OutputKind::kToolName: seen.calls.push_back({std::string(fragment), ""}); break;
    case OutputKind::kToolArguments:
      if (seen.calls.empty()) seen.calls.push_back({"", ""});  // a cut body can lose the name
      seen.calls.back().arguments += fragment;
      break;
    case OutputKind::kModel: seen.response_model = fragment; break;
    case OutputKind::kFinish: seen.finish = fragment; break;
    case OutputKind::kError: seen.error = fragment; break;
    case OutputKind::kMoreChoices: seen.more_choices = true; break;
  }
}

void Recorder::OnExchange(const void*, const ExchangeView&, uint64_t events) {
  seen.emitted = true;
  seen.events = events;
}

void Recorder::OnDropped(const void*) { seen.dropped = true; }

Seen Play(const Case& c, size_t piece, LlmObserver* observer, Recorder* recorder) {
  recorder->seen = Seen();
  StreamContext at;
  at.flow_id = 7;
  at.flow_hash = 70;
  at.packet = 1;
  at.time_ns = 1'000;
  at.client = {{192, 0, 2, 1}, 4};
  const auto headers = [](const auto& pairs) {
    std::vector<HttpHeader> out;
    for (const auto& [name, value] : pairs) out.push_back({name, value});
    return out;
  };
  const auto pieces = [&](const std::string& body, auto&& on_piece) {
    for (size_t from = 0; from < body.size(); from += piece) {
      ++at.packet;
      at.time_ns += 10;
      // A copy of its own size, so that a sanitizer sees reads beside it.
      const std::string_view part = std::string_view(body).substr(from, piece);
      const std::unique_ptr<uint8_t[]> copy(new uint8_t[part.size()]);
      std::copy(part.begin(), part.end(), copy.get());
      on_piece(Bytes(copy.get(), part.size()));
    }
  };
  const auto request_headers = headers(c.request_headers);
  HttpRequestHead head{c.method, c.target, c.host, request_headers};
  HttpObserver::Handle handle = observer->OnRequestHead(at, 0, head);
  if (handle != nullptr) {
    pieces(c.request, [&](Bytes data) { observer->OnRequestBody(at, handle, data); });
    if (c.complete) observer->OnRequestEnd(at, handle);
  }
  if (c.with_response) {
    const auto response_headers = headers(c.response_headers);
    handle = observer->OnResponseHead(at, handle, 0, {c.status, response_headers});
    if (handle != nullptr) {
      pieces(c.response, [&](Bytes data) { observer->OnResponseBody(at, handle, data); });
    }
  }
  HttpTransactionInfo info;
  info.request_complete = info.response_complete = c.complete;
  if (handle != nullptr) {
    observer->OnTransactionEnd(at, handle, c.complete ? HttpEnd::kComplete : HttpEnd::kFlowEnded, info);
  }
  EXPECT_EQ(observer->exchanges_in_flight(), 0u);
  EXPECT_EQ(observer->pool_bytes_used(), 0u);
  return recorder->seen;
}

Seen Play(const Case& c, size_t piece, const LlmOptions* options) {
  Recorder recorder;
  const auto observer = MakeLlmObserver(options != nullptr ? *options : SmallOptions(), &recorder, &recorder);
  return Play(c, piece, observer.get(), &recorder);
}

LlmOptions SmallOptions() {
  LlmOptions options;
  options.body_pool_bytes = 16 << 20;
  options.exchanges_max = 16;
  options.streams_max = 4;
  return options;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace stillwatch::dataplane::testing
