// Every dialect, client library and form of answer, written and read back by independent code
// (nlohmann-json) or by the other end.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tools/stillgen/body_scan.h"
#include "tools/stillgen/client_stack.h"
#include "tools/stillgen/http_reader.h"
#include "tools/stillgen/responder.h"
#include "tools/stillgen/tool_catalogue.h"

namespace stillwatch::stillgen {
namespace {

using Json = nlohmann::json;
constexpr Api kApis[] = {Api::kChat, Api::kResponses, Api::kMessages, Api::kGemini};
constexpr const char* kQuestion = "What \"is\" 7 < 9?\nCaf\u00e9 \u65e5\u672c";

Prompt AgentPrompt() {
  Prompt prompt;
  prompt.model = "meridian-4";
  prompt.system = "Be brief.";
  prompt.parameters.temperature_milli = 700;
  prompt.parameters.max_tokens = 512;
  prompt.parameters.stream = true;
  prompt.tools = {&ToolCatalogue()[0], &ToolCatalogue()[2]};
  Message asked, said, result;
  asked.text = kQuestion;
  said.role = Message::Role::kAssistant;
  said.text = "Looking.";
  said.calls.push_back({"call_1", "read_file", R"({"path":"a \"b\".py"})"});
  result.role = Message::Role::kTool;
  result.text = "1: x \"tool_call_id\"";
  result.call_id = "call_1";
  result.call_name = "read_file";
  prompt.messages = {asked, said, result};
  return prompt;
}

ClientIdentity IdentityOf(const ClientStack& stack, Api api) {
  ClientIdentity identity;
  identity.stack = &stack;
  identity.api = api;
  identity.key = "sk-test";
  identity.agent = "agent/1";
  identity.os = "Linux";
  identity.host = "api.example";
  return identity;
}

// Where each dialect keeps the first user text.
std::string FirstText(Api api, const Json& j) {
  switch (api) {
    case Api::kChat: return j["messages"][1]["content"];
    case Api::kResponses: return j["input"][0]["content"];
    case Api::kMessages: return j["messages"][0]["content"];
    case Api::kGemini: return j["contents"][0]["parts"][0]["text"];
  }
  return "";
}

TEST(DialectTest, EveryClientsRequestIsHttpWithJsonThatTheServerUnderstands) {
  int combinations = 0;
  for (const ClientStack& stack : ClientStacks()) {
    for (Api api : kApis) {
      if ((stack.apis >> static_cast<int>(api) & 1u) == 0) continue;
      ++combinations;
      const Prompt prompt = AgentPrompt();
      const HttpRequest request = EncodeRequest(IdentityOf(stack, api), prompt, 2);
      HttpReader reader;
      ASSERT_EQ(reader.Feed(request.bytes), HttpReader::State::kDone) << stack.name;
      EXPECT_EQ(reader.Header("host"), "api.example") << stack.name;
      EXPECT_NE(request.bytes.find("sk-test"), std::string::npos) << stack.name;
      EXPECT_EQ(request.bytes.find("{"), request.head_size) << stack.name << ": a slot of the head is not filled";
      EXPECT_EQ(FirstText(api, Json::parse(reader.body())), kQuestion) << stack.name;
      std::string_view target = reader.first_line();
      target = target.substr(5, target.rfind(' ') - 5);
      ASSERT_EQ(ApiOfTarget(target), api) << target;
      RequestFacts facts;
      ASSERT_TRUE(ScanRequest(api, target, reader.body(), &facts)) << stack.name;
      const RequestFacts known = FactsOf(api, prompt, reader.body().size());
      EXPECT_EQ(facts.model, known.model);
      EXPECT_EQ(facts.stream, known.stream);
      EXPECT_EQ(facts.max_tokens, known.max_tokens) << stack.name;
      EXPECT_EQ(facts.tool_names, known.tool_names) << stack.name;
      EXPECT_EQ(facts.tool_results, known.tool_results) << stack.name;
      EXPECT_EQ(facts.body_bytes, known.body_bytes);
    }
  }
  EXPECT_GE(combinations, 25);
}

TEST(DialectTest, ScanRefusesWhatIsNoObject) {
  RequestFacts facts;
  for (const char* body : {"", "[]", "{\"a\"", "{\"a\":", "{\"a\":\"x", "{\"a\":[1,2", "{1:2}"}) {
    EXPECT_FALSE(ScanRequest(Api::kChat, "/v1/chat/completions", body, &facts)) << body;
  }
  EXPECT_FALSE(ApiOfTarget("/v1/embeddings").has_value());
}

TEST(DialectTest, ClientReadsExactlyWhatTheServerDecided) {
  const Grammar grammar(Split::kTrain);
  const Prose prose(Rng(5), &grammar);
  const Responder responder(Rng(6), &prose, {.rate_limited = 0.1});
  int calls = 0, limited = 0;
  for (Api api : kApis) {
    for (bool stream : {false, true}) {
      for (uint64_t serial = 0; serial < 60; ++serial) {
        RequestFacts facts;
        facts.api = api;
        facts.model = "meridian-4";
        facts.stream = stream;
        if (serial % 2 == 0) facts.tool_names = {"read_file", "write_file"};
        const Response response = responder.Respond(facts, serial, 1'700'000'000);
        HttpReader reader;
        ASSERT_EQ(reader.Feed(response.bytes), HttpReader::State::kDone);
        ASSERT_TRUE(reader.Next() == HttpReader::State::kMore && reader.idle()) << "bytes left over";
        reader.Feed(response.bytes);
        Answer answer;
        const bool is_stream = reader.Header("content-type").starts_with("text/event-stream");
        EXPECT_EQ(is_stream, stream && response.answer.status == 200);
        ASSERT_TRUE(ReadAnswer(api, response.answer.status, is_stream, reader.body(), &answer));
        limited += response.answer.status == 429;
        if (response.answer.status != 200) continue;
        EXPECT_EQ(answer.text, response.answer.text);
        EXPECT_EQ(answer.id, response.answer.id);
        ASSERT_EQ(answer.calls.size(), response.answer.calls.size());
        calls += static_cast<int>(answer.calls.size());
        for (size_t i = 0; i < answer.calls.size(); ++i) {
          EXPECT_EQ(answer.calls[i].name, response.answer.calls[i].name);
          EXPECT_EQ(Json::parse(answer.calls[i].arguments), Json::parse(response.answer.calls[i].arguments));
        }
      }
    }
  }
  EXPECT_GT(calls, 50);
  EXPECT_GT(limited, 10);
}

TEST(DialectTest, PiecesCoverTheResponseInOrder) {
  const Grammar grammar(Split::kTrain);
  const Prose prose(Rng(5), &grammar);
  const Responder responder(Rng(6), &prose, {});
  RequestFacts facts;
  facts.stream = true;
  const Response response = responder.Respond(facts, 3, 1'700'000'000);
  size_t at = 0;
  int64_t time = 0;
  for (const ResponsePiece& piece : response.pieces) {
    EXPECT_EQ(piece.begin, at);
    EXPECT_GE(piece.at_ns, time);
    at = piece.end;
    time = piece.at_ns;
  }
  EXPECT_EQ(at, response.bytes.size());
}

}  // namespace
}  // namespace stillwatch::stillgen
