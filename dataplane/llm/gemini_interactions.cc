// Gemini interactions: a request's input and an answer are steps, and the server may keep what was said before. Answers of
// before May 2026 have `outputs`, each like the content of a step. https://ai.google.dev/gemini-api/docs/interactions-overview
#include "base/mutant.h"
#include "dataplane/llm/dialect.h"

namespace stillwatch::dataplane {
namespace {

// --- request --------------------------------------------------------------------------------------

std::string_view RoleOf(std::string_view type) {
  if (type == "user_input" || type == "text") return "user";
  if (type == "model_output" || type == "thought" || type == "function_call") return "assistant";
  return type == "function_result" ? "tool" : type;
}

void ReadResult(JsonReader& json, JsonValue& result, RequestView* request) {
  std::string_view raw;
  if (json.TypeOf(result) == JsonType::object) {
    if (json.Raw(result, &raw)) request->AddPiece(PieceKind::kToolResult, raw);
  } else {
    ReadTexts(json, result, [&](std::string_view text) { request->AddPiece(PieceKind::kToolResult, text); });
  }
}

// A step, a turn with a role, or bare content of the user's: then true.
bool ReadStep(JsonReader& json, JsonValue& step, RequestView* request) {
  std::string_view type, role, text;
  bool bare = true;
  request->BeginMessage();
  json.Fields(step, [&](std::string_view key, JsonValue value) {
    if (key == "type") {
      json.String(value, &type);
    } else if (key == "role") {
      json.String(value, &role);
    } else if (key == "content") {
      bare = false;
      ReadTexts(json, value, [&](std::string_view t) { request->AddPiece(PieceKind::kText, t); });
    } else if (key == "text") {
      if (json.String(value, &text)) request->AddPiece(PieceKind::kText, text);
    } else if (key == "summary") {
      ReadTexts(json, value, [&](std::string_view t) { request->AddPiece(PieceKind::kReasoning, t); });
    } else if (key == "arguments") {
      if (json.Raw(value, &text)) request->AddPiece(PieceKind::kToolCall, text);
    } else if (key == "result") {
      ReadResult(json, value, request);
    } else if (key == "signature" || key == "call_id") {
      if (json.String(value, &text)) request->AddIdReturned(text);
    }
  });
  request->EndMessage(role.empty() ? RoleOf(type) : role);
  return bare && type == "text";
}

void ReadInput(JsonReader& json, JsonValue& input, RequestView* request) {
  std::string_view text;
  request->ClearMessages();
  if (json.TypeOf(input) == JsonType::string) {
    if (json.String(input, &text)) AddPrompt(text, request);
    return;
  }
  if (json.TypeOf(input) == JsonType::object) ReadStep(json, input, request);
  bool bare_before = false;
  json.Items(input, [&](JsonValue& item) {
    const bool bare = ReadStep(json, item, request);
    if (bare && bare_before) {  // one message of several texts
      const uint32_t pieces = request->messages.back().pieces;
      request->messages.pop_back();
      request->messages.back().pieces += pieces;
      --request->turns;
    }
    bare_before = bare;
  });
}

void ReadRequest(JsonReader& json, RequestView* request) {
  bool asked = false;
  std::string_view agent;
  json.RootFields([&](std::string_view key, JsonValue value) {
    std::string_view text;
    if (key == "input") {
      asked = NotNull(json, value);
      ReadInput(json, value, request);
    } else if (key == "system_instruction") {
      if (json.String(value, &text)) request->AddSystem(text);
    } else if (key == "previous_interaction_id") {
      if (json.String(value, &text)) request->AddIdReturned(text);
    } else if (key == "agent") {
      json.String(value, &agent);
    } else if (key == "stream") {
      ReadSamplingField(json, key, value, request);
    } else if (key == "tools") {
      json.Items(value, [&](JsonValue& tool) { ReadChatTool(json, tool, request); });
    } else if (key == "response_format") {
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        if (name == "schema" && NotNull(json, field)) request->flags |= kResponseFormat;
      });
    } else {
      ReadGeminiField(json, key, value, request);
    }
  });
  if (request->model.empty()) request->model = agent;
  request->shape = asked && !request->model.empty();
}

// --- answer ---------------------------------------------------------------------------------------

// What a step says waits for its type, which may come last. More texts than fit are taken for the model's.
struct StepOut {
  static constexpr size_t kTextsMax = 16;
  std::string_view type, name, id, arguments;
  std::string_view texts[kTextsMax];
  size_t count = 0;

  void Tell(OutputDigest* output) {
    for (size_t i = 0; i < count; ++i) {
      if (type == "thought") output->Reasoning(texts[i]);
      else output->Text(texts[i]);
    }
    count = 0;
  }
  void Add(std::string_view text, OutputDigest* output) {
    if (count == kTextsMax) Tell(output);
    texts[count++] = text;
  }
};

// note(): 1 while the step being streamed is a call of one of the client's tools.
void ReadStepOut(JsonReader& json, JsonValue& step, bool streamed, OutputDigest* output) {
  StepOut out;
  std::string_view text;
  json.Fields(step, [&](std::string_view key, JsonValue value) {
    if (key == "type") {
      json.String(value, &out.type);
    } else if (key == "content" || key == "summary") {
      ReadTexts(json, value, [&](std::string_view t) { out.Add(t, output); });
    } else if (key == "text") {
      if (json.String(value, &text)) out.Add(text, output);
    } else if (key == "name") {
      json.String(value, &out.name);
    } else if (key == "id") {
      json.String(value, &out.id);
    } else if (key == "arguments") {
      json.Raw(value, &out.arguments);
    } else if (key == "signature") {
      if (json.String(value, &text)) output->IdIssued(text);
    }
  });
  output->note() = out.type == "function_call";
  const bool said = out.type == "model_output" || out.type == "text" || out.type == "thought";
  if (said || MutantIs("llm.input_is_output")) out.Tell(output);  // an answer may repeat its input
  if (out.type != "function_call") return;
  output->ToolCall(out.name, out.id);
  if (!streamed || out.arguments != "{}") output->ToolArguments(out.arguments);
}

FinishReason FinishOf(std::string_view status) {
  if (status == "completed") return FinishReason::kStop;
  if (status == "requires_action") return FinishReason::kToolUse;
  if (status == "incomplete") return FinishReason::kLength;
  return FinishReason::kOther;
}

void ReadInteraction(JsonReader& json, std::string_view key, JsonValue& value, bool with_steps, OutputDigest* output) {
  std::string_view text;
  if (key == "steps" || key == "outputs") {
    if (with_steps) json.Items(value, [&](JsonValue& step) { ReadStepOut(json, step, false, output); });
  } else if (key == "id") {
    if (json.String(value, &text)) output->IdIssued(text);
  } else if (key == "model") {
    if (json.String(value, &text)) output->Model(text);
  } else if (key == "status") {
    if (json.String(value, &text) && text != "in_progress") output->Finish(FinishOf(text), text);
  } else if (key == "usage") {
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      uint64_t tokens;
      if (name == "total_input_tokens" && json.Uint(field, &tokens)) output->UsageIn(tokens);
      if (name == "total_output_tokens" && json.Uint(field, &tokens)) output->UsageOut(tokens);
    });
  } else if (key == "error") {
    if (NotNull(json, value)) ReadError(json, value, output);
  }
}

void ReadResponse(JsonReader& json, OutputDigest* output) {
  json.RootFields([&](std::string_view key, JsonValue value) { ReadInteraction(json, key, value, true, output); });
}

void ReadDelta(JsonReader& json, JsonValue& delta, OutputDigest* output) {
  json.Fields(delta, [&](std::string_view key, JsonValue value) {
    std::string_view text;
    if (key == "text") {
      if (json.String(value, &text)) output->Text(text);
    } else if (key == "content") {  // of a thought's summary
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        if (name == "text" && json.String(field, &text)) output->Reasoning(text);
      });
    } else if (key == "signature") {
      if (json.String(value, &text)) output->IdIssued(text);
    } else if (key == "arguments") {
      if (output->note() == 1 && json.String(value, &text)) output->ToolArguments(text);
    }
  });
}

void ReadEvent(JsonReader& json, std::string_view, OutputDigest* output) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key == "delta") {
      ReadDelta(json, value, output);
    } else if (key == "step") {
      ReadStepOut(json, value, true, output);
    } else if (key == "interaction") {
      const bool told = output->any_text();
      json.Fields(value, [&](std::string_view name, JsonValue field) { ReadInteraction(json, name, field, !told, output); });
    } else if (key == "error") {
      if (NotNull(json, value)) ReadError(json, value, output);
    }
  });
}

}  // namespace

const DialectInfo kGeminiInteractions{
    .dialect = Dialect::kGemini,
    .api = Api::kInteractions,
    .path_end = "/interactions",
    .credentials = {CredentialPlace::kGoogApiKey, CredentialPlace::kQueryKey, CredentialPlace::kAuthorization},
    .read_request = ReadRequest,
    .read_response = ReadResponse,
    .read_event = ReadEvent};

}  // namespace stillwatch::dataplane
