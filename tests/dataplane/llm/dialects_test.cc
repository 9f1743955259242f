// Dialects that no recording covers, framings of answers, batches, and what the generic profile refuses.
#include <gmock/gmock.h>
#include <zlib.h>

#include "dialect_cases.h"
#include "dataplane/llm/event_stream.h"
#include "harness.h"

namespace stillwatch::dataplane::testing {
namespace {

Case Post(std::string target, std::string request, std::string response = "", std::string type = "application/json") {
  Case c;
  c.target = std::move(target);
  c.request = std::move(request);
  c.request_headers = {{"Content-Type", "application/json"}, {"Authorization", "Bearer sk-test"}};
  c.with_response = !response.empty();
  c.response = std::move(response);
  c.response_headers = {{"Content-Type", std::move(type)}};
  return c;
}

std::string UserText(const Seen& seen) {
  std::string text;
  for (const SeenMessage& message : seen.messages) {
    if (message.role_name == "user") text = message.text;
  }
  return text;
}

TEST(Dialects, ReadWhatTheirDocumentationShows) {
  for (const DialectCase& d : kDialectCases) {
    const Case c = Post(d.target, d.request, d.response, d.response_type);
    for (const size_t piece : {size_t{1} << 16, size_t{1}, size_t{7}}) {
      SCOPED_TRACE(std::string(d.name) + ", pieces of " + std::to_string(piece));
      const Seen seen = Play(c, piece);
      ASSERT_TRUE(seen.emitted);
      EXPECT_EQ(std::string(NameOf(seen.header.dialect)) + " " + std::string(NameOf(seen.header.api)), d.kind);
      EXPECT_EQ(seen.model, d.model);
      EXPECT_EQ(UserText(seen), d.user);
      EXPECT_EQ(seen.system_text, d.system);
      EXPECT_EQ(seen.text, d.text);
      EXPECT_EQ(seen.reasoning, d.reasoning);
      EXPECT_EQ(seen.finish, d.finish);
      // Without a usage record tokens are counted by us, which is no matter of dialects.
      EXPECT_TRUE(d.tokens_in == 0 || seen.header.tokens_in == d.tokens_in) << seen.header.tokens_in;
      EXPECT_TRUE(d.tokens_out == 0 || seen.header.tokens_out == d.tokens_out) << seen.header.tokens_out;
      EXPECT_EQ(seen.calls.empty() ? "" : seen.calls[0].name, d.tool);
      EXPECT_EQ(seen.events, d.events);
      EXPECT_FALSE(seen.header.flags & (kMalformedRequest | kMalformedResponse | kBodyTooLarge));
      EXPECT_TRUE(seen.header.flags & kHasKey);
    }
  }
}

// What a model hands to a tool is its answer, and comes back in what is asked next.
TEST(Dialects, CallsOfEverySortAreTold) {
  const auto arguments = [](const char* target, const char* response) {
    const Seen seen = Play(Post(target, R"({"model":"m","input":"x","messages":[{"role":"user","content":"x"}]})", response));
    return seen.calls.empty() ? std::string() : seen.calls[0].arguments;
  };
  EXPECT_EQ(arguments("/v1/chat/completions",
                      R"({"choices":[{"index":0,"message":{"tool_calls":[{"id":"c","type":"custom","custom":{"name":"n","input":"1+1"}}]}}]})"),
            "1+1");
  EXPECT_EQ(arguments("/v1/responses", R"({"output":[{"type":"apply_patch_call","call_id":"c","operation":{"type":"delete_file","path":"a"}}]})"),
            R"({"type":"delete_file","path":"a"})");
  EXPECT_EQ(arguments("/v1/responses", R"({"output":[{"type":"shell_call","call_id":"c","action":{"commands":["ls"]}}]})"),
            R"({"commands":["ls"]})");
  EXPECT_EQ(arguments("/v1/responses", R"({"output":[{"type":"web_search_call","action":{"type":"search","query":"q"}}]})"), "");  // the server's own

  const auto chain = [](const char* target, std::string request) { return Play(Post(target, std::move(request))).prefix_chain; };
  const auto sent_back = [&](const std::string& call) {
    return chain("/v1/chat/completions", R"({"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,)" + call + "}]}");
  };
  EXPECT_NE(sent_back(R"("tool_calls":[{"type":"custom","custom":{"name":"n","input":"1"}}])"),
            sent_back(R"("tool_calls":[{"type":"custom","custom":{"name":"n","input":"2"}}])"));
  EXPECT_NE(sent_back(R"("function_call":{"name":"n","arguments":"1"})"), sent_back(R"("function_call":{"name":"n","arguments":"2"})"));
}

TEST(Dialects, AnAnswerInAudioLinksToTheOneItGoesOn) {
  const Seen first = Play(Post("/v1/chat/completions", R"({"model":"gpt-audio","messages":[{"role":"user","content":"x"}]})",
                               R"({"choices":[{"index":0,"message":{"role":"assistant","content":null,"audio":{"id":"audio_6725224ac62481908ab55dc283289d87","data":"UklGRg==","transcript":"Yes"}}}]})"));
  const Seen second = Play(Post("/v1/chat/completions",
                                R"({"model":"gpt-audio","messages":[{"role":"user","content":"x"},{"role":"assistant","audio":{"id":"audio_6725224ac62481908ab55dc283289d87"}},{"role":"user","content":"y"}]})"));
  EXPECT_EQ(first.text, "Yes");
  ASSERT_EQ(first.issued.size(), 1u);
  EXPECT_EQ(second.returned, first.issued);
}

// The turns before the one that is asked stand before it, whatever comes first in the body.
TEST(Dialects, TheHistoryOfCohereComesBeforeItsMessage) {
  const Seen seen = Play(Post("/model/cohere.command-r-v1%3A0/invoke",
                              R"({"message":"last","chat_history":[{"role":"USER","message":"first"},{"role":"CHATBOT","message":"second"}]})"));
  ASSERT_EQ(seen.messages.size(), 3u);
  EXPECT_EQ(seen.messages[0].text, "first");
  EXPECT_EQ(seen.messages[0].role, Role::kUser);
  EXPECT_EQ(seen.messages[1].text, "second");
  EXPECT_EQ(seen.messages[1].role, Role::kAssistant);
  EXPECT_EQ(seen.messages[2].text, "last");
}

// Nothing is harvested where numbers are asked for, so no text goes to detection.
TEST(Dialects, EmbeddingsAndCountsCarryNoTokens) {
  for (const DialectCase& d : kDialectCases) {
    const Seen seen = Play(Post(d.target, d.request, d.response, d.response_type));
    const std::string kind = d.kind;
    const bool numbers = kind.ends_with("embeddings") || kind.ends_with("count_tokens");
    EXPECT_EQ(seen.tokens[static_cast<size_t>(Part::kInstruction)].empty(), numbers) << d.name;
    EXPECT_GT(seen.header.turns, 0) << d.name;
  }
}

TEST(Dialects, TheGenericProfileGuessesNothing) {
  const auto emitted = [](const char* target, const char* body) { return Play(Post(target, body)).emitted; };
  EXPECT_TRUE(emitted("/x", R"({"model":"m","messages":[{"role":"user","content":"a"}]})"));
  EXPECT_TRUE(emitted("/x", R"({"model":"m","prompt":["a"]})"));
  EXPECT_FALSE(emitted("/x", R"({"messages":[{"role":"user","content":"a"}]})"));                  // no model
  EXPECT_FALSE(emitted("/x", R"({"model":"golf","messages":["sold","new tyres"]})"));              // a car's
  EXPECT_FALSE(emitted("/x", R"({"model":7,"messages":[{"role":"user","content":"a"}]})"));
  EXPECT_FALSE(emitted("/x", R"({"model":"m","messages":[{"from":"bob","content":"a"}]})"));       // a mailbox's
  EXPECT_FALSE(emitted("/x", R"({"model":"m","messages":[{"role":"user"}]})"));
  EXPECT_FALSE(emitted("/x", R"({"model":"m","messages":[]})"));
  EXPECT_FALSE(emitted("/x", R"({"model":"m","prompt":{"id":1}})"));
  EXPECT_FALSE(emitted("/x", R"({"model":"m","messages":[{"role":"user","content":"a"})"));        // no JSON
  EXPECT_FALSE(emitted("/v1/images/generations", R"({"model":"m","prompt":"a cat"})"));            // no text
  EXPECT_FALSE(emitted("/x", R"({"a":1})"));
  Case form = Post("/x", R"({"model":"m","prompt":"a"})");
  form.request_headers[0].second = "text/plain";
  EXPECT_FALSE(Play(form).emitted);
}

TEST(Dialects, StepsOfAnInteractionAreTurns) {
  const Seen seen = Play(Post("/v1beta/interactions", R"({"agent":"deep-research","input":[
      {"type":"user_input","content":[{"type":"text","text":"my sign?"}]},
      {"type":"thought","signature":"EvEFCu4FAQw0123456789abcdef","summary":[{"type":"text","text":"Call."}]},
      {"type":"function_call","id":"c","name":"horoscope","arguments":{"sign":"Aries"}},
      {"type":"function_result","name":"horoscope","call_id":"0123456789abcdef0123","result":[{"type":"text","text":"luck"}]},
      {"role":"model","content":"Luck."},
      {"type":"user_input","content":"And tomorrow?"}]})"));
  EXPECT_EQ(seen.model, "deep-research");
  ASSERT_EQ(seen.messages.size(), 6u);
  EXPECT_EQ(seen.messages[0].role, Role::kUser);
  EXPECT_EQ(seen.messages[1].role, Role::kAssistant);
  EXPECT_EQ(seen.messages[1].text, "");
  EXPECT_EQ(seen.messages[3].role, Role::kTool);
  EXPECT_EQ(seen.messages[3].tool_text, "luck");
  EXPECT_EQ(seen.messages[4].role, Role::kAssistant);
  EXPECT_EQ(seen.messages[5].text, "And tomorrow?");
  EXPECT_EQ(seen.returned.size(), 2u);
  EXPECT_FALSE(Play(Post("/interactions", R"({"model":"m","type":2,"data":{"input":"x"}})")).emitted);  // a chat bot's
  EXPECT_FALSE(Play(Post("/interactions", R"({"input":"x"})")).emitted);
}

// Azure refuses a prompt with an error where others answer.
TEST(Dialects, APromptThatAFilterStoppedIsRefused) {
  Case c = Post("/openai/deployments/d/chat/completions?api-version=2024-10-21", R"({"messages":[{"role":"user","content":"x"}]})",
                R"({"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"violence":{"filtered":true,"severity":"high"}}}}})");
  c.status = 400;
  const Seen seen = Play(c);
  EXPECT_EQ(seen.error, "content_filter");
  EXPECT_TRUE(seen.header.flags & kRefusal);
  EXPECT_FALSE(seen.header.flags & kMalformedResponse);
}

// A content type is the client's word, and servers of these paths look at it no closer.
TEST(Dialects, WhatCallsItselfGrpcOnAModelsPathIsRead) {
  Case c = Post("/v1/messages", R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]})");
  c.request_headers[0].second = "application/grpc+json";
  EXPECT_TRUE(Play(c).emitted);
  c.target = "/pkg.Service/Call";
  EXPECT_FALSE(Play(c).emitted);
}

TEST(Dialects, APersonsSessionsOfClaudeCodeAreOneEndUser) {
  const auto end_user = [](const std::string& id) {
    return Play(Post("/v1/messages", R"({"model":"m","max_tokens":1,"metadata":{"user_id":")" + id +
                                         R"("},"messages":[{"role":"user","content":"x"}]})")).end_user;
  };
  EXPECT_EQ(end_user("user_0a1b_account_77_session_5f"), "user_0a1b_account_77");
  EXPECT_EQ(end_user(R"({\"device_id\":\"0a1b\",\"account_uuid\":\"77\",\"session_id\":\"5f\"})"),
            R"({"device_id":"0a1b","account_uuid":"77",)");
  EXPECT_EQ(end_user(R"({\"session_id\":\"5f\",\"device_id\":\"0a1b\"})"), R"({"session_id":"5f","device_id":"0a1b"})");
  EXPECT_EQ(end_user("acme_session_5"), "acme_session_5");
}

// As its documentation's curl does, which says nothing of a type.
TEST(Dialects, OllamaTakesJsonThatIsSentAsAForm) {
  Case form = Post("/api/generate", R"({"model":"llama3.2","prompt":"Why is the sky blue?"})");
  form.request_headers[0].second = "application/x-www-form-urlencoded";
  EXPECT_TRUE(Play(form).emitted);
  form.target = "/v1/completions";  // not taken by servers
  EXPECT_FALSE(Play(form).emitted);
}

TEST(Dialects, TheGenericProfileIsCounted) {
  Recorder recorder;
  const auto observer = MakeLlmObserver(SmallOptions(), &recorder, &recorder);
  Play(Post("/x", R"({"model":"m","prompt":"a"})"), 100, observer.get(), &recorder);
  Play(Post("/x", R"({"a":"m"})"), 100, observer.get(), &recorder);
  EXPECT_EQ(observer->counters().Get(LlmCounter::kGeneric), 1u);
  EXPECT_EQ(observer->counters().Get(LlmCounter::kNotModelApi), 1u);
  EXPECT_EQ(observer->counters().Get(LlmCounter::kNotModelShape), 0u);
}

// --- AWS event stream -----------------------------------------------------------------------------

std::string Be32(uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8), static_cast<char>(v)};
}
uint32_t ZlibCrc(const std::string& s) {
  return static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(s.data()), static_cast<uInt>(s.size())));
}
std::string TextHeader(const std::string& name, const std::string& value) {
  return static_cast<char>(name.size()) + name + '\x07' + static_cast<char>(value.size() >> 8) +
         static_cast<char>(value.size()) + value;
}
std::string Frame(const std::string& headers, const std::string& payload) {
  std::string frame = Be32(static_cast<uint32_t>(16 + headers.size() + payload.size())) +
                      Be32(static_cast<uint32_t>(headers.size()));
  frame += Be32(ZlibCrc(frame));
  frame += headers + payload;
  return frame + Be32(ZlibCrc(frame));
}
std::string Event(const std::string& type, const std::string& payload) {
  return Frame(TextHeader(":event-type", type) + TextHeader(":message-type", "event"), payload);
}
const std::string kAsk = R"({"messages":[{"role":"user","content":[{"text":"hi"}]}]})";
const std::string kType = "application/vnd.amazon.eventstream";

TEST(EventStream, EverySortOfHeaderIsPassedOver) {
  std::string headers = TextHeader(":event-type", "contentBlockDelta");
  headers += std::string("\x01" "a\x00" "\x01" "b\x01" "\x01" "c\x02" "1" "\x01" "d\x03" "12" "\x01" "e\x04" "1234", 22);
  headers += std::string("\x01" "f\x05" "12345678" "\x01" "g\x06\x00\x02" "ab" "\x01" "h\x08" "12345678", 29);
  headers += std::string("\x01" "i\x09" "0123456789abcdef", 19);
  const Seen seen = Play(Post("/model/m/converse-stream", kAsk, Frame(headers, R"({"delta":{"text":"yes"}})"), kType), 3);
  EXPECT_EQ(seen.text, "yes");
  EXPECT_FALSE(seen.header.flags & kMalformedResponse);
}

TEST(EventStream, AnExceptionIsAnError) {
  const std::string exception = Frame(TextHeader(":exception-type", "throttlingException") +
                                          TextHeader(":message-type", "exception"), R"({"message":"slow down"})");
  const Seen seen = Play(Post("/model/m/converse-stream", kAsk, exception, kType));
  EXPECT_EQ(seen.error, "throttlingException");
  EXPECT_TRUE(seen.header.flags & kRateLimited);
}

TEST(EventStream, WhatIsDamagedEndsIt) {
  const std::string good = Event("contentBlockDelta", R"({"delta":{"text":"one"}})");
  const auto seen_of = [&](std::string bad) {
    Recorder recorder;
    const auto observer = MakeLlmObserver(SmallOptions(), &recorder, &recorder);
    const Seen seen = Play(Post("/model/m/converse-stream", kAsk, good + bad + good, kType), 5, observer.get(), &recorder);
    EXPECT_EQ(observer->counters().Get(LlmCounter::kEventStreamBroken), 1u);
    EXPECT_TRUE(seen.header.flags & kMalformedResponse);
    return seen.text;
  };
  std::string payload = good, prelude = good;
  payload[payload.size() - 8] ^= 1;
  prelude[3] ^= 1;
  EXPECT_EQ(seen_of(payload), "one");
  EXPECT_EQ(seen_of(prelude), "one");
  EXPECT_EQ(seen_of(Frame("\x05" "ab", "{}")), "one");       // a header that is longer than all headers
  EXPECT_EQ(seen_of(Frame("\x01" "a\x0a", "{}")), "one");    // a type that does not exist
}

TEST(EventStream, AFrameOverTheLimitIsSkipped) {
  LlmOptions options = SmallOptions();
  options.body_bytes_max = 4096;
  const std::string stream = Event("contentBlockDelta", R"({"delta":{"text":")" + std::string(5000, 'x') + "\"}}") +
                             Event("contentBlockDelta", R"({"delta":{"text":"after"}})");
  const Seen seen = Play(Post("/model/m/converse-stream", kAsk, stream, kType), 100, &options);
  EXPECT_EQ(seen.text, "after");
  EXPECT_TRUE(seen.header.flags & kBodyTooLarge);
}

TEST(EventStream, ChecksumsAreThoseOfZlib) {
  const std::string text = "The quick brown fox";
  EXPECT_EQ(Crc32(0, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}), ZlibCrc(text));
}

TEST(EventStream, Base64OfRfc4648) {  // its section 10
  const std::pair<const char*, const char*> vectors[] = {{"", ""},           {"Zg==", "f"},       {"Zm8=", "fo"},
                                                         {"Zm9v", "foo"},    {"Zm9vYg==", "foob"}, {"Zm9vYmE=", "fooba"},
                                                         {"Zm9vYmFy", "foobar"}};
  for (const auto& [coded, plain] : vectors) {
    uint8_t out[16];
    const ptrdiff_t size = DecodeBase64(coded, out);
    ASSERT_GE(size, 0);
    EXPECT_EQ(std::string(out, out + size), plain);
  }
  uint8_t out[16];
  EXPECT_EQ(DecodeBase64("Zm9*", out), -1);
}

// --- batches --------------------------------------------------------------------------------------


// The recorder keeps the last exchange; of a batch all count.
class Collector final : public WorkerOutput, public ExchangeTextObserver {
 public:
  void OnExchange(const ExchangeView& view) override { headers.push_back(view.header()); }
  void OnFlowRecord(const FlowRecord&) override {}
  void OnRequest(const void*, const RequestView& request) override {
    for (const RequestMessage& message : request.messages) {
      for (const TextPiece& piece : request.PiecesOf(message)) users.emplace_back(piece.text);
    }
    models.emplace_back(request.model);
  }
  void OnOutput(const void*, OutputKind, std::string_view) override {}
  void OnExchange(const void*, const ExchangeView&, uint64_t) override {}
  void OnDropped(const void*) override {}
  std::vector<ExchangeHeader> headers;
  std::vector<std::string> users, models;
};

void PlayBatch(const Case& c, size_t piece, LlmObserver* observer) {
  StreamContext at;
  std::vector<HttpHeader> headers;
  for (const auto& [name, value] : c.request_headers) headers.push_back({name, value});
  auto* handle = observer->OnRequestHead(at, 0, {"POST", c.target, "h", headers});
  ASSERT_NE(handle, nullptr);
  for (size_t i = 0; i < c.request.size(); i += piece) {
    const std::string part = c.request.substr(i, piece);
    observer->OnRequestBody(at, handle, {reinterpret_cast<const uint8_t*>(part.data()), part.size()});
  }
  observer->OnRequestEnd(at, handle);
  handle = observer->OnResponseHead(at, handle, 0, {c.status, {}});
  HttpTransactionInfo info;
  info.request_complete = info.response_complete = true;
  observer->OnTransactionEnd(at, handle, HttpEnd::kComplete, info);
  EXPECT_EQ(observer->exchanges_in_flight(), 0u);
  EXPECT_EQ(observer->pool_bytes_used(), 0u);
}

const std::string kUpload =
    "--b0\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n"
    "--b0\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b.jsonl\"\r\nContent-Type: application/jsonl\r\n\r\n"
    R"({"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-a","messages":[{"role":"user","content":"first {\"x\""}]}})"
    "\n"
    R"({"custom_id":"2","method":"POST","url":"/v1/responses","body":{"model":"gpt-b","input":"second"}})"
    "\n"
    R"({"custom_id":"3","body":{"model":"mistral-c","messages":[{"role":"user","content":"third"}]}})"
    "\r\n"
    R"({"custom_id":"4","method":"POST","url":"/v1/files","body":{"model":"x","messages":[]}})"
    "\n--b0--\r\n";

TEST(Batches, EveryLineOfAnUploadedFileIsARequest) {
  for (const size_t piece : {size_t{1}, size_t{13}, size_t{1} << 16}) {
    Collector all;
    const auto observer = MakeLlmObserver(SmallOptions(), &all, &all);
    Case c = Post("/v1/files", kUpload);
    c.request_headers[0].second = "multipart/form-data; boundary=b0";
    PlayBatch(c, piece, observer.get());
    EXPECT_THAT(all.users, ::testing::ElementsAre("first {\"x\"", "second", "third"));
    EXPECT_THAT(all.models, ::testing::ElementsAre("gpt-a", "gpt-b", "mistral-c"));
    ASSERT_EQ(all.headers.size(), 3u);
    EXPECT_EQ(all.headers[0].api, Api::kChat);
    EXPECT_EQ(all.headers[1].api, Api::kResponses);
    for (const ExchangeHeader& h : all.headers) {
      EXPECT_TRUE(h.flags & kBatched);
      EXPECT_TRUE(h.flags & kHasKey);
      EXPECT_EQ(h.status, 200);
      EXPECT_GT(h.part_tokens[static_cast<size_t>(Part::kInstruction)], 0u);
    }
    EXPECT_EQ(observer->counters().Get(LlmCounter::kBatchRequests), 3u);
  }
}

TEST(Batches, EveryElementOfAMessageBatchIsARequest) {
  const std::string body =
      R"({"requests":[{"custom_id":"a","params":{"model":"claude-x","max_tokens":9,"messages":[{"role":"user","content":"one } ] \" two"}]}},)"
      R"({"custom_id":"b","params":{"model":"claude-x","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"three"}]}]}}]})";
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{1} << 16}) {
    Collector all;
    const auto observer = MakeLlmObserver(SmallOptions(), &all, &all);
    Case c = Post("/v1/messages/batches", body);
    c.status = 429;
    PlayBatch(c, piece, observer.get());
    EXPECT_THAT(all.users, ::testing::ElementsAre("one } ] \" two", "three"));
    ASSERT_EQ(all.headers.size(), 2u);
    EXPECT_EQ(all.headers[1].dialect, Dialect::kAnthropic);
    EXPECT_TRUE(all.headers[1].flags & kRateLimited);
  }
}

TEST(Batches, AreBoundedByThePoolAndLeaveHalfOfIt) {
  Collector all;
  LlmOptions options = SmallOptions();  // 16 exchanges in flight
  const auto observer = MakeLlmObserver(options, &all, &all);
  std::string file;
  for (int i = 0; i < 50; ++i) file += R"({"body":{"model":"m","messages":[{"role":"user","content":"x"}]}})" "\n";
  PlayBatch(Post("/v1/files", file), 100, observer.get());
  EXPECT_EQ(all.headers.size(), 7u);  // beside the upload itself
  EXPECT_EQ(observer->counters().Get(LlmCounter::kBatchUnread), 43u);
}

TEST(Batches, AFileOfSomethingElseGivesNothing) {
  Collector all;
  const auto observer = MakeLlmObserver(SmallOptions(), &all, &all);
  PlayBatch(Post("/v1/files", "{\"messages\":[{\"role\":\"user\",\"content\":\"fine tuning\"}]}\n{broken\n"), 100, observer.get());
  EXPECT_TRUE(all.headers.empty());
  EXPECT_EQ(observer->counters().Get(LlmCounter::kNotModelShape), 1u);
}

}  // namespace
}  // namespace stillwatch::dataplane::testing
