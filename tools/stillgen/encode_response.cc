#include "tools/stillgen/encode_response.h"

#include <cstdio>
#include <ctime>

#include "tools/stillgen/json_text.h"

namespace stillwatch::stillgen {
namespace {

std::string_view FinishName(Api api, Finish finish) {
  switch (api) {
    case Api::kChat: return finish == Finish::kStop ? "stop" : finish == Finish::kLength ? "length" : "tool_calls";
    case Api::kMessages:
      return finish == Finish::kStop ? "end_turn" : finish == Finish::kLength ? "max_tokens" : "tool_use";
    case Api::kGemini: return finish == Finish::kLength ? "MAX_TOKENS" : "STOP";
    case Api::kResponses: return finish == Finish::kLength ? "incomplete" : "completed";
  }
  return "";
}

void ChatUsage(const Answer& a, JsonText* j) {
  j->Key("usage").Open('{').Key("prompt_tokens").Number(a.tokens_in);
  j->Key("completion_tokens").Number(a.tokens_out + a.reasoning_tokens);
  j->Key("total_tokens").Number(a.tokens_in + a.tokens_out + a.reasoning_tokens);
  j->Key("completion_tokens_details").Open('{').Key("reasoning_tokens").Number(a.reasoning_tokens).Close('}');
  j->Close('}');
}

void ChatCalls(const Answer& a, bool delta, JsonText* j) {
  j->Key("tool_calls").Open('[');
  for (const ToolCall& call : a.calls) {
    j->Open('{');
    if (delta) j->Key("index").Number(0);
    j->Key("id").Text(call.id).Key("type").Text("function").Key("function").Open('{');
    j->Key("name").Text(call.name).Key("arguments").Text(call.arguments).Close('}').Close('}');
  }
  j->Close(']');
}

std::string ChatJson(const RequestFacts& f, const Answer& a, int64_t unix_s) {
  JsonText j;
  j.Open('{').Key("id").Text(a.id).Key("object").Text("chat.completion").Key("created").Number(unix_s);
  j.Key("model").Text(f.model).Key("choices").Open('[').Open('{').Key("index").Number(0);
  j.Key("message").Open('{').Key("role").Text("assistant").Key("content");
  a.text.empty() ? j.Null() : j.Text(a.text);
  if (!a.calls.empty()) ChatCalls(a, false, &j);
  j.Key("refusal").Null().Close('}').Key("logprobs");
  f.logprobs ? j.Raw(R"({"content":[{"token":"The","logprob":-0.21,"bytes":null,"top_logprobs":[]}],"refusal":null})") : j.Null();
  j.Key("finish_reason").Text(FinishName(f.api, a.finish)).Close('}').Close(']');
  ChatUsage(a, &j);
  j.Key("system_fingerprint").Text("fp_7c2a91d4e0").Close('}');
  return std::move(j.text());
}

void ResponsesOutput(const Answer& a, JsonText* j) {
  j->Key("output").Open('[');
  if (!a.text.empty()) {
    j->Open('{').Key("id").Text("msg_" + a.id.substr(5)).Key("type").Text("message");
    j->Key("status").Text("completed").Key("role").Text("assistant").Key("content").Open('[').Open('{');
    j->Key("type").Text("output_text").Key("annotations").Raw("[]").Key("text").Text(a.text);
    j->Close('}').Close(']').Close('}');
  }
  for (const ToolCall& call : a.calls) {
    j->Open('{').Key("id").Text("fc_" + a.id.substr(5)).Key("type").Text("function_call");
    j->Key("status").Text("completed").Key("call_id").Text(call.id).Key("name").Text(call.name);
    j->Key("arguments").Text(call.arguments).Close('}');
  }
  j->Close(']');
}

void ResponsesObject(const RequestFacts& f, const Answer& a, int64_t unix_s, bool finished, JsonText* j) {
  j->Open('{').Key("id").Text(a.id).Key("object").Text("response").Key("created_at").Number(unix_s);
  j->Key("status").Text(finished ? FinishName(f.api, a.finish) : "in_progress").Key("error").Null();
  j->Key("incomplete_details");
  finished && a.finish == Finish::kLength ? j->Raw(R"({"reason":"max_output_tokens"})") : j->Null();
  j->Key("model").Text(f.model);
  if (finished) {
    ResponsesOutput(a, j);
    j->Key("usage").Open('{').Key("input_tokens").Number(a.tokens_in);
    j->Key("output_tokens").Number(a.tokens_out + a.reasoning_tokens);
    j->Key("output_tokens_details").Open('{').Key("reasoning_tokens").Number(a.reasoning_tokens).Close('}');
    j->Key("total_tokens").Number(a.tokens_in + a.tokens_out + a.reasoning_tokens).Close('}');
  } else {
    j->Key("output").Raw("[]").Key("usage").Null();
  }
  j->Close('}');
}

std::string MessagesJson(const RequestFacts& f, const Answer& a) {
  JsonText j;
  j.Open('{').Key("id").Text(a.id).Key("type").Text("message").Key("role").Text("assistant");
  j.Key("model").Text(f.model).Key("content").Open('[');
  if (!a.text.empty()) j.Open('{').Key("type").Text("text").Key("text").Text(a.text).Close('}');
  for (const ToolCall& call : a.calls) {
    j.Open('{').Key("type").Text("tool_use").Key("id").Text(call.id).Key("name").Text(call.name);
    j.Key("input").Raw(call.arguments).Close('}');
  }
  j.Close(']').Key("stop_reason").Text(FinishName(f.api, a.finish)).Key("stop_sequence").Null();
  j.Key("usage").Open('{').Key("input_tokens").Number(a.tokens_in);
  j.Key("output_tokens").Number(a.tokens_out + a.reasoning_tokens).Close('}').Close('}');
  return std::move(j.text());
}

std::string GeminiJson(const RequestFacts& f, const Answer& a, std::string_view text, bool last) {
  JsonText j({.spaced = f.stream});
  j.Open('{').Key("candidates").Open('[').Open('{').Key("content").Open('{').Key("parts").Open('[');
  if (!text.empty()) j.Open('{').Key("text").Text(text).Close('}');
  if (last) {
    for (const ToolCall& call : a.calls) {
      j.Open('{').Key("functionCall").Open('{').Key("name").Text(call.name);
      j.Key("args").Raw(call.arguments).Close('}').Close('}');
    }
  }
  j.Close(']').Key("role").Text("model").Close('}');
  if (last) j.Key("finishReason").Text(FinishName(f.api, a.finish));
  j.Key("index").Number(0).Close('}').Close(']');
  j.Key("usageMetadata").Open('{').Key("promptTokenCount").Number(a.tokens_in);
  if (last) {
    j.Key("candidatesTokenCount").Number(a.tokens_out);
    if (a.reasoning_tokens > 0) j.Key("thoughtsTokenCount").Number(a.reasoning_tokens);
  }
  j.Key("totalTokenCount").Number(a.tokens_in + (last ? a.tokens_out + a.reasoning_tokens : 0)).Close('}');
  j.Key("modelVersion").Text(f.model).Key("responseId").Text(a.id).Close('}');
  return std::move(j.text());
}

std::string ErrorJson(Api api, int retry_after_s) {
  const std::string wait = std::to_string(retry_after_s);
  switch (api) {
    case Api::kMessages:
      return R"({"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your )"
             R"(rate limit. Try again in )" + wait + "s.\"}}";
    case Api::kGemini:
      return R"({"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).",)"
             R"("status":"RESOURCE_EXHAUSTED"}})";
    default:
      return R"({"error":{"message":"Rate limit reached. Please try again in )" + wait +
             R"(s.","type":"tokens","param":null,"code":"rate_limit_exceeded"}})";
  }
}

// The events of a streamed answer, without chunk framing. Deltas are a few tokens long.
class EventList {
 public:
  void Add(std::string_view name, std::string_view data) {
    std::string event;
    if (!name.empty()) event.append("event: ").append(name).append("\n");
    event.append("data: ").append(data).append("\n\n");
    events_.push_back(std::move(event));
  }
  std::vector<std::string>& events() { return events_; }

 private:
  std::vector<std::string> events_;
};

// Cuts at UTF-8 borders into stretches of about `size` bytes.
std::vector<std::string_view> Deltas(std::string_view text, size_t size) {
  std::vector<std::string_view> deltas;
  while (!text.empty()) {
    size_t cut = std::min(size, text.size());
    while (cut < text.size() && (static_cast<uint8_t>(text[cut]) & 0xc0) == 0x80) ++cut;
    deltas.push_back(text.substr(0, cut));
    text.remove_prefix(cut);
  }
  return deltas;
}

void ChatEvents(const RequestFacts& f, const Answer& a, int64_t unix_s, size_t delta, EventList* out) {
  const auto chunk = [&](auto&& fill_delta, std::string_view finish) {
    JsonText j;
    j.Open('{').Key("id").Text(a.id).Key("object").Text("chat.completion.chunk").Key("created").Number(unix_s);
    j.Key("model").Text(f.model).Key("choices").Open('[').Open('{').Key("index").Number(0).Key("delta").Open('{');
    fill_delta(&j);
    j.Close('}').Key("logprobs").Null().Key("finish_reason");
    finish.empty() ? j.Null() : j.Text(finish);
    j.Close('}').Close(']').Close('}');
    out->Add("", j.text());
  };
  chunk([](JsonText* j) { j->Key("role").Text("assistant").Key("content").Text(""); }, "");
  for (std::string_view part : Deltas(a.text, delta)) {
    chunk([&](JsonText* j) { j->Key("content").Text(part); }, "");
  }
  if (!a.calls.empty()) chunk([&](JsonText* j) { ChatCalls(a, true, j); }, "");
  chunk([](JsonText*) {}, FinishName(f.api, a.finish));
  JsonText j;
  j.Open('{').Key("id").Text(a.id).Key("object").Text("chat.completion.chunk").Key("created").Number(unix_s);
  j.Key("model").Text(f.model).Key("choices").Raw("[]");
  ChatUsage(a, &j);
  j.Close('}');
  out->Add("", j.text());
  out->Add("", "[DONE]");
}

void ResponsesEvents(const RequestFacts& f, const Answer& a, int64_t unix_s, size_t delta, EventList* out) {
  int sequence = 0;
  const auto add = [&](std::string_view type, auto&& fill) {
    JsonText j;
    j.Open('{').Key("type").Text(type).Key("sequence_number").Number(sequence++);
    fill(&j);
    j.Close('}');
    out->Add(type, j.text());
  };
  add("response.created", [&](JsonText* j) {
    j->Key("response");
    ResponsesObject(f, a, unix_s, false, j);
  });
  const std::string item = "msg_" + a.id.substr(5);
  if (!a.text.empty()) {
    add("response.output_item.added", [&](JsonText* j) {
      j->Key("output_index").Number(0).Key("item").Open('{').Key("id").Text(item);
      j->Key("type").Text("message").Key("status").Text("in_progress").Key("content").Raw("[]");
      j->Key("role").Text("assistant").Close('}');
    });
    for (std::string_view part : Deltas(a.text, delta)) {
      add("response.output_text.delta", [&](JsonText* j) {
        j->Key("item_id").Text(item).Key("output_index").Number(0).Key("content_index").Number(0);
        j->Key("delta").Text(part);
      });
    }
    add("response.output_text.done", [&](JsonText* j) {
      j->Key("item_id").Text(item).Key("output_index").Number(0).Key("content_index").Number(0);
      j->Key("text").Text(a.text);
    });
  }
  add(a.finish == Finish::kLength ? "response.incomplete" : "response.completed", [&](JsonText* j) {
    j->Key("response");
    ResponsesObject(f, a, unix_s, true, j);
  });
}

void MessagesEvents(const RequestFacts& f, const Answer& a, size_t delta, EventList* out) {
  JsonText start;
  start.Open('{').Key("type").Text("message_start").Key("message").Open('{').Key("id").Text(a.id);
  start.Key("type").Text("message").Key("role").Text("assistant").Key("model").Text(f.model);
  start.Key("content").Raw("[]").Key("stop_reason").Null().Key("stop_sequence").Null();
  start.Key("usage").Open('{').Key("input_tokens").Number(a.tokens_in).Key("output_tokens").Number(1);
  start.Close('}').Close('}').Close('}');
  out->Add("message_start", start.text());
  int index = 0;
  const auto block = [&](std::string_view content, std::string_view kind, std::string_view key,
                         std::string_view text) {
    const std::string at = std::to_string(index++);
    out->Add("content_block_start",
             "{\"type\":\"content_block_start\",\"index\":" + at + ",\"content_block\":" + std::string(content) + "}");
    for (std::string_view part : Deltas(text, delta)) {
      JsonText j;
      j.Open('{').Key("type").Text("content_block_delta").Key("index").Raw(at).Key("delta").Open('{');
      j.Key("type").Text(kind).Key(key).Text(part).Close('}').Close('}');
      out->Add("content_block_delta", j.text());
    }
    out->Add("content_block_stop", "{\"type\":\"content_block_stop\",\"index\":" + at + "}");
  };
  if (!a.text.empty()) block(R"({"type":"text","text":""})", "text_delta", "text", a.text);
  for (const ToolCall& call : a.calls) {
    JsonText content;
    content.Open('{').Key("type").Text("tool_use").Key("id").Text(call.id).Key("name").Text(call.name);
    content.Key("input").Raw("{}").Close('}');
    block(content.text(), "input_json_delta", "partial_json", call.arguments);
  }
  JsonText end;
  end.Open('{').Key("type").Text("message_delta").Key("delta").Open('{').Key("stop_reason");
  end.Text(FinishName(f.api, a.finish)).Key("stop_sequence").Null().Close('}');
  end.Key("usage").Open('{').Key("output_tokens").Number(a.tokens_out + a.reasoning_tokens).Close('}').Close('}');
  out->Add("message_delta", end.text());
  out->Add("message_stop", R"({"type":"message_stop"})");
}

void GeminiEvents(const RequestFacts& f, const Answer& a, size_t delta, EventList* out) {
  const auto parts = Deltas(a.text, 6 * delta);  // Gemini sends larger stretches
  for (size_t i = 0; i < parts.size(); ++i) {
    out->Add("", GeminiJson(f, a, parts[i], i + 1 == parts.size()));
  }
  if (parts.empty()) out->Add("", GeminiJson(f, a, "", true));
}

std::string Head(const RequestFacts& f, const Answer& a, int64_t unix_s, std::string_view type, Rng& rng) {
  char date[40];
  const std::time_t when = static_cast<std::time_t>(unix_s);
  std::tm parts{};
  gmtime_r(&when, &parts);
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  std::string head = a.status == 200 ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 429 Too Many Requests\r\n";
  head.append("Date: ").append(date).append("\r\nContent-Type: ").append(type).append("\r\n");
  const std::string left = std::to_string(rng.Range(10, 9999));
  switch (f.api) {
    case Api::kMessages:
      head += "request-id: " + RandomId("req_011", 21, rng) + "\r\nanthropic-ratelimit-requests-remaining: " + left;
      break;
    case Api::kGemini:
      head += "Vary: Origin\r\nX-XSS-Protection: 0\r\nServer-Timing: gfet4t7; dur=" + left;
      break;
    default:
      head += "x-request-id: " + RandomId("req_", 32, rng) + "\r\nopenai-version: 2020-10-01\r\n"
              "x-ratelimit-remaining-requests: " + left;
  }
  if (a.status != 200) head += "\r\nRetry-After: " + std::to_string(a.retry_after_s);
  return head + "\r\nConnection: keep-alive\r\n";
}

void AddPiece(std::string_view bytes, Response* response) {
  ResponsePiece piece;
  piece.begin = response->bytes.size();
  response->bytes.append(bytes);
  piece.end = response->bytes.size();
  response->pieces.push_back(piece);
}

std::string Chunk(std::string_view data) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", data.size());
  std::string chunk(size);
  chunk.append(data).append("\r\n");
  return chunk;
}

void EncodeStream(const RequestFacts& f, int64_t unix_s, Rng& rng, Response* response) {
  const Answer& a = response->answer;
  const size_t delta = static_cast<size_t>(rng.Range(12, 60));
  EventList list;
  switch (f.api) {
    case Api::kChat: ChatEvents(f, a, unix_s, delta, &list); break;
    case Api::kResponses: ResponsesEvents(f, a, unix_s, delta, &list); break;
    case Api::kMessages: MessagesEvents(f, a, delta, &list); break;
    case Api::kGemini: GeminiEvents(f, a, delta, &list); break;
  }
  const std::string_view type = f.api == Api::kGemini ? "text/event-stream" : "text/event-stream; charset=utf-8";
  AddPiece(Head(f, a, unix_s, type, rng) + "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n", response);
  // Servers flush every event, or batch a few; an event's chunk may also hold several events.
  const uint64_t batch = rng.Below(3) == 0 ? static_cast<uint64_t>(rng.Range(2, 5)) : 1;
  for (size_t i = 0; i < list.events().size(); i += batch) {
    std::string data;
    for (size_t k = i; k < std::min<size_t>(i + batch, list.events().size()); ++k) data += list.events()[k];
    AddPiece(Chunk(data), response);
  }
  AddPiece("0\r\n\r\n", response);
}

}  // namespace

void EncodeResponse(const RequestFacts& f, int64_t unix_s, Rng& rng, Response* response) {
  const Answer& a = response->answer;
  if (f.stream && a.status == 200) {
    EncodeStream(f, unix_s, rng, response);
    return;
  }
  std::string body;
  if (a.status != 200) {
    body = ErrorJson(f.api, a.retry_after_s);
  } else {
    switch (f.api) {
      case Api::kChat: body = ChatJson(f, a, unix_s); break;
      case Api::kResponses: {
        JsonText j;
        ResponsesObject(f, a, unix_s, true, &j);
        body = std::move(j.text());
        break;
      }
      case Api::kMessages: body = MessagesJson(f, a); break;
      case Api::kGemini: body = GeminiJson(f, a, a.text, true); break;
    }
  }
  const std::string_view type = f.api == Api::kGemini ? "application/json; charset=UTF-8" : "application/json";
  std::string head = Head(f, a, unix_s, type, rng);
  if (rng.Chance(0.15)) {
    AddPiece(head + "Transfer-Encoding: chunked\r\n\r\n" + Chunk(body) + "0\r\n\r\n", response);
  } else {
    AddPiece(head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body, response);
  }
}

}  // namespace stillwatch::stillgen
