// One model API: how to know it and how to read its bodies. To add one: a file with three functions like
// ollama.cc, a row in dialect.cc's table, a case in dialect_cases.h (docs/dialects.md shows it step by step).
//
// The functions are pure walks over the JsonReader's document; they keep nothing, accept any JSON, and
// stop where it stops making sense. They set RequestView::shape when the body is what the API needs, since
// a path alone proves nothing.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <string_view>

#include "dataplane/llm/json_reader.h"
#include "dataplane/llm/output_digest.h"
#include "dataplane/llm/request_view.h"

namespace stillwatch::dataplane {

// Where an API's clients put their credential, in the order in which its servers look.
enum class CredentialPlace : uint8_t { kNone, kAuthorization, kXApiKey, kApiKey, kGoogApiKey, kQueryKey, kSubprotocol };

using CredentialPlaces = std::array<CredentialPlace, 5>;

class RealtimeReader;

// A body that holds many requests.
enum class BatchForm : uint8_t {
  kNone,
  kLines,    // JSONL, also inside multipart: {"url": PATH, "body": {...}} a line
  kObjects,  // {"requests": [{"params": {...}}, ...]}
};

struct DialectInfo {
  Dialect dialect;
  Api api;
  std::string_view path_end;        // of the path without query; ":" also matches its escape
  CredentialPlaces credentials;
  // Model named by the path, "" for none; it is unescaped later. May be null.
  std::string_view (*path_model)(std::string_view path) = nullptr;
  // request->model is the path's; a body that names one overwrites it.
  void (*read_request)(JsonReader& json, RequestView* request) = nullptr;
  void (*read_response)(JsonReader& json, OutputDigest* output) = nullptr;
  // One event of a stream, whatever framed it (SSE, lines of JSON, AWS event stream); `type` as the frame named it.
  void (*read_event)(JsonReader& json, std::string_view type, OutputDigest* output) = nullptr;
  std::string_view path_has = {};   // must stand in the path before path_end
  BatchForm batch = BatchForm::kNone;
  const DialectInfo* batch_of = nullptr;  // of a batch: what its requests are, where they do not say
  bool base64_events = false;       // an event is {"bytes": BASE64 of the JSON}
  // Of a realtime API, instead of the three: one event of either side, which the reader's JSON stands before.
  void (*read_realtime)(RealtimeReader* reader, bool from_client) = nullptr;
};

// nullptr when no dialect claims the target ("/v1/messages?beta=true").
const DialectInfo* FindDialect(std::string_view target);
// The realtime API that a WebSocket's target leads to; nullptr for none.
const DialectInfo* FindRealtime(std::string_view target);
// The profile of APIs that nobody claims; nullptr where the path says that no text is made.
const DialectInfo* GenericDialect(std::string_view target);

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
          if ((key == "text" || key == "transcript") && json.String(value, &part)) on_text(part);
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

// A message whose content is a text or an array of blocks. read_block(json, block, request) for each.
template <typename ReadBlock>
void ReadMessageOfBlocks(JsonReader& json, JsonValue& message, RequestView* request, ReadBlock&& read_block) {
  std::string_view role, text;
  request->BeginMessage();
  json.Fields(message, [&](std::string_view key, JsonValue value) {
    if (key == "role") {
      json.String(value, &role);
    } else if (key == "content") {
      if (json.TypeOf(value) == JsonType::string) {
        if (json.String(value, &text)) request->AddPiece(PieceKind::kText, text);
      } else {
        json.Items(value, [&](JsonValue& block) { read_block(json, block, request); });
      }
    }
  });
  request->EndMessage(role);
}

// An answer that counts the tokens of a request, under `name`.
void ReadTokenCount(JsonReader& json, std::string_view name, OutputDigest* output);

// The error object that OpenAI and those who copy it send: {type, code, message}, or a string.
void ReadError(JsonReader& json, JsonValue& value, OutputDigest* output);

// --- what some dialects have of another -----------------------------------------------------------

// OpenAI chat: a field of the request beside messages; a message, with the names of its fields; a tool; choices.
void ReadChatField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request);
void ReadChatMessage(JsonReader& json, JsonValue& message, RequestView* request,
                     const std::function<void(std::string_view key)>& on_key);
void ReadChatTool(JsonReader& json, JsonValue& tool, RequestView* request);
void ReadChatChoices(JsonReader& json, JsonValue& choices, OutputDigest* output);
// A prompt or several, each a user's message; sets shape.
void AddPrompt(std::string_view text, RequestView* request);
void ReadPrompt(JsonReader& json, JsonValue& prompt, RequestView* request);
// The same of what embeddings are asked for.
void ReadInputs(JsonReader& json, JsonValue& inputs, RequestView* request);
// Anthropic: a field of the request; of a content block.
void ReadAnthropicField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request);
void ReadAnthropicBlockField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request);
// OpenAI responses: a field of the request; one element of its input; one event of an answer; whether one of this type
// carries the whole response, as the last does.
void ReadResponsesField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request);
void ReadResponsesItem(JsonReader& json, JsonValue& item, RequestView* request);
void ReadResponsesEvent(JsonReader& json, std::string_view type, OutputDigest* output);
bool EndsResponse(std::string_view type);
// Gemini: a field of the request; one of its contents; a part of an answer, told unless `output` is null, and its text;
// what it used.
void ReadGeminiField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request);
void ReadGeminiContent(JsonReader& json, JsonValue& content, RequestView* request);
std::string_view ReadGeminiPart(JsonReader& json, JsonValue& part, OutputDigest* output);
// .../models/NAME:method
std::string_view GooglePathModel(std::string_view path);

extern const DialectInfo kOpenAiChat, kOpenAiCompletions, kOpenAiResponses, kOpenAiEmbeddings, kOpenAiCountTokens,
    kOpenAiBatch, kMistralFim, kMistralAgents, kVllmTokenize, kAnthropicMessages, kAnthropicCountTokens,
    kAnthropicBatches, kGeminiGenerate, kGeminiStream, kGeminiInteractions, kGeminiCountTokens, kGeminiEmbed, kGeminiBatchEmbed,
    kVertexAnthropic, kVertexAnthropicStream, kVertexAnthropicCount, kVertexMistral, kVertexMistralStream,
    kBedrockConverse, kBedrockConverseStream, kBedrockInvoke, kBedrockInvokeStream, kOllamaChat, kOllamaGenerate,
    kOllamaEmbed, kOllamaEmbeddings, kGeneric, kOpenAiRealtime, kOpenAiResponsesSocket, kGeminiLive,
    kGeminiLiveConstrained;

}  // namespace stillwatch::dataplane
