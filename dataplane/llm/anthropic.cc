// Anthropic messages. https://docs.anthropic.com/en/api/messages
#include <algorithm>

#include "dataplane/llm/dialect.h"

namespace stillwatch::dataplane {

// Of one content block of a message sent.
void ReadAnthropicBlockField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request) {
  std::string_view text;
  if (key == "text") {
    if (json.String(value, &text)) request->AddPiece(PieceKind::kText, text);
  } else if (key == "content") {  // of a tool result
    ReadTexts(json, value, [&](std::string_view t) { request->AddPiece(PieceKind::kToolResult, t); });
  } else if (key == "thinking") {
    if (json.String(value, &text)) request->AddPiece(PieceKind::kReasoning, text);
  } else if (key == "input") {
    if (json.Raw(value, &text)) request->AddPiece(PieceKind::kToolCall, text);
  } else if (key == "tool_use_id" || key == "signature" || key == "data") {
    if (json.String(value, &text)) request->AddIdReturned(text);
  }
}

namespace {

void ReadBlock(JsonReader& json, JsonValue& block, RequestView* request) {
  json.Fields(block, [&](std::string_view key, JsonValue value) {
    ReadAnthropicBlockField(json, key, value, request);
  });
}

void ReadMessage(JsonReader& json, JsonValue& message, RequestView* request) {
  ReadMessageOfBlocks(json, message, request, ReadBlock);
}

void ReadThinking(JsonReader& json, JsonValue& value, RequestView* request) {
  std::string_view type;
  json.Fields(value, [&](std::string_view key, JsonValue field) {
    if (key == "type") json.String(field, &type);
  });
  if (!type.empty() && type != "disabled") request->flags |= kReasoningAsked;
}

// Claude Code names its session behind the user: user_HASH_account_ID_session_ID, and from 2.1.78 on {"device_id":..,
// "account_uuid":..,"session_id":..} as text. A person has many sessions.
std::string_view UserWithoutSession(std::string_view id) {
  const size_t session = std::min(id.find("_session_"), id.find("\"session_id\""));
  const std::string_view user = id.substr(0, session);
  return user.starts_with("user_") || user.find("\"device_id\"") != std::string_view::npos ? user : id;
}

}  // namespace

void ReadAnthropicField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request) {
  if (ReadSamplingField(json, key, value, request)) return;
  if (key == "messages") {
    ReadMessages(json, value, request, ReadMessage);
  } else if (key == "system") {
    ReadTexts(json, value, [&](std::string_view text) { request->AddSystem(text); });
  } else if (key == "max_tokens") {
    ReadMaxTokens(json, value, request);
  } else if (key == "tools") {
    json.Items(value, [&](JsonValue& tool) {
      std::string_view name;
      json.Fields(tool, [&](std::string_view inner, JsonValue field) {
        if (inner == "name") json.String(field, &name);
      });
      request->AddTool(name);
    });
  } else if (key == "thinking") {
    ReadThinking(json, value, request);
  } else if (key == "output_format") {
    if (NotNull(json, value)) request->flags |= kResponseFormat;
  } else if (key == "output_config") {
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      if (name == "format" && NotNull(json, field)) request->flags |= kResponseFormat;
    });
  } else if (key == "metadata") {
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      std::string_view id;
      if (name == "user_id" && json.String(field, &id)) request->end_user = UserWithoutSession(id);
    });
  }
}

namespace {

void ReadRequest(JsonReader& json, RequestView* request) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    ReadAnthropicField(json, key, value, request);
  });
}

FinishReason FinishOf(std::string_view name) {
  if (name == "end_turn" || name == "stop_sequence") return FinishReason::kStop;
  if (name == "max_tokens" || name == "model_context_window_exceeded") return FinishReason::kLength;
  if (name == "tool_use") return FinishReason::kToolUse;
  if (name == "refusal") return FinishReason::kContentFilter;
  return FinishReason::kOther;
}

void ReadUsage(JsonReader& json, JsonValue& usage, OutputDigest* output) {
  json.Fields(usage, [&](std::string_view key, JsonValue value) {
    uint64_t tokens;
    if (key == "input_tokens" && json.Uint(value, &tokens)) output->UsageIn(tokens);
    if (key == "output_tokens" && json.Uint(value, &tokens)) output->UsageOut(tokens);
  });
}

// note(): 1 while the block being streamed is a call of one of the client's tools.
void ReadBlockOut(JsonReader& json, JsonValue& block, bool streamed, OutputDigest* output) {
  std::string_view type, text, thinking, name, id, signature, input;
  json.Fields(block, [&](std::string_view key, JsonValue value) {
    if (key == "type") json.String(value, &type);
    if (key == "text") json.String(value, &text);
    if (key == "thinking") json.String(value, &thinking);
    if (key == "name") json.String(value, &name);
    if (key == "id") json.String(value, &id);
    if (key == "signature" || key == "data") json.String(value, &signature);
    if (key == "input") json.Raw(value, &input);
  });
  output->note() = type == "tool_use";
  if (type == "text") output->Text(text);
  if (type == "thinking") output->Reasoning(thinking);
  if (type == "tool_use") {
    output->ToolCall(name, id);
    if (!streamed || input != "{}") output->ToolArguments(input);
  }
  output->IdIssued(signature);
}

void ReadMessageOut(JsonReader& json, std::string_view key, JsonValue& value, OutputDigest* output) {
  std::string_view text;
  if (key == "content") {
    json.Items(value, [&](JsonValue& block) { ReadBlockOut(json, block, false, output); });
  } else if (key == "id") {
    if (json.String(value, &text)) output->IdIssued(text);
  } else if (key == "model") {
    if (json.String(value, &text)) output->Model(text);
  } else if (key == "stop_reason") {
    if (json.String(value, &text)) output->Finish(FinishOf(text), text);
  } else if (key == "usage") {
    ReadUsage(json, value, output);
  } else if (key == "error") {
    if (NotNull(json, value)) ReadError(json, value, output);
  }
}

void ReadResponse(JsonReader& json, OutputDigest* output) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    ReadMessageOut(json, key, value, output);
  });
}

void ReadDelta(JsonReader& json, JsonValue& delta, OutputDigest* output) {
  json.Fields(delta, [&](std::string_view key, JsonValue value) {
    std::string_view text;
    if (key == "text") {
      if (json.String(value, &text)) output->Text(text);
    } else if (key == "thinking") {
      if (json.String(value, &text)) output->Reasoning(text);
    } else if (key == "partial_json") {
      if (output->note() == 1 && json.String(value, &text)) output->ToolArguments(text);
    } else if (key == "signature") {
      if (json.String(value, &text)) output->IdIssued(text);
    } else if (key == "stop_reason") {
      if (json.String(value, &text)) output->Finish(FinishOf(text), text);
    }
  });
}

void ReadEvent(JsonReader& json, std::string_view, OutputDigest* output) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key == "delta") {
      ReadDelta(json, value, output);
    } else if (key == "content_block") {
      ReadBlockOut(json, value, true, output);
    } else if (key == "message") {
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        ReadMessageOut(json, name, field, output);
      });
    } else if (key == "usage") {
      ReadUsage(json, value, output);
    } else if (key == "error") {
      if (NotNull(json, value)) ReadError(json, value, output);
    }
  });
}

// ---- counts of tokens: the request of a message, answered by a number

void ReadCountRequest(JsonReader& json, RequestView* request) {
  request->generates = false;
  ReadRequest(json, request);
}

void ReadCount(JsonReader& json, OutputDigest* output) { ReadTokenCount(json, "input_tokens", output); }

constexpr CredentialPlaces kKeys{CredentialPlace::kXApiKey, CredentialPlace::kAuthorization,
                                 CredentialPlace::kApiKey};
constexpr std::string_view kOnVertex = "/publishers/anthropic/";

}  // namespace

const DialectInfo kAnthropicMessages{
    Dialect::kAnthropic, Api::kMessages, "/messages", kKeys, nullptr, ReadRequest, ReadResponse, ReadEvent};

const DialectInfo kAnthropicCountTokens{
    Dialect::kAnthropic, Api::kCountTokens, "/messages/count_tokens", kKeys, nullptr, ReadCountRequest, ReadCount,
    ReadEvent};

// https://docs.anthropic.com/en/api/creating-message-batches
const DialectInfo kAnthropicBatches{.dialect = Dialect::kAnthropic, .api = Api::kMessages,
                                    .path_end = "/messages/batches", .credentials = kKeys,
                                    .batch = BatchForm::kObjects, .batch_of = &kAnthropicMessages};

// Vertex AI: the model is in the path. https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude
const DialectInfo kVertexAnthropic{
    Dialect::kAnthropic, Api::kRawPredict, ":rawPredict", kKeys, GooglePathModel, ReadRequest, ReadResponse,
    ReadEvent, kOnVertex};
const DialectInfo kVertexAnthropicStream{
    Dialect::kAnthropic, Api::kStreamRawPredict, ":streamRawPredict", kKeys, GooglePathModel, ReadRequest,
    ReadResponse, ReadEvent, kOnVertex};
const DialectInfo kVertexAnthropicCount{
    Dialect::kAnthropic, Api::kCountTokens, "/count-tokens:rawPredict", kKeys, nullptr, ReadCountRequest, ReadCount,
    ReadEvent, kOnVertex};

}  // namespace stillwatch::dataplane
