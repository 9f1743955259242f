// OpenAI realtime, also as Azure and others speak it; events of the beta and of the general release.
// https://platform.openai.com/docs/api-reference/realtime
// And responses over WebSocket, whose events are those of a streamed answer.
// https://developers.openai.com/api/docs/guides/websocket-mode
#include <algorithm>
#include <array>

#include "base/mutant.h"
#include "dataplane/llm/realtime.h"

namespace stillwatch::dataplane {
namespace {

// What must be known before anything else is read; copied, since the event is then read from its front again.
struct Envelope {
  std::array<char, 64> bytes;
  std::string_view type;         // longer ones are none that we know
  uint64_t event = 0, response = 0;
  uint64_t lane = 1;             // of responses that are made side by side
  uint64_t status = 400;         // of an error
};

void ReadEnvelope(RealtimeReader* reader, Envelope* out) {
  JsonReader& json = reader->json();
  std::string_view type, text;
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key == "type") {
      json.String(value, &type);
    } else if (key == "event_id") {
      if (json.String(value, &text)) out->event = reader->KeyOf(text);
    } else if (key == "response_id") {
      if (json.String(value, &text)) out->response = reader->KeyOf(text);
    } else if (key == "stream_id") {
      if (json.TypeOf(value) == JsonType::string && json.String(value, &text)) out->lane = reader->KeyOf(text);
    } else if (key == "status") {
      json.Uint(value, &out->status);
    } else if (key == "response") {
      json.Fields(value, [&](std::string_view name, JsonValue field) {
        if (name == "id" && json.String(field, &text)) out->response = reader->KeyOf(text);
      });
    }
  });
  if (type.size() > out->bytes.size()) return;
  std::copy(type.begin(), type.end(), out->bytes.begin());
  out->type = {out->bytes.data(), type.size()};
}

// --- what the client says -----------------------------------------------------------------------

void UpdateSession(RealtimeReader* reader) {
  JsonReader& json = reader->json();
  RequestView* const view = reader->NewView();
  bool system = false, tools = false;
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key != "session") return;
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      system |= name == "instructions";
      tools |= name == "tools";
      ReadResponsesField(json, name, field, view);
    });
  });
  reader->Configure(system, tools);
}

void CreateItem(RealtimeReader* reader) {
  JsonReader& json = reader->json();
  RequestView* const view = reader->NewView();
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key == "item") ReadResponsesItem(json, value, view);
  });
  reader->Say();
}

void CreateResponse(RealtimeReader* reader, uint64_t event) {
  JsonReader& json = reader->json();
  RequestView* const view = reader->NewView();
  bool system = false, tools = false, items = false;
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key != "response") return;
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      if (name == "conversation") return;  // auto or none, not an id
      system |= name == "instructions";
      tools |= name == "tools";
      items |= name == "input";
      ReadResponsesField(json, name, field, view);
    });
  });
  reader->Ask(event, system, tools, items);
}

void ReadClientEvent(RealtimeReader* reader) {
  Envelope envelope;
  ReadEnvelope(reader, &envelope);
  const std::string_view type = envelope.type;
  if (type != "session.update" && type != "conversation.item.create" && type != "response.create") return;
  if (!reader->Restart()) return;
  if (type == "session.update") UpdateSession(reader);
  if (type == "conversation.item.create") CreateItem(reader);
  if (type == "response.create") CreateResponse(reader, envelope.event);
}

// --- what the server says -----------------------------------------------------------------------

void LearnModel(RealtimeReader* reader) {
  JsonReader& json = reader->json();
  std::string_view model;
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key != "session") return;
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      if (name == "model") json.String(field, &model);
    });
  });
  reader->SetModel(model);
}

void HearTranscript(RealtimeReader* reader) {
  JsonReader& json = reader->json();
  RequestView* const view = reader->NewView();
  json.RootFields([&](std::string_view key, JsonValue value) {
    std::string_view text;
    if (key != "transcript" || !json.String(value, &text)) return;
    view->BeginMessage();
    view->AddPiece(PieceKind::kText, text);
    view->EndMessage("user");
  });
  reader->Say();
}

// {"error": {"type", "code", "event_id": of the client's event that caused it}}
void ReadErrorEvent(RealtimeReader* reader) {
  JsonReader& json = reader->json();
  uint64_t event = 0;
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key != "error") return;
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      std::string_view text;
      if (name == "event_id" && json.TypeOf(field) == JsonType::string && json.String(field, &text)) {
        event = reader->KeyOf(text);
      }
    });
  });
  Transaction* const t = reader->FindAsked(event);
  if (t == nullptr || !reader->Restart()) {
    reader->counters().Add(RealtimeCounter::kUnexpected);
    return;
  }
  reader->CountEvent(t);
  OutputDigest output = reader->OutputOf(t);
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key == "error" && NotNull(json, value)) ReadError(json, value, &output);
  });
  t->header.flags |= kResponseSeen;
  t->header.status = 400;
  reader->End(t, true);
}

// The answer is part of the conversation, unless it was asked for beside it.
void SayAnswer(RealtimeReader* reader) {
  JsonReader& json = reader->json();
  RequestView* const view = reader->NewView();
  bool beside = false;
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key != "response") return;
    json.Fields(value, [&](std::string_view name, JsonValue field) {
      if (name == "conversation_id") beside = json.Null(field);
      if (name == "output") json.Items(field, [&](JsonValue& item) { ReadResponsesItem(json, item, view); });
    });
  });
  view->ids_returned.clear();  // the server's own
  if (!beside) reader->Say();
}

void ReadAnswerEvent(RealtimeReader* reader, const Envelope& envelope) {
  Transaction* t = nullptr;
  if (envelope.type == "response.created") {
    if (envelope.response != 0 && reader->Find(envelope.response) == nullptr) t = reader->Begin(envelope.response);
    if (t == nullptr) return;
  } else {
    t = reader->Find(envelope.response);
    if (t == nullptr) {
      reader->counters().Add(RealtimeCounter::kUnexpected);
      return;
    }
    reader->CountEvent(t);
  }
  if (!reader->Restart()) return;
  OutputDigest output = reader->OutputOf(t);
  ReadResponsesEvent(reader->json(), envelope.type, &output);
  if (envelope.type != "response.done") return;
  reader->Settle(t);
  if (reader->Restart()) SayAnswer(reader);
  reader->End(t, true);
}

void ReadServerEvent(RealtimeReader* reader) {
  Envelope envelope;
  ReadEnvelope(reader, &envelope);
  const std::string_view type = envelope.type;
  if (type.starts_with("response.")) return ReadAnswerEvent(reader, envelope);
  const bool session = (type == "session.created" || type == "session.updated") &&
                       reader->session().upgrade->model_length == 0;
  const bool heard = type == "conversation.item.input_audio_transcription.completed";
  if ((!session && !heard && type != "error") || !reader->Restart()) return;
  if (session) LearnModel(reader);
  if (heard) HearTranscript(reader);
  if (type == "error") ReadErrorEvent(reader);
}

void ReadRealtime(RealtimeReader* reader, bool from_client) {
  if (from_client) {
    ReadClientEvent(reader);
  } else {
    ReadServerEvent(reader);
  }
}

// --- responses ------------------------------------------------------------------------------------

// A request like that of POST .../responses, with its own setup: what the server remembers it has by the id it names.
void ReadLaneRequest(RealtimeReader* reader) {
  Envelope envelope;
  ReadEnvelope(reader, &envelope);
  if (envelope.type != "response.create" || !reader->Restart()) return;
  JsonReader& json = reader->json();
  RequestView* const view = reader->NewView();
  json.RootFields([&](std::string_view key, JsonValue value) { ReadResponsesField(json, key, value, view); });
  if (!view->shape) return;
  Transaction* const t = reader->Ask(0, true, true, true);
  if (t != nullptr) t->response_key = envelope.lane;
}

// Events name no response. In one lane answers come in the order in which they were asked for, and each begins with its
// creation or is an error; what else comes there is of one that an error ended.
void ReadLaneEvent(RealtimeReader* reader) {
  Envelope envelope;
  ReadEnvelope(reader, &envelope);
  const bool failed = envelope.type == "error", created = envelope.type == "response.created";
  if (!failed && !envelope.type.starts_with("response.")) return;
  if (MutantIs("llm.lanes_are_one")) envelope.lane = 0;
  Transaction* t = reader->Find(envelope.lane);
  if (t != nullptr && t->header.status != 0 && created) {  // its end was not seen
    reader->End(t, false);
    t = reader->Find(envelope.lane);
  }
  if (t == nullptr || (t->header.status == 0 && !failed && !created)) {
    reader->counters().Add(RealtimeCounter::kUnexpected);
    return;
  }
  reader->CountEvent(t);
  if (!reader->Restart()) return;
  OutputDigest output = reader->OutputOf(t);
  ReadResponsesEvent(reader->json(), envelope.type, &output);
  t->header.flags |= kResponseSeen;
  t->header.status = failed ? static_cast<uint16_t>(std::min<uint64_t>(envelope.status, 999)) : 200;
  if (t->header.status == 429) output.Flag(kRateLimited);
  if (failed || EndsResponse(envelope.type)) reader->End(t, true);
}

void ReadResponsesSocket(RealtimeReader* reader, bool from_client) {
  if (from_client) {
    ReadLaneRequest(reader);
  } else {
    ReadLaneEvent(reader);
  }
}

}  // namespace

const DialectInfo kOpenAiResponsesSocket{
    .dialect = Dialect::kOpenAi,
    .api = Api::kResponses,
    .path_end = "/responses",
    .credentials = {CredentialPlace::kAuthorization, CredentialPlace::kApiKey, CredentialPlace::kSubprotocol,
                    CredentialPlace::kQueryKey},
    .read_realtime = ReadResponsesSocket};

const DialectInfo kOpenAiRealtime{
    .dialect = Dialect::kOpenAi,
    .api = Api::kRealtime,
    .path_end = "/realtime",
    .credentials = {CredentialPlace::kAuthorization, CredentialPlace::kApiKey, CredentialPlace::kSubprotocol,
                    CredentialPlace::kQueryKey},
    .read_realtime = ReadRealtime};

}  // namespace stillwatch::dataplane
