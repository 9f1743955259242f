// Ollama's own API: /api/chat and /api/generate stream by lines of JSON unless told otherwise, /api/embed and
// /api/embeddings give numbers. https://github.com/ollama/ollama/blob/main/docs/api.md
#include "dataplane/llm/dialect.h"

namespace stillwatch::dataplane {
namespace {

constexpr CredentialPlaces kBearer{CredentialPlace::kAuthorization, CredentialPlace::kXApiKey};

void ReadToolCalls(JsonReader& json, JsonValue& calls, RequestView* request) {
  json.Items(calls, [&](JsonValue& call) {
    json.Fields(call, [&](std::string_view key, JsonValue value) {
      if (key != "function") return;
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        std::string_view raw;
        if (name == "arguments" && json.Raw(field, &raw)) request->AddPiece(PieceKind::kToolCall, raw);
      });
    });
  });
}

void ReadMessage(JsonReader& json, JsonValue& message, RequestView* request) {
  std::string_view role, text;
  request->BeginMessage();
  json.Fields(message, [&](std::string_view key, JsonValue value) {
    if (key == "role") {
      json.String(value, &role);
    } else if (key == "content") {
      if (json.String(value, &text)) request->AddPiece(PieceKind::kText, text);
    } else if (key == "thinking") {
      if (json.String(value, &text)) request->AddPiece(PieceKind::kReasoning, text);
    } else if (key == "tool_calls") {
      ReadToolCalls(json, value, request);
    }
  });
  request->EndMessage(role);
}

void ReadOption(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request) {
  if (key == "num_predict") {
    ReadMaxTokens(json, value, request);
  } else if (key == "seed") {
    if (json.Uint(value, &request->seed)) request->flags |= kHasSeed;
  } else {
    ReadSamplingField(json, key, value, request);
  }
}

// A body without a model is another service's: the paths are anybody's.
void ReadRequest(JsonReader& json, RequestView* request) {
  bool asked = false, streamed = true;
  json.RootFields([&](std::string_view key, JsonValue value) {
    std::string_view text;
    if (key == "stream") {
      json.Bool(value, &streamed);
    } else if (key == "messages") {
      ReadMessages(json, value, request, ReadMessage);
      asked = request->shape;
    } else if (key == "prompt") {
      if (json.String(value, &text)) {
        AddPrompt(text, request);
        asked = true;
      }
    } else if (key == "system") {
      if (json.String(value, &text)) request->AddSystem(text);
    } else if (key == "options") {
      json.Fields(value, [&](std::string_view name, JsonValue field) { ReadOption(json, name, field, request); });
    } else if (key == "tools") {
      json.Items(value, [&](JsonValue& tool) { ReadChatTool(json, tool, request); });
    } else if (key == "format") {
      if (NotNull(json, value)) request->flags |= kResponseFormat;
    } else if (key == "think") {
      bool flag = true;  // a level, where it is no bool
      if (json.TypeOf(value) == JsonType::boolean) json.Bool(value, &flag);
      if (flag && NotNull(json, value)) request->flags |= kReasoningAsked;
    } else if (key == "model") {
      json.String(value, &request->model);
    }
  });
  if (streamed) request->flags |= kStreamed;
  request->shape = asked && !request->model.empty();
}

void ReadEmbedding(JsonReader& json, RequestView* request) {
  bool asked = false;
  request->generates = false;
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key == "model") json.String(value, &request->model);
    if (key == "input" || key == "prompt") {
      ReadInputs(json, value, request);
      asked = request->shape;
    }
  });
  request->shape = asked && !request->model.empty();
}

FinishReason FinishOf(std::string_view name) {
  if (name == "stop") return FinishReason::kStop;
  if (name == "length") return FinishReason::kLength;
  return FinishReason::kOther;
}

void ReadCallOut(JsonReader& json, JsonValue& call, OutputDigest* output) {
  json.Fields(call, [&](std::string_view key, JsonValue value) {
    std::string_view name, id, arguments;
    if (key == "id" && json.String(value, &id)) output->IdIssued(id);
    if (key != "function") return;
    json.Fields(value, [&](std::string_view inner, JsonValue field) {
      if (inner == "name") json.String(field, &name);
      if (inner == "arguments") json.Raw(field, &arguments);
    });
    output->ToolCall(name, {});
    output->ToolArguments(arguments);
  });
}

void ReadAnswer(JsonReader& json, OutputDigest* output) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    std::string_view text;
    uint64_t tokens;
    if (key == "message") {
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        if (name == "content" && json.String(field, &text)) output->Text(text);
        if (name == "thinking" && json.String(field, &text)) output->Reasoning(text);
        if (name == "tool_calls") json.Items(field, [&](JsonValue& call) { ReadCallOut(json, call, output); });
      });
    } else if (key == "response") {
      if (json.String(value, &text)) output->Text(text);
    } else if (key == "thinking") {
      if (json.String(value, &text)) output->Reasoning(text);
    } else if (key == "model") {
      if (json.String(value, &text)) output->Model(text);
    } else if (key == "done_reason") {
      if (json.String(value, &text) && !text.empty()) output->Finish(FinishOf(text), text);
    } else if (key == "prompt_eval_count") {
      if (json.Uint(value, &tokens)) output->UsageIn(tokens);
    } else if (key == "eval_count") {
      if (json.Uint(value, &tokens)) output->UsageOut(tokens);
    } else if (key == "error") {
      if (NotNull(json, value)) ReadError(json, value, output);
    }
  });
}

void ReadEvent(JsonReader& json, std::string_view, OutputDigest* output) { ReadAnswer(json, output); }

}  // namespace

const DialectInfo kOllamaChat{.dialect = Dialect::kOllama, .api = Api::kChat, .path_end = "/api/chat",
                              .credentials = kBearer, .read_request = ReadRequest, .read_response = ReadAnswer,
                              .read_event = ReadEvent};
const DialectInfo kOllamaGenerate{.dialect = Dialect::kOllama, .api = Api::kGenerate, .path_end = "/api/generate",
                                  .credentials = kBearer, .read_request = ReadRequest, .read_response = ReadAnswer,
                                  .read_event = ReadEvent};
const DialectInfo kOllamaEmbed{.dialect = Dialect::kOllama, .api = Api::kEmbeddings, .path_end = "/api/embed",
                               .credentials = kBearer, .read_request = ReadEmbedding, .read_response = ReadAnswer,
                               .read_event = ReadEvent};
const DialectInfo kOllamaEmbeddings{.dialect = Dialect::kOllama, .api = Api::kEmbeddings,
                                    .path_end = "/api/embeddings", .credentials = kBearer,
                                    .read_request = ReadEmbedding, .read_response = ReadAnswer,
                                    .read_event = ReadEvent};

}  // namespace stillwatch::dataplane
