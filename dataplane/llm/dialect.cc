#include "dataplane/llm/dialect.h"

namespace stillwatch::dataplane {

const DialectInfo* FindDialect(std::string_view target) {
  std::string_view path = target.substr(0, target.find_first_of("?#"));
  while (path.ends_with('/')) path.remove_suffix(1);
  for (const DialectInfo* info :
       {&kOpenAiChat, &kOpenAiCompletions, &kOpenAiResponses, &kAnthropicMessages, &kGeminiGenerate, &kGeminiStream}) {
    if (path.ends_with(info->path_end)) return info;
  }
  // The colon of Google's custom methods may come escaped.
  const size_t escaped = path.rfind("%3A");
  const size_t lower = path.rfind("%3a");
  const size_t at = escaped == std::string_view::npos ? lower : escaped;
  if (at == std::string_view::npos) return nullptr;
  for (const DialectInfo* info : {&kGeminiGenerate, &kGeminiStream}) {
    if (path.substr(at + 3) == info->path_end.substr(1)) return info;
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
  output->Error(!status.empty() ? status : !type.empty() ? type : code,
                limited(type) || limited(code) || limited(status));
}

}  // namespace stillwatch::dataplane
