// The profile of APIs that no other dialect claims: JSON that names a model and holds messages with roles, or a
// prompt, is read as a chat. A body that says otherwise is none (llm.not_model_api), and nothing is guessed:
// without a model's name, or with a message that has no role or no content, it is another service's.
#include "dataplane/llm/loose_answer.h"

namespace stillwatch::dataplane {
namespace {

// Paths of APIs that take a model and a prompt and give no text.
bool GivesNoText(std::string_view path) {
  for (const std::string_view part : {"/images/", "/image/", "/videos", "/video/", "/audio/", "/rerank", "/score",
                                      "/detokenize", "/moderations", "/classify", "/pooling", "/fine_tuning"}) {
    if (path.find(part) != std::string_view::npos) return true;
  }
  return false;
}

struct Shape {
  bool messages = false, all_spoken = true, prompt = false;
};

void ReadMessage(JsonReader& json, JsonValue& message, Shape* shape, RequestView* request) {
  bool role = false, content = false;
  if (json.TypeOf(message) != JsonType::object) {
    shape->all_spoken = false;
    return;
  }
  ReadChatMessage(json, message, request, [&](std::string_view key) {
    role = role || key == "role";
    content = content || key == "content" || key == "tool_calls" || key == "parts";
  });
  if (!role || !content) shape->all_spoken = false;
}

void ReadRequest(JsonReader& json, RequestView* request) {
  Shape shape;
  json.RootFields([&](std::string_view key, JsonValue value) {
    if (key == "messages") {
      request->ClearMessages();
      shape.messages = json.TypeOf(value) == JsonType::array;
      json.Items(value, [&](JsonValue& message) { ReadMessage(json, message, &shape, request); });
    } else if (key == "prompt") {
      if (shape.messages) return;
      ReadPrompt(json, value, request);
      shape.prompt = request->shape;
    } else if (key == "system") {
      ReadTexts(json, value, [&](std::string_view text) { request->AddSystem(text); });
    } else {
      ReadChatField(json, key, value, request);
    }
  });
  const bool chat = shape.messages && shape.all_spoken && !request->messages.empty();
  request->shape = !request->model.empty() && (shape.messages ? chat : shape.prompt);
}

}  // namespace

const DialectInfo kGeneric{.dialect = Dialect::kGeneric, .api = Api::kUnknown, .path_end = "",
                           .credentials = {CredentialPlace::kAuthorization, CredentialPlace::kXApiKey,
                                           CredentialPlace::kApiKey, CredentialPlace::kGoogApiKey},
                           .read_request = ReadRequest, .read_response = ReadLooseAnswer,
                           .read_event = ReadLooseEvent};

const DialectInfo* GenericDialect(std::string_view target) {
  return GivesNoText(target.substr(0, target.find_first_of("?#"))) ? nullptr : &kGeneric;
}

}  // namespace stillwatch::dataplane
