// Gemini generateContent and streamGenerateContent, as the Gemini API and Vertex AI speak it; both the
// lowerCamelCase and the snake_case spelling of field names are accepted by the servers. Code Assist, which the Gemini CLI
// asks, wraps both sides: {"model": ..., "request": {...}} and {"response": {...}}.
// https://ai.google.dev/api/generate-content
#include <algorithm>

#include "dataplane/llm/dialect.h"

namespace stillwatch::dataplane {
namespace {

void ReadPart(JsonReader& json, JsonValue& part, RequestView* request) {
  std::string_view text, id;
  bool thought = false;
  json.Fields(part, [&](std::string_view key, JsonValue value) {
    if (key == "text") {
      json.String(value, &text);
    } else if (key == "thought") {
      json.Bool(value, &thought);
    } else if (key == "thoughtSignature" || key == "thought_signature") {
      if (json.String(value, &id)) request->AddIdReturned(id);
    } else if (key == "functionCall" || key == "function_call") {
      std::string_view raw;
      if (json.Raw(value, &raw)) request->AddPiece(PieceKind::kToolCall, raw);
    } else if (key == "functionResponse" || key == "function_response") {
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        std::string_view raw;
        if (name == "id" && json.String(field, &id)) request->AddIdReturned(id);
        if (name == "response" && json.Raw(field, &raw)) request->AddPiece(PieceKind::kToolResult, raw);
      });
    }
  });
  request->AddPiece(thought ? PieceKind::kReasoning : PieceKind::kText, text);
}

void ReadContent(JsonReader& json, JsonValue& content, RequestView* request) {
  std::string_view role = "user";
  request->BeginMessage();
  json.Fields(content, [&](std::string_view key, JsonValue value) {
    if (key == "role") json.String(value, &role);
    if (key == "parts") {
      if (json.TypeOf(value) == JsonType::object) ReadPart(json, value, request);
      json.Items(value, [&](JsonValue& part) { ReadPart(json, part, request); });
    }
  });
  request->EndMessage(role);
}

void ReadConfig(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request) {
  bool flag;
  uint64_t number;
  if (key == "temperature") {
    if (json.Milli(value, &request->temperature_milli)) request->flags |= kHasTemperature;
  } else if (key == "topP" || key == "top_p") {
    if (json.Milli(value, &request->top_p_milli)) request->flags |= kHasTopP;
  } else if (key == "maxOutputTokens" || key == "max_output_tokens") {
    ReadMaxTokens(json, value, request);
  } else if (key == "candidateCount" || key == "candidate_count") {
    if (json.Uint(value, &request->n)) request->flags |= kHasN;
  } else if (key == "seed") {
    if (json.Uint(value, &request->seed)) request->flags |= kHasSeed;
  } else if (key == "responseLogprobs" || key == "response_logprobs") {
    if (json.Bool(value, &flag) && flag) request->flags |= kLogprobs;
  } else if (key == "logprobs") {
    if (json.Uint(value, &number) && number != 0) request->flags |= kLogprobs;
  } else if (key == "responseSchema" || key == "response_schema" || key == "responseJsonSchema" ||
             key == "response_json_schema") {
    if (NotNull(json, value)) request->flags |= kResponseFormat;
  } else if (key == "responseMimeType" || key == "response_mime_type") {
    std::string_view type;
    if (json.String(value, &type) && type != "text/plain") request->flags |= kResponseFormat;
  } else if (key == "thinkingConfig" || key == "thinking_config" || key == "thinking_level") {
    if (NotNull(json, value)) request->flags |= kReasoningAsked;
  }
}

void ReadTools(JsonReader& json, JsonValue& tools, RequestView* request) {
  json.Items(tools, [&](JsonValue& tool) {
    json.Fields(tool, [&](std::string_view key, JsonValue value) {
      if (key != "functionDeclarations" && key != "function_declarations") {
        request->AddTool(key);
        return;
      }
      json.Items(value, [&](JsonValue& function) {
        std::string_view name;
        json.Fields(function, [&](std::string_view inner, JsonValue field) {
          if (inner == "name") json.String(field, &name);
        });
        request->AddTool(name);
      });
    });
  });
}

void ReadRequestField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request) {
  if (key == "contents") {
    request->ClearMessages();
    request->shape = true;
    if (json.TypeOf(value) == JsonType::object) ReadContent(json, value, request);
    json.Items(value, [&](JsonValue& content) { ReadContent(json, content, request); });
  } else if (key == "systemInstruction" || key == "system_instruction") {
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      if (name != "parts") return;
      const auto add = [&](std::string_view text) { request->AddSystem(text); };
      ReadTexts(json, field, add);
      json.Fields(field, [&](std::string_view inner, JsonValue text) {  // one part without its array
        if (inner == "text") ReadTexts(json, text, add);
      });
    });
  } else if (key == "generationConfig" || key == "generation_config") {
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      ReadConfig(json, name, field, request);
    });
  } else if (key == "tools") {
    ReadTools(json, value, request);
  } else if (key == "model") {  // models/NAME, or projects/.../models/NAME
    if (json.String(value, &request->model)) request->model.remove_prefix(request->model.rfind('/') + 1);
  }
}

void ReadRequest(JsonReader& json, RequestView* request) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key != "request") return ReadRequestField(json, key, value, request);
    json.Fields(value, [&](std::string_view name, JsonValue field) { ReadRequestField(json, name, field, request); });
  });
}

FinishReason FinishOf(std::string_view name) {
  if (name == "STOP" || name == "1") return FinishReason::kStop;
  if (name == "MAX_TOKENS" || name == "2") return FinishReason::kLength;
  if (name == "SAFETY" || name == "RECITATION" || name == "BLOCKLIST" || name == "PROHIBITED_CONTENT" ||
      name == "SPII" || name == "IMAGE_SAFETY") {
    return FinishReason::kContentFilter;
  }
  return FinishReason::kOther;
}

struct PartOut {
  std::string_view text, signature, call_name, call_id, call_arguments;
  bool thought = false, call = false;
};

PartOut ReadPartOut(JsonReader& json, JsonValue& value) {
  PartOut part;
  json.Fields(value, [&](std::string_view key, JsonValue field) {
    if (key == "text") {
      json.String(field, &part.text);
    } else if (key == "thought") {
      json.Bool(field, &part.thought);
    } else if (key == "thoughtSignature" || key == "thought_signature") {
      json.String(field, &part.signature);
    } else if (key == "functionCall") {
      part.call = true;
      json.Fields(field, [&](std::string_view name, JsonValue inner) {
        if (name == "name") json.String(inner, &part.call_name);
        if (name == "id") json.String(inner, &part.call_id);
        if (name == "args") json.Raw(inner, &part.call_arguments);
      });
    }
  });
  return part;
}

void Tell(const PartOut& part, OutputDigest* output) {
  if (part.thought) {
    output->Reasoning(part.text);
  } else {
    output->Text(part.text);
  }
  output->IdIssued(part.signature);
  // A call without a name is a fragment of the arguments of one that is being streamed.
  if (!part.call || part.call_name.empty()) return;
  output->ToolCall(part.call_name, part.call_id);
  output->ToolArguments(part.call_arguments.empty() ? "{}" : part.call_arguments);
}

// Only the candidate with index 0 is the output, and its number comes after its parts: they wait for it. More
// parts than fit are taken for candidate 0's.
void ReadCandidate(JsonReader& json, JsonValue& candidate, OutputDigest* output) {
  constexpr size_t kPartsMax = 16;
  PartOut parts[kPartsMax];
  size_t count = 0;
  uint64_t index = 0;
  std::string_view finish;
  json.Fields(candidate, [&](std::string_view key, JsonValue value) {
    if (key == "content") {
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        if (name != "parts") return;
        json.Items(field, [&](JsonValue& item) {
          if (count == kPartsMax) {
            for (const PartOut& part : parts) Tell(part, output);
            count = 0;
          }
          parts[count++] = ReadPartOut(json, item);
        });
      });
    } else if (key == "finishReason" || key == "finish_reason") {
      if (json.TypeOf(value) == JsonType::number) {
        json.Raw(value, &finish);
      } else {
        json.String(value, &finish);
      }
    } else if (key == "index") {
      json.Uint(value, &index);
    }
  });
  if (index != 0) {
    output->MoreChoices();
    return;
  }
  for (size_t i = 0; i < count; ++i) Tell(parts[i], output);
  if (!finish.empty()) output->Finish(FinishOf(finish), finish);
}

void ReadAnswer(JsonReader& json, std::string_view key, JsonValue& value, OutputDigest* output) {
  std::string_view text;
  if (key == "candidates") {
    json.Items(value, [&](JsonValue& candidate) { ReadCandidate(json, candidate, output); });
  } else if (key == "usageMetadata") {
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      uint64_t tokens;
      if (name == "promptTokenCount" && json.Uint(field, &tokens)) output->UsageIn(tokens);
      if (name == "candidatesTokenCount" && json.Uint(field, &tokens)) output->UsageOut(tokens);
    });
  } else if (key == "modelVersion") {
    if (json.String(value, &text)) output->Model(text);
  } else if (key == "responseId") {
    if (json.String(value, &text)) output->IdIssued(text);
  } else if (key == "promptFeedback") {
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      if (name == "blockReason" && NotNull(json, field)) output->Flag(kRefusal);
    });
  } else if (key == "error") {
    if (NotNull(json, value)) ReadError(json, value, output);
  }
}

// A stream without alt=sse comes as one array of answers.
void ReadResponse(JsonReader& json, OutputDigest* output) {
  const auto read = [&](std::string_view key, JsonValue value) {
    if (key != "response") return ReadAnswer(json, key, value, output);
    json.Fields(value, [&](std::string_view name, JsonValue field) { ReadAnswer(json, name, field, output); });
  };
  if (json.RootType() == JsonType::array) {
    json.RootItems([&](JsonValue& answer) { json.Fields(answer, read); });
    return;
  }
  json.RootFields(read);
}

void ReadEvent(JsonReader& json, std::string_view, OutputDigest* output) { ReadResponse(json, output); }

// ---- numbers: how many tokens a request would have, embeddings

// The contents of a request, or a whole request. https://ai.google.dev/api/tokens
void ReadCountRequest(JsonReader& json, RequestView* request) {
  request->generates = false;
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key != "generateContentRequest" && key != "request") return ReadRequestField(json, key, value, request);
    json.Fields(value, [&](std::string_view name, JsonValue field) { ReadRequestField(json, name, field, request); });
  });
}

// https://ai.google.dev/api/embeddings
void ReadEmbedRequest(JsonReader& json, RequestView* request) {
  request->generates = false;
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key == "content") {
      request->shape = true;
      ReadContent(json, value, request);
    } else if (key == "requests") {
      json.Items(value, [&](JsonValue& one) {
        json.Fields(one, [&](std::string_view name, JsonValue field) {
          if (name != "content") return;
          request->shape = true;
          ReadContent(json, field, request);
        });
      });
    }
  });
}

void ReadCount(JsonReader& json, OutputDigest* output) { ReadTokenCount(json, "totalTokens", output); }

constexpr CredentialPlaces kKeys{CredentialPlace::kGoogApiKey, CredentialPlace::kQueryKey,
                                 CredentialPlace::kAuthorization};

}  // namespace

void ReadGeminiField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request) {
  ReadRequestField(json, key, value, request);
}
void ReadGeminiContent(JsonReader& json, JsonValue& content, RequestView* request) {
  ReadContent(json, content, request);
}
std::string_view ReadGeminiPart(JsonReader& json, JsonValue& part, OutputDigest* output) {
  const PartOut read = ReadPartOut(json, part);
  if (output != nullptr) Tell(read, output);
  return read.thought ? std::string_view() : read.text;
}

// .../models/NAME:generateContent; NAME may have a version behind @, and both signs may come escaped
std::string_view GooglePathModel(std::string_view path) {
  const size_t slash = path.rfind('/');
  const std::string_view last = path.substr(slash + 1);
  return last.substr(0, std::min({last.find(':'), last.find("%3A"), last.find("%3a")}));
}

const DialectInfo kGeminiGenerate{
    Dialect::kGemini, Api::kGenerateContent, ":generateContent", kKeys, GooglePathModel, ReadRequest, ReadResponse,
    ReadEvent};
const DialectInfo kGeminiStream{
    Dialect::kGemini, Api::kStreamGenerateContent, ":streamGenerateContent", kKeys, GooglePathModel, ReadRequest,
    ReadResponse, ReadEvent};
const DialectInfo kGeminiCountTokens{
    Dialect::kGemini, Api::kCountTokens, ":countTokens", kKeys, GooglePathModel, ReadCountRequest, ReadCount,
    ReadEvent};
const DialectInfo kGeminiEmbed{
    Dialect::kGemini, Api::kEmbedContent, ":embedContent", kKeys, GooglePathModel, ReadEmbedRequest, ReadCount,
    ReadEvent};
const DialectInfo kGeminiBatchEmbed{
    Dialect::kGemini, Api::kBatchEmbedContents, ":batchEmbedContents", kKeys, GooglePathModel, ReadEmbedRequest,
    ReadCount, ReadEvent};

}  // namespace stillwatch::dataplane
