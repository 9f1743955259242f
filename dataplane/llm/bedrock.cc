// Amazon Bedrock: converse, where all models are asked alike, and invoke, where each family keeps its own body
// (Anthropic, Nova, Titan, Llama, Mistral, Cohere). The fields' names tell the families apart, so one reader has all.
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
// https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
#include "dataplane/llm/loose_answer.h"

namespace stillwatch::dataplane {
namespace {

constexpr CredentialPlaces kAws{CredentialPlace::kAuthorization, CredentialPlace::kXApiKey};

void ReadToolResult(JsonReader& json, JsonValue& result, RequestView* request) {
  json.Fields(result, [&](std::string_view key, JsonValue value) {
    std::string_view text;
    if (key == "toolUseId") {
      if (json.String(value, &text)) request->AddIdReturned(text);
    } else if (key == "content") {
      json.Items(value, [&](JsonValue& part) {
        json.Fields(part, [&](std::string_view name, JsonValue field) {
          if (name == "text" && json.String(field, &text)) request->AddPiece(PieceKind::kToolResult, text);
          if (name == "json" && json.Raw(field, &text)) request->AddPiece(PieceKind::kToolResult, text);
        });
      });
    }
  });
}

void ReadReasoning(JsonReader& json, JsonValue& reasoning, RequestView* request) {
  json.Fields(reasoning, [&](std::string_view key, JsonValue value) {
    std::string_view text;
    if (key == "reasoningText") {
      ReadReasoning(json, value, request);
    } else if (key == "text") {
      if (json.String(value, &text)) request->AddPiece(PieceKind::kReasoning, text);
    } else if (key == "signature" || key == "redactedContent") {
      if (json.String(value, &text)) request->AddIdReturned(text);
    }
  });
}

// What a guardrail is to look at is part of the text: {"text": {"text": "...", "qualifiers": [...]}}.
template <typename OnText>
void ReadGuarded(JsonReader& json, JsonValue& guarded, OnText&& on_text) {
  json.Fields(guarded, [&](std::string_view key, JsonValue value) {
    if (key != "text") return;
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      if (name == "text") ReadTexts(json, field, on_text);
    });
  });
}

void ReadSystem(JsonReader& json, JsonValue& system, RequestView* request) {
  const auto add = [&](std::string_view text) { request->AddSystem(text); };
  if (json.TypeOf(system) == JsonType::string) return ReadTexts(json, system, add);
  json.Items(system, [&](JsonValue& block) {
    json.Fields(block, [&](std::string_view key, JsonValue value) {
      if (key == "text") ReadTexts(json, value, add);
      if (key == "guardContent") ReadGuarded(json, value, add);
    });
  });
}

// A block that converse has, or one of Anthropic's.
void ReadBlock(JsonReader& json, JsonValue& block, RequestView* request) {
  json.Fields(block, [&](std::string_view key, JsonValue value) {
    std::string_view raw;
    if (key == "toolUse") {
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        if (name == "input" && json.Raw(field, &raw)) request->AddPiece(PieceKind::kToolCall, raw);
      });
    } else if (key == "toolResult") {
      ReadToolResult(json, value, request);
    } else if (key == "reasoningContent") {
      ReadReasoning(json, value, request);
    } else if (key == "guardContent") {
      ReadGuarded(json, value, [&](std::string_view text) { request->AddPiece(PieceKind::kText, text); });
    } else if (key == "citationsContent") {
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        if (name == "content") ReadTexts(json, field, [&](std::string_view text) { request->AddPiece(PieceKind::kText, text); });
      });
    } else {
      ReadAnthropicBlockField(json, key, value, request);
    }
  });
}

void ReadMessage(JsonReader& json, JsonValue& message, RequestView* request) {
  ReadMessageOfBlocks(json, message, request, ReadBlock);
}

// Cohere: one turn of what was said before.
void ReadTurn(JsonReader& json, JsonValue& turn, RequestView* request) {
  std::string_view role, text;
  json.Fields(turn, [&](std::string_view key, JsonValue value) {
    if (key == "role") json.String(value, &role);
    if (key == "message") json.String(value, &text);
  });
  request->BeginMessage();
  request->AddPiece(PieceKind::kText, text);
  request->EndMessage(role == "CHATBOT" ? "assistant" : "user");
}

// What fills a prompt that the service keeps; messages, where there are some, come behind it.
void ReadVariables(JsonReader& json, JsonValue& variables, RequestView* request) {
  request->shape = true;
  if (!request->messages.empty()) return;
  request->BeginMessage();
  json.Fields(variables, [&](std::string_view, JsonValue variable) {
    json.Fields(variable, [&](std::string_view key, JsonValue value) {
      std::string_view text;
      if (key == "text" && json.String(value, &text)) request->AddPiece(PieceKind::kText, text);
    });
  });
  request->EndMessage("user");
}

// inferenceConfig and textGenerationConfig, and what Llama, Mistral and Cohere have at the top.
void ReadSetting(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request) {
  if (key == "maxTokens" || key == "max_new_tokens" || key == "maxTokenCount" || key == "max_gen_len" ||
      key == "max_tokens" || key == "max_tokens_to_sample") {
    ReadMaxTokens(json, value, request);
  } else if (key == "temperature") {
    if (json.Milli(value, &request->temperature_milli)) request->flags |= kHasTemperature;
  } else if (key == "topP" || key == "top_p" || key == "p") {
    if (json.Milli(value, &request->top_p_milli)) request->flags |= kHasTopP;
  }
}

void ReadToolConfig(JsonReader& json, JsonValue& config, RequestView* request) {
  json.Fields(config, [&](std::string_view key, JsonValue value) {
    if (key != "tools") return;
    json.Items(value, [&](JsonValue& tool) {
      json.Fields(tool, [&](std::string_view kind, JsonValue spec) {
        if (kind == "cachePoint") return;
        std::string_view name = kind;
        if (kind == "toolSpec") {
          json.Fields(spec, [&](std::string_view inner, JsonValue field) {
            if (inner == "name") json.String(field, &name);
          });
        }
        request->AddTool(name);
      });
    });
  });
}

// The extra fields of converse go to the model as they are.
void ReadExtra(JsonReader& json, JsonValue& extra, RequestView* request) {
  json.Fields(extra, [&](std::string_view key, JsonValue value) {
    if (key == "thinking" || key == "reasoning_config" || key == "reasoningConfig" || key == "reasoning_effort") {
      if (NotNull(json, value)) request->flags |= kReasoningAsked;
    }
  });
}

void ReadRequest(JsonReader& json, RequestView* request) {
  const bool embeds = request->model.find("embed") != std::string_view::npos;
  if (embeds) request->generates = false;
  std::string_view message;  // Cohere's, which may come before its history
  json.RootFields([&](std::string_view key, JsonValue value) {
    std::string_view text;
    if (key == "messages") {
      ReadMessages(json, value, request, ReadMessage);
    } else if (key == "message") {
      if (json.String(value, &message)) request->shape = true;
    } else if (key == "chat_history") {
      json.Items(value, [&](JsonValue& turn) { ReadTurn(json, turn, request); });
    } else if (key == "preamble") {
      ReadTexts(json, value, [&](std::string_view preamble) { request->AddSystem(preamble); });
    } else if (key == "prompt" || key == "inputText") {
      if (!json.String(value, &text)) return;
      AddPrompt(text, request);
      request->shape = true;
    } else if (key == "texts" && embeds) {  // Cohere
      ReadInputs(json, value, request);
    } else if (key == "singleEmbeddingParams") {  // Nova
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        if (name != "text") return;
        request->shape = true;
        json.Fields(field, [&](std::string_view inner, JsonValue item) {
          if (inner == "value" && json.String(item, &text)) AddPrompt(text, request);
        });
      });
    } else if (key == "inferenceConfig" || key == "textGenerationConfig") {
      json.Fields(value, [&](std::string_view name, JsonValue field) { ReadSetting(json, name, field, request); });
    } else if (key == "promptVariables") {
      ReadVariables(json, value, request);
    } else if (key == "toolConfig") {
      ReadToolConfig(json, value, request);
    } else if (key == "outputConfig") {
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        if (name == "textFormat" && NotNull(json, field)) request->flags |= kResponseFormat;
      });
    } else if (key == "additionalModelRequestFields") {
      ReadExtra(json, value, request);
    } else if (key == "system") {
      ReadSystem(json, value, request);
    } else if (key == "tools" || key == "thinking" || key == "metadata" || key == "output_format" ||
               key == "output_config") {
      ReadAnthropicField(json, key, value, request);
    } else {
      ReadSetting(json, key, value, request);
    }
  });
  if (!message.empty()) AddPrompt(message, request);
}

void ReadStreamRequest(JsonReader& json, RequestView* request) {
  request->flags |= kStreamed;
  ReadRequest(json, request);
}

// /model/NAME/converse; a NAME with a colon or slash comes escaped.
std::string_view PathModel(std::string_view path) {
  constexpr std::string_view kModel = "/model/";
  const std::string_view rest = path.substr(path.find(kModel) + kModel.size());
  return rest.substr(0, rest.rfind('/'));
}

constexpr DialectInfo Row(Api api, std::string_view path_end, bool streams) {
  return {.dialect = Dialect::kBedrock,
          .api = api,
          .path_end = path_end,
          .credentials = kAws,
          .path_model = PathModel,
          .read_request = streams ? ReadStreamRequest : ReadRequest,
          .read_response = ReadLooseAnswer,
          .read_event = ReadLooseEvent,
          .path_has = "/model/",
          .base64_events = api == Api::kInvokeStream};
}

}  // namespace

const DialectInfo kBedrockConverse = Row(Api::kConverse, "/converse", false);
const DialectInfo kBedrockConverseStream = Row(Api::kConverseStream, "/converse-stream", true);
const DialectInfo kBedrockInvoke = Row(Api::kInvoke, "/invoke", false);
const DialectInfo kBedrockInvokeStream = Row(Api::kInvokeStream, "/invoke-with-response-stream", true);

}  // namespace stillwatch::dataplane
