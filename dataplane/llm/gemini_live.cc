// Gemini Live (BidiGenerateContent), as the Gemini API and Vertex AI speak it. One answer at a time: from the client's
// turn, or from the first the server says, to turnComplete or a tool call.
// https://ai.google.dev/api/live
#include <utility>

#include "dataplane/llm/realtime.h"

namespace stillwatch::dataplane {
namespace {

constexpr uint64_t kTheAnswer = 1;  // answers have no ids

// The answer is settled with what was heard before it, then what it said is said.
void EndAnswer(RealtimeReader* reader, Transaction* t, bool complete) {
  const ConversationLog said = std::exchange(reader->session().said, {});
  reader->EndHearing();
  reader->Settle(t);
  reader->session().said = said;
  reader->EndHearing();
  reader->End(t, complete);
}

// --- what the client says -----------------------------------------------------------------------

void ReadSetup(RealtimeReader* reader, JsonValue& setup) {
  JsonReader& json = reader->json();
  RequestView* const view = reader->NewView();
  json.Fields(setup, [&](std::string_view key, JsonValue value) { ReadGeminiField(json, key, value, view); });
  reader->Configure(true, true);
}

void ReadTurns(RealtimeReader* reader, JsonValue& content) {
  JsonReader& json = reader->json();
  // It interrupts what is being answered.
  while (reader->session().turns_count != 0) EndAnswer(reader, reader->session().turns[0], false);
  reader->EndHearing();
  RequestView* const view = reader->NewView();
  bool complete = false;
  json.Fields(content, [&](std::string_view key, JsonValue value) {
    if (key == "turns") {
      json.Items(value, [&](JsonValue& turn) { ReadGeminiContent(json, turn, view); });
    } else if (key == "turnComplete" || key == "turn_complete") {
      json.Bool(value, &complete);
    }
  });
  reader->Say();
  if (!complete) return;
  reader->NewView();
  reader->Ask(0, false, false, false);
}

void ReadToolResponse(RealtimeReader* reader, JsonValue& response) {
  JsonReader& json = reader->json();
  RequestView* const view = reader->NewView();
  view->BeginMessage();
  json.Fields(response, [&](std::string_view key, JsonValue value) {
    if (key != "functionResponses" && key != "function_responses") return;
    json.Items(value, [&](JsonValue& one) {
      json.Fields(one, [&](std::string_view name, JsonValue field) {
        std::string_view text;
        if (name == "id" && json.String(field, &text)) view->AddIdReturned(text);
        if (name == "response" && json.Raw(field, &text)) view->AddPiece(PieceKind::kToolResult, text);
      });
    });
  });
  view->EndMessage("tool");
  reader->Say();
}

void ReadClientMessage(RealtimeReader* reader) {
  JsonReader& json = reader->json();
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key == "setup") {
      ReadSetup(reader, value);
    } else if (key == "clientContent" || key == "client_content") {
      ReadTurns(reader, value);
    } else if (key == "toolResponse" || key == "tool_response") {
      ReadToolResponse(reader, value);
    } else if (key == "realtimeInput" || key == "realtime_input") {
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        std::string_view text;
        if (name == "text" && json.String(field, &text)) reader->Hear(true, text);
      });
    }
  });
}

// --- what the server says -----------------------------------------------------------------------

struct Progress {
  bool turn_complete = false, interrupted = false, called = false;
};

Transaction* TheAnswer(RealtimeReader* reader) {
  Transaction* t = reader->Find(kTheAnswer);
  return t != nullptr ? t : reader->Begin(kTheAnswer);
}

std::string_view TranscriptOf(JsonReader& json, JsonValue& transcription) {
  std::string_view text;
  json.Fields(transcription, [&](std::string_view key, JsonValue value) {
    if (key == "text") json.String(value, &text);
  });
  return text;
}

void ReadServerContent(RealtimeReader* reader, JsonValue& content, Progress* progress) {
  JsonReader& json = reader->json();
  json.Fields(content, [&](std::string_view key, JsonValue value) {
    if (key == "modelTurn" || key == "model_turn") {
      json.Fields(value, [&](std::string_view name, JsonValue parts) {
        if (name != "parts") return;
        Transaction* const t = TheAnswer(reader);
        if (t == nullptr) return;
        OutputDigest output = reader->OutputOf(t);
        json.Items(parts, [&](JsonValue& part) { reader->Hear(false, ReadGeminiPart(json, part, &output)); });
      });
    } else if (key == "outputTranscription" || key == "output_transcription") {
      const std::string_view text = TranscriptOf(json, value);
      Transaction* const t = TheAnswer(reader);
      if (t == nullptr) return;
      reader->OutputOf(t).Text(text);
      reader->Hear(false, text);
    } else if (key == "inputTranscription" || key == "input_transcription") {
      reader->Hear(true, TranscriptOf(json, value));
    } else if (key == "turnComplete" || key == "turn_complete") {
      json.Bool(value, &progress->turn_complete);
    } else if (key == "interrupted") {
      json.Bool(value, &progress->interrupted);
    }
  });
}

void ReadToolCall(RealtimeReader* reader, JsonValue& call, Progress* progress) {
  JsonReader& json = reader->json();
  Transaction* const t = TheAnswer(reader);
  if (t == nullptr) return;
  OutputDigest output = reader->OutputOf(t);
  json.Fields(call, [&](std::string_view key, JsonValue value) {
    if (key != "functionCalls" && key != "function_calls") return;
    json.Items(value, [&](JsonValue& one) {
      std::string_view name, id, arguments = "{}";
      json.Fields(one, [&](std::string_view field, JsonValue inner) {
        if (field == "name") json.String(inner, &name);
        if (field == "id") json.String(inner, &id);
        if (field == "args") json.Raw(inner, &arguments);
      });
      output.ToolCall(name, id);
      output.ToolArguments(arguments);
    });
  });
  progress->called = true;
}

void ReadUsage(JsonReader& json, JsonValue& usage, OutputDigest output) {
  json.Fields(usage, [&](std::string_view key, JsonValue value) {
    uint64_t tokens;
    if ((key == "promptTokenCount" || key == "prompt_token_count") && json.Uint(value, &tokens)) output.UsageIn(tokens);
    const bool out = key == "responseTokenCount" || key == "response_token_count" || key == "candidatesTokenCount";
    if (out && json.Uint(value, &tokens)) output.UsageOut(tokens);
  });
}

void ReadServerMessage(RealtimeReader* reader) {
  JsonReader& json = reader->json();
  Progress progress;
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key == "serverContent" || key == "server_content") {
      ReadServerContent(reader, value, &progress);
    } else if (key == "toolCall" || key == "tool_call") {
      ReadToolCall(reader, value, &progress);
    } else if (key == "usageMetadata" || key == "usage_metadata") {
      if (Transaction* const t = reader->Find(kTheAnswer)) ReadUsage(json, value, reader->OutputOf(t));
    }
  });
  Transaction* t = reader->Find(kTheAnswer);
  // An answer without a word.
  if (t == nullptr && progress.turn_complete && reader->session().turns_count != 0) t = reader->Begin(kTheAnswer);
  if (t == nullptr) {
    if (progress.turn_complete) reader->counters().Add(RealtimeCounter::kUnexpected);
    return;
  }
  reader->CountEvent(t);
  OutputDigest output = reader->OutputOf(t);
  if (progress.interrupted) output.Finish(FinishReason::kOther, "interrupted");
  if (progress.called) {
    output.Finish(FinishReason::kToolUse, "tool_call");
  } else if (!progress.turn_complete) {
    return;
  } else if (t->output.finish == FinishReason::kUnknown) {
    output.Finish(FinishReason::kStop, "turn_complete");
  }
  EndAnswer(reader, t, true);
}

void ReadRealtime(RealtimeReader* reader, bool from_client) {
  if (from_client) {
    ReadClientMessage(reader);
  } else {
    ReadServerMessage(reader);
  }
}

constexpr DialectInfo Row(std::string_view path_end) {
  return {.dialect = Dialect::kGemini,
          .api = Api::kRealtime,
          .path_end = path_end,
          .credentials = {CredentialPlace::kGoogApiKey, CredentialPlace::kQueryKey, CredentialPlace::kAuthorization},
          .read_realtime = ReadRealtime};
}

}  // namespace

const DialectInfo kGeminiLive = Row("BidiGenerateContent");
// With a token that was made for one session, as browsers and phones get them.
const DialectInfo kGeminiLiveConstrained = Row("BidiGenerateContentConstrained");

}  // namespace stillwatch::dataplane
