#include "tools/stillgen/body_scan.h"

#include <charconv>

#include <nlohmann/json.hpp>

namespace stillwatch::stillgen {
namespace {

using Json = nlohmann::json;

void SkipSpace(std::string_view text, size_t* at) {
  while (*at < text.size() && (text[*at] == ' ' || text[*at] == '\n' || text[*at] == '\r' || text[*at] == '\t')) ++*at;
}

// Skips one JSON value and returns it; empty on an end too early. Does not validate inside.
std::string_view TakeValue(std::string_view text, size_t* at) {
  const size_t begin = *at;
  int depth = 0;
  while (*at < text.size()) {
    const char c = text[*at];
    if (c == '"') {
      do {
        *at = text.find_first_of("\"\\", *at + 1);
        if (*at == std::string_view::npos) return {};
        if (text[*at] == '\\') ++*at;
        else break;
      } while (true);
      ++*at;
      if (depth == 0) return text.substr(begin, *at - begin);
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') {
      if (depth == 0) return text.substr(begin, *at - begin);
      if (--depth == 0) {
        ++*at;
        return text.substr(begin, *at - begin);
      }
    }
    if (c == ',' && depth == 0) return text.substr(begin, *at - begin);
    ++*at;
  }
  return {};
}

std::string_view Unquoted(std::string_view value) {
  return value.size() >= 2 && value[0] == '"' ? value.substr(1, value.size() - 2) : std::string_view{};
}

size_t CountOf(std::string_view text, std::string_view word) {
  size_t count = 0;
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + word.size())) ++count;
  return count;
}

// Names of declared tools: strings behind "name" keys (a schema's property called name is an object).
void ToolNames(std::string_view tools, std::vector<std::string_view>* names) {
  for (size_t at = tools.find("\"name\""); at != std::string_view::npos; at = tools.find("\"name\"", at)) {
    at = tools.find(':', at) + 1;
    SkipSpace(tools, &at);
    if (at < tools.size() && tools[at] == '"') names->push_back(Unquoted(TakeValue(tools, &at)));
  }
}

void TakeField(Api api, std::string_view key, std::string_view value, RequestFacts* facts) {
  if (key == "model") facts->model = Unquoted(value);
  if (key == "stream") facts->stream = value.starts_with("true");
  if (key == "tools") ToolNames(value, &facts->tool_names);
  if (key == "max_tokens" || key == "max_completion_tokens" || key == "max_output_tokens") {
    std::from_chars(value.data(), value.data() + value.size(), facts->max_tokens);
  }
  if (key == "reasoning_effort" || key == "reasoning" || key == "thinking") facts->reasoning = true;
  if (key == "response_format" || key == "text") facts->json_output = value.find("json_object") != std::string_view::npos;
  if (key == "generationConfig") {
    facts->json_output = value.find("application/json") != std::string_view::npos;
    facts->reasoning = value.find("thinkingConfig") != std::string_view::npos;
    if (const size_t at = value.find("\"maxOutputTokens\""); at != std::string_view::npos) {
      size_t number = value.find(':', at) + 1;
      SkipSpace(value, &number);
      std::from_chars(value.data() + number, value.data() + value.size(), facts->max_tokens);
    }
  }
  if (key == "messages" || key == "input" || key == "contents") {
    // Inside JSON strings quotes are escaped, so these match structure only.
    static constexpr std::string_view kResult[] = {"\"tool_call_id\"", "\"function_call_output\"", "\"tool_result\"",
                                                   "\"functionResponse\""};
    facts->tool_results = static_cast<int>(CountOf(value, kResult[static_cast<int>(api)]));
  }
}

void ChatAnswer(const Json& j, Answer* a) {
  a->id = j.value("id", a->id);
  if (!j.contains("choices") || j["choices"].empty()) return;
  const Json& choice = j["choices"][0];
  const Json& message = choice.contains("message") ? choice["message"] : choice.value("delta", Json::object());
  if (message.contains("content") && message["content"].is_string()) a->text += message["content"].get<std::string>();
  if (message.contains("tool_calls")) {
    for (const Json& call : message["tool_calls"]) {
      a->calls.push_back({call.at("id"), call.at("function").at("name"), call.at("function").at("arguments")});
    }
  }
}

void ResponsesAnswer(const Json& j, Answer* a) {
  a->id = j.value("id", a->id);
  for (const Json& item : j.value("output", Json::array())) {
    if (item.value("type", "") == "message") a->text += item.at("content").at(0).at("text").get<std::string>();
    if (item.value("type", "") == "function_call") {
      a->calls.push_back({item.at("call_id"), item.at("name"), item.at("arguments")});
    }
  }
}

void MessagesAnswer(const Json& j, Answer* a) {
  a->id = j.value("id", a->id);
  for (const Json& block : j.value("content", Json::array())) {
    if (block.value("type", "") == "text") a->text += block.at("text").get<std::string>();
    if (block.value("type", "") == "tool_use") a->calls.push_back({block.at("id"), block.at("name"), block.at("input").dump()});
  }
}

void MessagesEvent(const Json& j, Answer* a) {
  const std::string type = j.value("type", "");
  if (type == "message_start") a->id = j.at("message").value("id", "");
  if (type == "content_block_start" && j.at("content_block").value("type", "") == "tool_use") {
    a->calls.push_back({j["content_block"].at("id"), j["content_block"].at("name"), ""});
  }
  if (type == "content_block_delta") {
    const Json& delta = j.at("delta");
    if (delta.contains("text")) a->text += delta["text"].get<std::string>();
    if (delta.contains("partial_json") && !a->calls.empty()) a->calls.back().arguments += delta["partial_json"].get<std::string>();
  }
}

void GeminiAnswer(const Json& j, Answer* a) {
  a->id = j.value("responseId", a->id);
  if (!j.contains("candidates") || j["candidates"].empty()) return;
  for (const Json& part : j["candidates"][0].at("content").value("parts", Json::array())) {
    if (part.contains("text")) a->text += part["text"].get<std::string>();
    if (part.contains("functionCall")) {
      a->calls.push_back({"", part["functionCall"].at("name"), part["functionCall"].at("args").dump()});
    }
  }
}

// One whole answer, or one event of a streamed one.
void Take(Api api, bool event, const Json& j, Answer* a) {
  switch (api) {
    case Api::kChat: ChatAnswer(j, a); break;
    case Api::kResponses:
      if (!event) ResponsesAnswer(j, a);
      else if (const std::string type = j.value("type", ""); type == "response.completed" || type == "response.incomplete") {
        ResponsesAnswer(j.at("response"), a);
      }
      break;
    case Api::kMessages: event ? MessagesEvent(j, a) : MessagesAnswer(j, a); break;
    case Api::kGemini: GeminiAnswer(j, a); break;
  }
}

}  // namespace

std::optional<Api> ApiOfTarget(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  if (path == "/v1/chat/completions") return Api::kChat;
  if (path == "/v1/responses") return Api::kResponses;
  if (path == "/v1/messages") return Api::kMessages;
  if (path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent")) return Api::kGemini;
  return std::nullopt;
}

bool ScanRequest(Api api, std::string_view target, std::string_view body, RequestFacts* facts) {
  facts->api = api;
  facts->body_bytes = body.size();
  if (api == Api::kGemini) {
    const size_t colon = target.find(':'), slash = target.rfind('/', colon);
    facts->model = target.substr(slash + 1, colon - slash - 1);
    facts->stream = target.substr(colon).starts_with(":stream");
  }
  size_t at = 0;
  SkipSpace(body, &at);
  if (at >= body.size() || body[at] != '{') return false;
  ++at;
  for (;;) {
    SkipSpace(body, &at);
    if (at < body.size() && body[at] == '}') return true;
    const std::string_view key = Unquoted(TakeValue(body, &at));
    SkipSpace(body, &at);
    if (key.empty() || at >= body.size() || body[at] != ':') return false;
    ++at;
    SkipSpace(body, &at);
    const std::string_view value = TakeValue(body, &at);
    if (value.empty()) return false;
    TakeField(api, key, value, facts);
    SkipSpace(body, &at);
    if (at < body.size() && body[at] == ',') ++at;
  }
}

bool ReadAnswer(Api api, int status, bool stream, std::string_view body, Answer* answer) {
  answer->status = status;
  if (status != 200) return true;
  try {
    if (!stream) {
      Take(api, false, Json::parse(body), answer);
      return true;
    }
    while (!body.empty()) {
      const size_t end = std::min(body.find('\n'), body.size());
      const std::string_view line = body.substr(0, end);
      body.remove_prefix(std::min(end + 1, body.size()));
      if (line.starts_with("data: {")) Take(api, true, Json::parse(line.substr(6)), answer);
    }
    return !answer->id.empty();
  } catch (const Json::exception&) {
    return false;
  }
}

}  // namespace stillwatch::stillgen
