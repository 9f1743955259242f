// One model API: how to know it and how to read its bodies. To add one: a file with three functions like
// gemini.cc, a row in dialect.cc's table, cases in tests/data/llm-bodies.
//
// The functions are pure walks over the JsonReader's document; they keep nothing, accept any JSON, and
// stop where it stops making sense. They set RequestView::shape when the body is what the API needs, since
// a path alone proves nothing.
#pragma once

#include <span>
#include <string_view>

#include "dataplane/llm/json_reader.h"
#include "dataplane/llm/output_digest.h"
#include "dataplane/llm/request_view.h"

namespace stillwatch::dataplane {

// Where an API's clients put their credential, in the order in which its servers look.
enum class CredentialPlace : uint8_t { kNone, kAuthorization, kXApiKey, kApiKey, kGoogApiKey, kQueryKey };

struct DialectInfo {
  Dialect dialect;
  Api api;
  std::string_view path_end;        // of the path without query
  CredentialPlace credentials[5];
  // Model named by the path, "" for none. May be null.
  std::string_view (*path_model)(std::string_view path);
  void (*read_request)(JsonReader& json, RequestView* request);
  void (*read_response)(JsonReader& json, OutputDigest* output);
  // One event of a stream; `type` as the event named it.
  void (*read_event)(JsonReader& json, std::string_view type, OutputDigest* output);
};

// nullptr when no dialect claims the target ("/v1/messages?beta=true").
const DialectInfo* FindDialect(std::string_view target);

// --- shared by dialects ---------------------------------------------------------------------------

// Text of `content`: a string, or an array of strings and of objects with "text". on_text(view) for each.
template <typename OnText>
void ReadTexts(JsonReader& json, JsonValue& content, OnText&& on_text) {
  std::string_view text;
  switch (json.TypeOf(content)) {
    case JsonType::string:
      if (json.String(content, &text)) on_text(text);
      break;
    case JsonType::array:
      json.Items(content, [&](JsonValue& item) {
        std::string_view part;
        if (json.TypeOf(item) == JsonType::string) {
          if (json.String(item, &part)) on_text(part);
          return;
        }
        json.Fields(item, [&](std::string_view key, JsonValue value) {
          if (key == "text" && json.String(value, &part)) on_text(part);
        });
      });
      break;
    default: break;
  }
}

inline bool NotNull(JsonReader& json, JsonValue& value) {
  return !json.Null(value) && !json.failed();
}

// Fields that all but Gemini call alike: model, stream, temperature, top_p. False when `key` is none of them.
bool ReadSamplingField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request);
// Those, and what both APIs of OpenAI call alike: top_logprobs, user, safety_identifier.
bool ReadOpenAiField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request);
// The longest answer allowed, which each API names otherwise.
void ReadMaxTokens(JsonReader& json, JsonValue& value, RequestView* request);

// An array of messages. read_message(json, message, request) for each.
template <typename ReadMessage>
void ReadMessages(JsonReader& json, JsonValue& messages, RequestView* request, ReadMessage&& read_message) {
  request->ClearMessages();
  request->shape = json.TypeOf(messages) == JsonType::array;
  json.Items(messages, [&](JsonValue& message) { read_message(json, message, request); });
}

// The error object that OpenAI and those who copy it send: {type, code, message}, or a string.
void ReadError(JsonReader& json, JsonValue& value, OutputDigest* output);

extern const DialectInfo kOpenAiChat, kOpenAiCompletions, kOpenAiResponses, kAnthropicMessages, kGeminiGenerate,
    kGeminiStream;

}  // namespace stillwatch::dataplane
