#include "dataplane/llm/dialect.h"

namespace stillwatch::dataplane {

namespace {

// Longer path ends before those that are their end; the most asked first.
constexpr const DialectInfo* kTable[] = {
    &kOpenAiChat, &kAnthropicMessages, &kOpenAiResponses, &kGeminiStream, &kGeminiGenerate, &kGeminiInteractions,
    &kMistralFim, &kMistralAgents, &kOpenAiCompletions,
    &kBedrockConverse, &kBedrockConverseStream, &kBedrockInvoke, &kBedrockInvokeStream,
    &kVertexAnthropicCount, &kVertexAnthropic, &kVertexAnthropicStream, &kVertexMistral, &kVertexMistralStream,
    &kOllamaChat, &kOllamaGenerate, &kOllamaEmbeddings, &kOllamaEmbed,
    &kOpenAiEmbeddings, &kGeminiEmbed, &kGeminiBatchEmbed,
    &kAnthropicCountTokens, &kOpenAiCountTokens, &kGeminiCountTokens, &kVllmTokenize,
    &kOpenAiBatch, &kAnthropicBatches};

// The colon of Google's custom methods may come escaped.
bool EndsWith(std::string_view path, std::string_view end) {
  if (path.ends_with(end)) return true;
  const size_t colon = end.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view method = end.substr(colon + 1);
  if (!path.ends_with(method)) return false;
  path.remove_suffix(method.size());
  if (!path.ends_with("%3A") && !path.ends_with("%3a")) return false;
  return path.substr(0, path.size() - 3).ends_with(end.substr(0, colon));
}

}  // namespace

const DialectInfo* FindRealtime(std::string_view target) {
  std::string_view path = target.substr(0, target.find_first_of("?#"));
  while (path.ends_with('/')) path.remove_suffix(1);
  for (const DialectInfo* info : {&kOpenAiRealtime, &kOpenAiResponsesSocket, &kGeminiLive, &kGeminiLiveConstrained}) {
    if (path.ends_with(info->path_end)) return info;
  }
  return nullptr;
}

const DialectInfo* FindDialect(std::string_view target) {
  std::string_view path = target.substr(0, target.find_first_of("?#"));
  while (path.ends_with('/')) path.remove_suffix(1);
  for (const DialectInfo* info : kTable) {
    if (!EndsWith(path, info->path_end)) continue;
    if (info->path_has.empty() || path.find(info->path_has) != std::string_view::npos) return info;
  }
  return nullptr;
}

bool ReadSamplingField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request) {
  bool flag;
  if (key == "model") {
    json.String(value, &request->model);
  } else if (key == "stream") {
    if (json.Bool(value, &flag) && flag) request->flags |= kStreamed;
  } else if (key == "temperature") {
    if (json.Milli(value, &request->temperature_milli)) request->flags |= kHasTemperature;
  } else if (key == "top_p") {
    if (json.Milli(value, &request->top_p_milli)) request->flags |= kHasTopP;
  } else {
    return false;
  }
  return true;
}

bool ReadOpenAiField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request) {
  uint64_t number;
  if (key == "top_logprobs") {
    if (json.Uint(value, &number) && number != 0) request->flags |= kLogprobs;
  } else if (key == "user" || key == "safety_identifier") {
    json.String(value, &request->end_user);
  } else {
    return ReadSamplingField(json, key, value, request);
  }
  return true;
}

void ReadMaxTokens(JsonReader& json, JsonValue& value, RequestView* request) {
  if (json.Uint(value, &request->max_tokens)) request->flags |= kHasMaxTokens;
}

void ReadTokenCount(JsonReader& json, std::string_view name, OutputDigest* output) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    uint64_t tokens;
    if (key == name && json.Uint(value, &tokens)) output->UsageIn(tokens);
    if (key == "error" && NotNull(json, value)) ReadError(json, value, output);
  });
}

void ReadError(JsonReader& json, JsonValue& value, OutputDigest* output) {
  std::string_view type, code, status;
  if (json.TypeOf(value) == JsonType::string) {
    json.String(value, &type);
  } else {
    json.Fields(value, [&](std::string_view key, JsonValue field) {
      if (key == "type") json.String(field, &type);
      if (key == "code") json.String(field, &code);
      if (key == "status") json.String(field, &status);  // Google
    });
  }
  const auto limited = [](std::string_view name) {
    return name == "rate_limit_exceeded" || name == "rate_limit_error" || name == "insufficient_quota" ||
           name == "RESOURCE_EXHAUSTED" || name == "rate_limit_reached" || name == "tokens" ||
           name == "requests";
  };
  if (code == "content_filter") output->Flag(kRefusal);  // Azure, of a prompt
  output->Error(!status.empty() ? status : !type.empty() ? type : code,
                limited(type) || limited(code) || limited(status));
}

}  // namespace stillwatch::dataplane
