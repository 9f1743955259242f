// OpenAI chat completions, as OpenAI, Azure, Groq, Mistral, DeepSeek, OpenRouter and many others speak it.
// https://platform.openai.com/docs/api-reference/chat
// And the completions before them, which vLLM and others still serve:
// https://platform.openai.com/docs/api-reference/completions
#include "dataplane/llm/dialect.h"

namespace stillwatch::dataplane {
namespace {

// Of a function, or of a custom tool, whose input is free text.
void ReadCalled(JsonReader& json, JsonValue& called, RequestView* request) {
  json.Fields(called, [&](std::string_view name, JsonValue field) {
    std::string_view text;
    if ((name == "arguments" || name == "input") && json.String(field, &text)) request->AddPiece(PieceKind::kToolCall, text);
  });
}

void ReadToolCall(JsonReader& json, JsonValue& call, RequestView* request) {
  json.Fields(call, [&](std::string_view key, JsonValue value) {
    if (key == "function" || key == "custom") ReadCalled(json, value, request);
  });
}

// A content part may hold nested parts under "thinking" (Mistral).
void ReadContent(JsonReader& json, JsonValue& content, RequestView* request) {
  std::string_view text;
  if (json.TypeOf(content) == JsonType::string) {
    if (json.String(content, &text)) request->AddPiece(PieceKind::kText, text);
    return;
  }
  json.Items(content, [&](JsonValue& part) {
    json.Fields(part, [&](std::string_view key, JsonValue value) {
      if (key == "text" && json.String(value, &text)) request->AddPiece(PieceKind::kText, text);
      if (key == "thinking") {
        ReadTexts(json, value, [&](std::string_view t) { request->AddPiece(PieceKind::kReasoning, t); });
      }
    });
  });
}

template <typename OnKey>
void ReadMessageFields(JsonReader& json, JsonValue& message, RequestView* request, OnKey&& on_key) {
  std::string_view role, text;
  request->BeginMessage();
  json.Fields(message, [&](std::string_view key, JsonValue value) {
    on_key(key);
    if (key == "role") {
      json.String(value, &role);
    } else if (key == "content") {
      ReadContent(json, value, request);
    } else if (key == "tool_calls") {
      json.Items(value, [&](JsonValue& call) { ReadToolCall(json, call, request); });
    } else if (key == "function_call") {
      ReadCalled(json, value, request);
    } else if (key == "audio") {  // of an answer, named by its id
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        if (name == "id" && json.String(field, &text)) request->AddIdReturned(text);
      });
    } else if (key == "tool_call_id") {
      if (json.String(value, &text)) request->AddIdReturned(text);
    } else if (key == "reasoning_content" || key == "reasoning") {
      if (json.String(value, &text)) request->AddPiece(PieceKind::kReasoning, text);
    } else if (key == "reasoning_details") {  // OpenRouter
      json.Items(value, [&](JsonValue& detail) {
        json.Fields(detail, [&](std::string_view name, JsonValue field) {
          if ((name == "signature" || name == "data") && json.String(field, &text)) {
            request->AddIdReturned(text);
          }
        });
      });
    }
  });
  request->EndMessage(role);
}

void ReadMessage(JsonReader& json, JsonValue& message, RequestView* request) {
  ReadMessageFields(json, message, request, [](std::string_view) {});
}

}  // namespace

void ReadChatMessage(JsonReader& json, JsonValue& message, RequestView* request,
                     const std::function<void(std::string_view key)>& on_key) {
  ReadMessageFields(json, message, request, on_key);
}

void ReadChatTool(JsonReader& json, JsonValue& tool, RequestView* request) {
  std::string_view name, type;
  json.Fields(tool, [&](std::string_view key, JsonValue value) {
    if (key == "function" || key == "custom") {
      json.Fields(value, [&](std::string_view inner, JsonValue field) {
        if (inner == "name") json.String(field, &name);
      });
    } else if (key == "name") {
      json.String(value, &name);
    } else if (key == "type") {
      json.String(value, &type);
    }
  });
  request->AddTool(name.empty() ? type : name);
}

void ReadChatField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request) {
  bool flag;
  if (ReadOpenAiField(json, key, value, request)) return;
  if (key == "messages") {
    ReadMessages(json, value, request, ReadMessage);
  } else if (key == "n") {
    if (json.Uint(value, &request->n)) request->flags |= kHasN;
  } else if (key == "max_tokens" || key == "max_completion_tokens") {
    ReadMaxTokens(json, value, request);
  } else if (key == "seed") {
    if (json.Uint(value, &request->seed)) request->flags |= kHasSeed;
  } else if (key == "logprobs") {
    if (json.Bool(value, &flag) && flag) request->flags |= kLogprobs;
  } else if (key == "logit_bias") {
    json.Fields(value, [&](std::string_view token, JsonValue) { request->AddBiasedToken(token); });
  } else if (key == "tools" || key == "functions") {
    json.Items(value, [&](JsonValue& tool) { ReadChatTool(json, tool, request); });
  } else if (key == "response_format") {
    std::string_view type;
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      if (name == "type") json.String(field, &type);
    });
    if (!type.empty() && type != "text") request->flags |= kResponseFormat;
  } else if (key == "reasoning_effort" || key == "reasoning" || key == "thinking" ||
             key == "reasoning_format") {
    if (NotNull(json, value)) request->flags |= kReasoningAsked;
  }
}

namespace {

void ReadRequest(JsonReader& json, RequestView* request) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    ReadChatField(json, key, value, request);
  });
}

FinishReason FinishOf(std::string_view name) {
  if (name == "stop" || name == "eos" || name == "end_turn") return FinishReason::kStop;
  if (name == "length" || name == "model_length") return FinishReason::kLength;
  if (name == "tool_calls" || name == "function_call") return FinishReason::kToolUse;
  if (name == "content_filter") return FinishReason::kContentFilter;
  return FinishReason::kOther;
}

void ReadUsage(JsonReader& json, JsonValue& usage, OutputDigest* output) {
  json.Fields(usage, [&](std::string_view key, JsonValue value) {
    uint64_t tokens;
    if (key == "prompt_tokens" && json.Uint(value, &tokens)) output->UsageIn(tokens);
    if (key == "completion_tokens" && json.Uint(value, &tokens)) output->UsageOut(tokens);
  });
}

void ReadFunction(JsonReader& json, JsonValue& function, OutputDigest* output) {
  std::string_view name, arguments;
  json.Fields(function, [&](std::string_view key, JsonValue value) {
    if (key == "name") json.String(value, &name);
    if (key == "arguments" || key == "input") json.String(value, &arguments);
  });
  if (!name.empty()) output->ToolCall(name, {});
  output->ToolArguments(arguments);
}

// `message` of an answer or `delta` of a stream: the same names.
void ReadMessageOut(JsonReader& json, JsonValue& message, OutputDigest* output) {
  std::string_view text;
  bool reasoning_told = false;  // some send it under two names
  json.Fields(message, [&](std::string_view key, JsonValue value) {
    if (key == "content") {
      if (json.TypeOf(value) == JsonType::string) {
        if (json.String(value, &text)) output->Text(text);
        return;
      }
      json.Items(value, [&](JsonValue& part) {  // Mistral
        json.Fields(part, [&](std::string_view name, JsonValue field) {
          if (name == "text" && json.String(field, &text)) output->Text(text);
          if (name == "thinking") {
            ReadTexts(json, field, [&](std::string_view t) { output->Reasoning(t); });
          }
        });
      });
    } else if ((key == "reasoning_content" || key == "reasoning") && !reasoning_told) {
      if (json.String(value, &text)) {
        output->Reasoning(text);
        reasoning_told = true;
      }
    } else if (key == "refusal") {
      if (json.String(value, &text)) output->Refusal(text);
    } else if (key == "tool_calls") {
      json.Items(value, [&](JsonValue& call) {
        json.Fields(call, [&](std::string_view name, JsonValue field) {
          if (name == "id" && json.String(field, &text)) output->IdIssued(text);
          if (name == "function" || name == "custom") ReadFunction(json, field, output);
        });
      });
    } else if (key == "function_call") {
      ReadFunction(json, value, output);
    } else if (key == "audio") {
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        if (name == "id" && json.String(field, &text)) output->IdIssued(text);
        if (name == "transcript" && json.String(field, &text)) output->Text(text);
      });
    } else if (key == "reasoning_details") {  // OpenRouter
      json.Items(value, [&](JsonValue& detail) {
        json.Fields(detail, [&](std::string_view name, JsonValue field) {
          if ((name == "signature" || name == "data") && json.String(field, &text)) {
            output->IdIssued(text);
          }
        });
      });
    }
  });
}

// Only the first choice is the output. `position` in the array stands for the index until that was read; all
// known servers send it before the text. Bedrock's models call the reason stop_reason, where vLLM has the word that
// stopped; a choice without a message has its text beside it (DeepSeek on Bedrock), with one the text comes twice.
void ReadChoice(JsonReader& json, JsonValue& choice, uint64_t position, OutputDigest* output) {
  uint64_t index = position;
  std::string_view finish, bare;
  bool message = false;
  json.Fields(choice, [&](std::string_view key, JsonValue value) {
    if (key == "index") {
      json.Uint(value, &index);
    } else if (index != 0) {
      return;
    } else if (key == "delta" || key == "message") {
      message = true;
      ReadMessageOut(json, value, output);
    } else if (key == "finish_reason" || (key == "stop_reason" && finish.empty())) {
      json.String(value, &finish);
    } else if (key == "text") {
      json.String(value, &bare);
    }
  });
  if (index != 0) return output->MoreChoices();
  if (!message) output->Text(bare);
  if (!finish.empty()) output->Finish(FinishOf(finish), finish);
}

}  // namespace

void ReadChatChoices(JsonReader& json, JsonValue& choices, OutputDigest* output) {
  uint64_t position = 0;
  json.Items(choices, [&](JsonValue& choice) { ReadChoice(json, choice, position++, output); });
}

namespace {

// All but the choices.
void ReadResponseField(JsonReader& json, std::string_view key, JsonValue& value, OutputDigest* output) {
  std::string_view text;
  if (key == "id") {
    if (json.String(value, &text)) output->IdIssued(text);
  } else if (key == "model") {
    if (json.String(value, &text)) output->Model(text);
  } else if (key == "usage") {
    ReadUsage(json, value, output);
  } else if (key == "x_groq") {
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      if (name == "usage") ReadUsage(json, field, output);
    });
  } else if (key == "error") {
    if (NotNull(json, value)) ReadError(json, value, output);
  }
}

void ReadResponse(JsonReader& json, OutputDigest* output) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key != "choices") return ReadResponseField(json, key, value, output);
    ReadChatChoices(json, value, output);
  });
}

void ReadEvent(JsonReader& json, std::string_view, OutputDigest* output) { ReadResponse(json, output); }

// ---- completions: a prompt or several instead of messages, text instead of a message

}  // namespace

void AddPrompt(std::string_view text, RequestView* request) {
  request->BeginMessage();
  request->AddPiece(PieceKind::kText, text);
  request->EndMessage("user");
}

// A prompt may also be an array of token numbers, whose text is not known: a message without text.
void ReadPrompt(JsonReader& json, JsonValue& prompt, RequestView* request) {
  std::string_view text;
  request->ClearMessages();
  request->shape = true;
  if (json.TypeOf(prompt) == JsonType::string) {
    if (json.String(prompt, &text)) AddPrompt(text, request);
    return;
  }
  request->shape = json.TypeOf(prompt) == JsonType::array;
  bool of_numbers = false;
  json.Items(prompt, [&](JsonValue& item) {
    const JsonType type = json.TypeOf(item);
    if (type == JsonType::number && of_numbers) return;
    of_numbers = type == JsonType::number;
    if (type != JsonType::string) AddPrompt({}, request);
    else if (json.String(item, &text)) AddPrompt(text, request);
  });
}

void ReadInputs(JsonReader& json, JsonValue& inputs, RequestView* request) {
  const JsonType type = json.TypeOf(inputs);
  if (type == JsonType::string || type == JsonType::array) ReadPrompt(json, inputs, request);
}

namespace {

void ReadCompletionRequest(JsonReader& json, RequestView* request) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    uint64_t number;
    if (key == "prompt") {
      ReadPrompt(json, value, request);
    } else if (key == "logprobs") {
      if (json.Uint(value, &number) && number != 0) request->flags |= kLogprobs;
    } else if (key != "messages") {
      ReadChatField(json, key, value, request);
    }
  });
}

// The index may come after the text.
void ReadCompletionChoice(JsonReader& json, JsonValue& choice, uint64_t position, OutputDigest* output) {
  std::string_view text, finish;
  uint64_t index = position;
  json.Fields(choice, [&](std::string_view key, JsonValue value) {
    if (key == "text") json.String(value, &text);
    if (key == "finish_reason") json.String(value, &finish);
    if (key == "index") json.Uint(value, &index);
  });
  if (index != 0) return output->MoreChoices();
  output->Text(text);
  if (!finish.empty()) output->Finish(FinishOf(finish), finish);
}

void ReadCompletion(JsonReader& json, OutputDigest* output) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key != "choices") return ReadResponseField(json, key, value, output);
    uint64_t position = 0;
    json.Items(value, [&](JsonValue& choice) { ReadCompletionChoice(json, choice, position++, output); });
  });
}

void ReadCompletionEvent(JsonReader& json, std::string_view, OutputDigest* output) { ReadCompletion(json, output); }

// ---- embeddings, and counts of tokens

// One text, several, or token numbers, whose text is not known.
void ReadEmbeddingRequest(JsonReader& json, RequestView* request) {
  request->generates = false;
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key == "input") return ReadInputs(json, value, request);
    ReadOpenAiField(json, key, value, request);
  });
}

// vLLM's /tokenize: a chat or a prompt, of which the answer tells numbers only.
void ReadTokenizeRequest(JsonReader& json, RequestView* request) {
  request->generates = false;
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key == "prompt") return ReadPrompt(json, value, request);
    ReadChatField(json, key, value, request);
  });
  if (request->model.empty()) request->shape = false;
}

void ReadNoText(JsonReader& json, OutputDigest* output) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key != "id") ReadResponseField(json, key, value, output);
  });
}

void ReadNoEvent(JsonReader&, std::string_view, OutputDigest*) {}

// Azure: /openai/deployments/NAME/chat/completions; older OpenAI: /v1/engines/NAME/completions
std::string_view PathModel(std::string_view path) {
  for (const std::string_view before : {"/deployments/", "/engines/"}) {
    const size_t at = path.find(before);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = path.substr(at + before.size());
    return rest.substr(0, rest.find('/'));
  }
  return {};
}

constexpr CredentialPlaces kKeys{CredentialPlace::kAuthorization, CredentialPlace::kApiKey,
                                 CredentialPlace::kXApiKey};

}  // namespace

const DialectInfo kOpenAiChat{
    Dialect::kOpenAi, Api::kChat, "/chat/completions",
    {CredentialPlace::kAuthorization, CredentialPlace::kApiKey, CredentialPlace::kXApiKey,
     CredentialPlace::kGoogApiKey, CredentialPlace::kQueryKey},
    PathModel, ReadRequest, ReadResponse, ReadEvent};

const DialectInfo kOpenAiCompletions{
    Dialect::kOpenAi, Api::kCompletions, "/completions", kKeys,
    PathModel, ReadCompletionRequest, ReadCompletion, ReadCompletionEvent};

// Mistral: a prompt is asked, a chat's message answers. https://docs.mistral.ai/api
const DialectInfo kMistralFim{
    Dialect::kOpenAi, Api::kCompletions, "/fim/completions", kKeys,
    PathModel, ReadCompletionRequest, ReadResponse, ReadEvent};

const DialectInfo kMistralAgents{
    Dialect::kOpenAi, Api::kChat, "/agents/completions", kKeys, nullptr, ReadRequest, ReadResponse, ReadEvent};

// Vertex AI, models of Mistral.
const DialectInfo kVertexMistral{
    Dialect::kOpenAi, Api::kRawPredict, ":rawPredict", kKeys, GooglePathModel, ReadRequest, ReadResponse, ReadEvent,
    "/publishers/mistralai/"};
const DialectInfo kVertexMistralStream{
    Dialect::kOpenAi, Api::kStreamRawPredict, ":streamRawPredict", kKeys, GooglePathModel, ReadRequest, ReadResponse,
    ReadEvent, "/publishers/mistralai/"};

const DialectInfo kOpenAiEmbeddings{
    Dialect::kOpenAi, Api::kEmbeddings, "/embeddings", kKeys, PathModel, ReadEmbeddingRequest, ReadNoText,
    ReadNoEvent};

const DialectInfo kVllmTokenize{
    Dialect::kOpenAi, Api::kCountTokens, "/tokenize", kKeys, nullptr, ReadTokenizeRequest, ReadNoText, ReadNoEvent};

// A file of requests, one a line, each for the path that it names. Mistral's lines name none and are chats.
// https://platform.openai.com/docs/guides/batch
const DialectInfo kOpenAiBatch{.dialect = Dialect::kOpenAi, .api = Api::kChat, .path_end = "/files",
                               .credentials = kKeys, .batch = BatchForm::kLines, .batch_of = &kOpenAiChat};

}  // namespace stillwatch::dataplane
