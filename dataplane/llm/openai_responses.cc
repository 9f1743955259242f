// OpenAI responses. https://platform.openai.com/docs/api-reference/responses
#include "dataplane/llm/dialect.h"

namespace stillwatch::dataplane {
namespace {

// One element of `input`: a message, or an item of a former answer sent back.
void ReadItem(JsonReader& json, JsonValue& item, RequestView* request) {
  std::string_view role, type, text;
  request->BeginMessage();
  json.Fields(item, [&](std::string_view key, JsonValue value) {
    if (key == "role") {
      json.String(value, &role);
    } else if (key == "type") {
      json.String(value, &type);
    } else if (key == "content") {
      ReadTexts(json, value, [&](std::string_view t) { request->AddPiece(PieceKind::kText, t); });
    } else if (key == "summary") {
      ReadTexts(json, value, [&](std::string_view t) { request->AddPiece(PieceKind::kReasoning, t); });
    } else if (key == "output") {
      ReadTexts(json, value, [&](std::string_view t) { request->AddPiece(PieceKind::kToolResult, t); });
    } else if (key == "arguments" || key == "input") {
      if (json.String(value, &text)) request->AddPiece(PieceKind::kToolCall, text);
    } else if (key == "operation" || key == "action") {
      if (json.Raw(value, &text)) request->AddPiece(PieceKind::kToolCall, text);
    } else if (key == "call_id" || key == "encrypted_content" || key == "id") {
      if (json.String(value, &text)) request->AddIdReturned(text);
    }
  });
  request->EndMessage(role.empty() ? type : role);
  if (role.empty() && type == "reasoning") {
    RequestMessage& message = request->messages.back();
    for (uint32_t i = 0; i < message.pieces; ++i) {
      request->pieces[message.first_piece + i].kind = PieceKind::kReasoning;
    }
  }
}

void ReadInput(JsonReader& json, JsonValue& input, RequestView* request) {
  request->ClearMessages();
  std::string_view text;
  if (json.TypeOf(input) != JsonType::string) {
    json.Items(input, [&](JsonValue& item) { ReadItem(json, item, request); });
    return;
  }
  if (!json.String(input, &text)) return;
  request->text_input = true;
  request->BeginMessage();
  request->AddPiece(PieceKind::kText, text);
  request->EndMessage("user");
}

void ReadTool(JsonReader& json, JsonValue& tool, RequestView* request) {
  std::string_view name, type;
  json.Fields(tool, [&](std::string_view key, JsonValue value) {
    if (key == "name") json.String(value, &name);
    if (key == "type") json.String(value, &type);
  });
  request->AddTool(name.empty() ? type : name);
}

void ReadRequestField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request) {
  std::string_view text;
  if (ReadOpenAiField(json, key, value, request)) return;
  if (key == "input") {
    request->shape = true;
    ReadInput(json, value, request);
  } else if (key == "prompt" || key == "previous_response_id" || key == "conversation") {
    if (NotNull(json, value)) request->shape = true;
    if (json.TypeOf(value) == JsonType::string) {
      if (json.String(value, &text) && key != "prompt") request->AddIdReturned(text);
    } else if (key == "conversation") {
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        if (name == "id" && json.String(field, &text)) request->AddIdReturned(text);
      });
    }
  } else if (key == "instructions") {
    if (json.String(value, &text)) request->AddSystem(text);
  } else if (key == "max_output_tokens" || key == "max_response_output_tokens") {
    ReadMaxTokens(json, value, request);
  } else if (key == "tools") {
    json.Items(value, [&](JsonValue& tool) { ReadTool(json, tool, request); });
  } else if (key == "text") {
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      if (name != "format") return;
      json.Fields(field, [&](std::string_view inner, JsonValue type) {
        if (inner == "type" && json.String(type, &text) && text != "text") {
          request->flags |= kResponseFormat;
        }
      });
    });
  } else if (key == "reasoning") {
    if (NotNull(json, value)) request->flags |= kReasoningAsked;
  }
}

void ReadRequest(JsonReader& json, RequestView* request) {
  json.RootFields([&](std::string_view key, JsonValue value) {
    ReadRequestField(json, key, value, request);
  });
}

// What one item of the answer's `output` holds. `told`: its text came as deltas before.
void ReadOutputItem(JsonReader& json, JsonValue& item, bool told, OutputDigest* output) {
  std::string_view type, name, arguments, call_id, text;
  json.Fields(item, [&](std::string_view key, JsonValue value) {
    if (key == "type") {
      json.String(value, &type);
    } else if (key == "name") {
      json.String(value, &name);
    } else if (key == "arguments" || key == "input") {
      json.String(value, &arguments);
    } else if (key == "operation" || key == "action") {
      json.Raw(value, &arguments);
    } else if (key == "call_id") {
      json.String(value, &call_id);
    } else if (key == "encrypted_content" || key == "id") {
      if (json.String(value, &text)) output->IdIssued(text);
    } else if (key == "summary" && !told) {
      ReadTexts(json, value, [&](std::string_view t) { output->Reasoning(t); });
    } else if (key == "content" && !told) {
      json.Items(value, [&](JsonValue& part) {
        std::string_view part_type, part_text, refusal;
        json.Fields(part, [&](std::string_view inner, JsonValue field) {
          if (inner == "type") json.String(field, &part_type);
          if (inner == "text" || inner == "transcript") json.String(field, &part_text);
          if (inner == "refusal") json.String(field, &refusal);
        });
        if (part_type == "reasoning_text") {
          output->Reasoning(part_text);
        } else {
          output->Text(part_text);
        }
        output->Refusal(refusal);
      });
    }
  });
  // Calls that the client carries out; the last have no name of their own.
  if (type == "function_call" || type == "custom_tool_call" || type == "apply_patch_call" || type == "shell_call" ||
      type == "local_shell_call" || type == "computer_call") {
    output->ToolCall(name.empty() ? type : name, call_id);
    output->ToolArguments(arguments);
  }
}

struct Ending {
  std::string_view status, reason;
};

FinishReason FinishOf(const Ending& ending) {
  if (ending.status == "completed") return FinishReason::kStop;
  if (ending.reason == "max_output_tokens") return FinishReason::kLength;
  if (ending.reason == "content_filter") return FinishReason::kContentFilter;
  return FinishReason::kOther;
}

// A response object. `with_output`: its items are still to be read.
void ReadResponseFields(JsonReader& json, std::string_view key, JsonValue& value, bool with_output,
                        Ending* ending, OutputDigest* output) {
  std::string_view text;
  if (key == "output") {
    if (!with_output) return;
    json.Items(value, [&](JsonValue& item) { ReadOutputItem(json, item, false, output); });
  } else if (key == "id") {
    if (json.String(value, &text)) output->IdIssued(text);
  } else if (key == "model") {
    if (json.String(value, &text)) output->Model(text);
  } else if (key == "status") {
    json.String(value, &ending->status);
  } else if (key == "incomplete_details" || key == "status_details") {
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      if (name == "reason") json.String(field, &ending->reason);
      if (name == "error" && NotNull(json, field)) ReadError(json, field, output);
    });
  } else if (key == "usage") {
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      uint64_t tokens;
      if (name == "input_tokens" && json.Uint(field, &tokens)) output->UsageIn(tokens);
      if (name == "output_tokens" && json.Uint(field, &tokens)) output->UsageOut(tokens);
    });
  } else if (key == "error") {
    if (NotNull(json, value)) ReadError(json, value, output);
  }
}

void TellEnding(const Ending& ending, OutputDigest* output) {
  if (!ending.status.empty() && ending.status != "in_progress" && ending.status != "queued") {
    output->Finish(FinishOf(ending), ending.status);
  }
}

void ReadResponse(JsonReader& json, OutputDigest* output) {
  Ending ending;
  json.RootFields([&](std::string_view key, JsonValue value) {
    ReadResponseFields(json, key, value, true, &ending, output);
  });
  TellEnding(ending, output);
}

void ReadDelta(JsonReader& json, std::string_view type, JsonValue& value, OutputDigest* output) {
  std::string_view text;
  if (!json.String(value, &text)) return;
  if (type == "response.output_text.delta" || type == "response.text.delta" ||
      type == "response.output_audio_transcript.delta" || type == "response.audio_transcript.delta") {
    output->Text(text);
  }
  if (type == "response.refusal.delta") output->Refusal(text);
  if (type == "response.reasoning_summary_text.delta" || type == "response.reasoning_text.delta") {
    output->Reasoning(text);
  }
  output->note() = 1;
}

// note(): 1 when items were told by their own events, so that the final object does not repeat them.
void ReadEvent(JsonReader& json, std::string_view type, OutputDigest* output) {
  Ending ending;
  json.RootFields([&](std::string_view key, JsonValue value) {
    std::string_view text;
    if (key == "type") {
      json.String(value, &type);  // comes first; some gateways leave the event's name out
    } else if (key == "delta") {
      ReadDelta(json, type, value, output);
    } else if (key == "item" && type == "response.output_item.done") {
      ReadOutputItem(json, value, true, output);
      output->note() = 1;
    } else if (key == "response" && (EndsResponse(type) || type == "response.created")) {
      const bool with_output = EndsResponse(type) && output->note() == 0;
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        ReadResponseFields(json, name, field, with_output, &ending, output);
      });
    } else if (key == "error") {
      if (NotNull(json, value)) ReadError(json, value, output);
    } else if (key == "code" && type == "error") {
      if (json.String(value, &text)) output->Error(text, text == "rate_limit_exceeded");
    }
  });
  if (EndsResponse(type)) TellEnding(ending, output);
}

// How many tokens a request would have: {"object": "response.input_tokens", "input_tokens": 11}
void ReadCountRequest(JsonReader& json, RequestView* request) {
  request->generates = false;
  ReadRequest(json, request);
}

void ReadCount(JsonReader& json, OutputDigest* output) { ReadTokenCount(json, "input_tokens", output); }

constexpr CredentialPlaces kKeys{CredentialPlace::kAuthorization, CredentialPlace::kApiKey,
                                 CredentialPlace::kXApiKey};

}  // namespace

void ReadResponsesField(JsonReader& json, std::string_view key, JsonValue& value, RequestView* request) {
  ReadRequestField(json, key, value, request);
}
void ReadResponsesItem(JsonReader& json, JsonValue& item, RequestView* request) { ReadItem(json, item, request); }
void ReadResponsesEvent(JsonReader& json, std::string_view type, OutputDigest* output) { ReadEvent(json, type, output); }
bool EndsResponse(std::string_view type) {
  return type == "response.completed" || type == "response.incomplete" || type == "response.failed" ||
         type == "response.done";  // realtime
}

const DialectInfo kOpenAiResponses{
    Dialect::kOpenAi, Api::kResponses, "/responses", kKeys, nullptr, ReadRequest, ReadResponse, ReadEvent};

const DialectInfo kOpenAiCountTokens{
    Dialect::kOpenAi, Api::kCountTokens, "/responses/input_tokens", kKeys, nullptr, ReadCountRequest, ReadCount,
    ReadEvent};

}  // namespace stillwatch::dataplane
