#include "dataplane/llm/llm_observer.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

#include "base/bytes.h"
#include "base/hash.h"
#include "harness.h"

namespace stillwatch::dataplane::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAreArray;

Case Chat(std::string request, std::string response = "") {
  Case c;
  c.target = "/v1/chat/completions";
  c.request = std::move(request);
  c.response = std::move(response);
  c.request_headers = {{"Content-Type", "application/json"}, {"Authorization", "Bearer sk-test"}};
  c.response_headers = {{"Content-Type", "application/json"}};
  c.with_response = !c.response.empty();
  return c;
}
std::string Hi(std::string_view extra = "") {
  return R"({"model":"m","messages":[{"role":"user","content":"hi there"}])" + std::string(extra) + "}";
}
const std::string kAnswer =
    R"({"id":"chatcmpl-9hXyZ0aBcDeFgHiJkLmNoPqR","model":"m-1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello you"},)"
    R"("finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2}})";

TEST(LlmObserver, PathsOfDialects) {
  const std::string messages = Hi(), contents = R"({"contents":[{"parts":[{"text":"hi"}]}]})";
  const auto dialect = [&](const std::string& target, const std::string& body) {
    Case c = Chat(body);
    c.target = target;
    const Seen seen = Play(c);
    return seen.emitted ? std::string(NameOf(seen.header.dialect)) + " " + std::string(NameOf(seen.header.api)) + " " + seen.model
                        : "none";
  };
  EXPECT_EQ(dialect("/v1/chat/completions", messages), "openai chat m");
  EXPECT_EQ(dialect("/openai/v1/chat/completions/", messages), "openai chat m");
  EXPECT_EQ(dialect("/openai/deployments/d1/chat/completions?api-version=1",
                    R"({"messages":[{"role":"user","content":"x"}]})"),
            "openai chat d1");
  EXPECT_EQ(dialect("/v1/completions", R"({"model":"m","prompt":["a","b"]})"), "openai completions m");
  EXPECT_EQ(dialect("/v1/completions", R"({"model":"m","prompt":[1,2,3]})"), "openai completions m");
  EXPECT_EQ(dialect("/v1/completions", messages), "none");
  EXPECT_EQ(dialect("/v1/responses", R"({"model":"m","input":"x"})"), "openai responses m");
  EXPECT_EQ(dialect("/v1/messages?beta=true", messages), "anthropic messages m");
  EXPECT_EQ(dialect("/v1beta/models/gemini-2.5-pro:generateContent?key=abc", contents),
            "gemini generateContent gemini-2.5-pro");
  EXPECT_EQ(dialect("/v1beta/models/gemini-2.5-pro%3AstreamGenerateContent?alt=sse", contents),
            "gemini streamGenerateContent gemini-2.5-pro");
  EXPECT_EQ(dialect("/v1/embeddings", messages), "none");
  EXPECT_EQ(dialect("/v1/chat/completions/extra", messages), "generic unknown m");
  EXPECT_EQ(dialect("/", messages), "generic unknown m");
  EXPECT_EQ(dialect("", messages), "generic unknown m");
}

TEST(LlmObserver, AnotherServiceAtTheSamePathGivesNoExchange) {
  Recorder recorder;
  const auto observer = MakeLlmObserver(SmallOptions(), &recorder, &recorder);
  Case c = Chat(R"({"chat":"room 7","body":"hello"})", R"({"ok":true})");
  c.target = "/api/rooms/7/messages";
  EXPECT_TRUE(Play(c, 100, observer.get(), &recorder).dropped);
  EXPECT_EQ(recorder.exchanges, 0);
  EXPECT_EQ(observer->counters().Get(LlmCounter::kNotModelShape), 1u);
  c.method = "GET";
  Play(c, 100, observer.get(), &recorder);
  c.method = "POST";
  c.request_headers = {{"content-type", "multipart/form-data; boundary=x"}};
  Play(c, 100, observer.get(), &recorder);
  EXPECT_EQ(observer->counters().Get(LlmCounter::kNotModelApi), 2u);
  EXPECT_EQ(recorder.exchanges, 0);
}

TEST(LlmObserver, FillsTheHeader) {
  Case c = Chat(Hi(R"(,"temperature":0.7,"top_p":0.25,"n":2,"max_tokens":99,"seed":0,"logprobs":true,)"
                   R"("logit_bias":{"50256":-100},"user":"u1","response_format":{"type":"json_object"},)"
                   R"("tools":[{"type":"function","function":{"name":"f"}}],"reasoning_effort":"high")"),
                kAnswer);
  c.request_headers.push_back({"User-Agent", "OpenAI/Python 1.2"});
  c.request_headers.push_back({"OpenAI-Organization", "org-1"});
  c.response_headers.push_back({"X-Request-Id", "req-1"});
  const Seen seen = Play(c);
  ASSERT_TRUE(seen.emitted);
  const ExchangeHeader& h = seen.header;
  for (const uint32_t flag : {kRequestSeen, kResponseSeen, kRequestComplete, kResponseComplete, kHasKey, kHasUsage,
                              kHasTemperature, kHasTopP, kHasN, kHasMaxTokens, kHasSeed, kLogprobs, kResponseFormat,
                              kToolsDeclared, kReasoningAsked}) {
    EXPECT_TRUE(h.flags & flag) << flag;
  }
  EXPECT_FALSE(h.flags & (kStreamed | kRefusal | kRateLimited | kMalformedRequest | kMalformedResponse));
  EXPECT_EQ(h.temperature_milli, 700);
  EXPECT_EQ(h.top_p_milli, 250);
  EXPECT_EQ(h.n, 2);
  EXPECT_EQ(h.max_tokens, 99u);
  EXPECT_EQ(h.logit_bias_count, 1);
  EXPECT_EQ(h.tools, 1);
  EXPECT_EQ(h.turns, 1);
  EXPECT_EQ(h.tokens_in, 5u);
  EXPECT_EQ(h.tokens_out, 2u);
  EXPECT_EQ(h.finish, FinishReason::kStop);
  EXPECT_EQ(h.status, 200);
  EXPECT_NE(h.organisation_id, 0u);
  EXPECT_NE(h.end_user_id, 0u);
  EXPECT_NE(h.agent_family_hash, 0u);
  EXPECT_NE(h.request_id_hash, 0u);
  EXPECT_EQ(h.request_bytes, c.request.size());
  EXPECT_EQ(h.response_bytes, c.response.size());
  EXPECT_EQ(h.order.flow_hash, 70u);
  EXPECT_GT(h.first_token_ns, h.request_end_ns);
  EXPECT_EQ(h.flow_id, 7u);
  EXPECT_EQ(seen.issued.size(), 1u);

  Case other = c;  // the family is the same, the version is not
  other.request_headers[2].second = "OpenAI/Python 9.9";
  EXPECT_EQ(Play(other).header.agent_family_hash, h.agent_family_hash);
}

TEST(LlmObserver, StreamedAndWholeAnswersGiveTheSameTokens) {
  const std::string text = "Rēad the émigré's 1984 notes; don't stop… 日本語 ok 😀 done.";
  Case whole = Chat(Hi(), R"({"choices":[{"index":0,"message":{"content":")" + text + R"("}}]})");
  std::mt19937_64 rng(8);
  const Seen seen = Play(whole);
  ASSERT_FALSE(seen.tokens[3].empty());
  for (int round = 0; round < 50; ++round) {
    std::string stream;
    for (size_t at = 0; at < text.size();) {
      size_t size = 1 + rng() % 6;
      while (at + size < text.size() && (static_cast<uint8_t>(text[at + size]) & 0xC0) == 0x80) ++size;
      stream += R"(data: {"choices":[{"delta":{"content":")" + text.substr(at, size) + R"("},"index":0}]})" "\n\n";
      at += size;
    }
    Case streamed = Chat(Hi(R"(,"stream":true)"), stream + "data: [DONE]\n\n");
    streamed.response_headers = {{"content-type", "text/event-stream"}};
    const Seen other = Play(streamed, 1 + rng() % 100);
    EXPECT_EQ(other.text, text);
    EXPECT_EQ(other.tokens[3], seen.tokens[3]);
    EXPECT_EQ(other.header.part_hash[3], seen.header.part_hash[3]);
    EXPECT_TRUE(other.header.flags & kStreamed);
  }
}

TEST(LlmObserver, LongOutputKeepsItsEnds) {
  std::string text;
  for (int i = 0; i < 7'000; ++i) text += "w" + std::string(static_cast<size_t>(i % 13), 'a' + i % 26) + " ";
  const Seen whole = Play(Chat(Hi(), R"({"choices":[{"message":{"content":")" + text + R"("}}]})"));
  EXPECT_EQ(whole.header.part_tokens[3], kPartTokensMax);
  EXPECT_TRUE(whole.header.flags & 1u << (kPartTruncatedShift + 3));
  EXPECT_EQ(whole.header.tokens_out, 7'000u);
  // The same text as an instruction is cut in the same places.
  const Seen asked = Play(Chat(R"({"messages":[{"role":"user","content":")" + text + R"("}]})"));
  EXPECT_EQ(asked.tokens[1], whole.tokens[3]);
}

TEST(LlmObserver, IdsComeBack) {
  const Seen first = Play(Chat(
      Hi(), R"({"id":"r1aB3dE5fG7hJ9kL2mN4pQ6","choices":[{"message":{"content":null,"tool_calls":[{"id":"call_lYp3GfQ9sK1mZc7RtVb2","type":"function",)"
            R"("function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]})"));
  ASSERT_EQ(first.issued.size(), 2u);
  EXPECT_EQ(first.header.finish, FinishReason::kToolUse);
  const Seen second = Play(Chat(
      R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"id":"call_lYp3GfQ9sK1mZc7RtVb2","function":{"name":"f","arguments":"{}"}}]},)"
      R"({"role":"tool","tool_call_id":"call_lYp3GfQ9sK1mZc7RtVb2","content":"42"}]})"));
  ASSERT_EQ(second.returned.size(), 1u);
  EXPECT_NE(std::find(first.issued.begin(), first.issued.end(), second.returned[0]), first.issued.end());

  Case responses = Chat(R"({"input":"go on","previous_response_id":"r1aB3dE5fG7hJ9kL2mN4pQ6"})");
  responses.target = "/v1/responses";
  EXPECT_THAT(Play(responses).returned, ElementsAre(first.issued[0]));
}

TEST(LlmObserver, RateLimitsAndRefusals) {
  Case limited = Chat(Hi(), R"({"error":{"type":"requests","code":"rate_limit_exceeded"}})");
  limited.status = 429;
  EXPECT_TRUE(Play(limited).header.flags & kRateLimited);
  limited.status = 200;  // by its error type alone
  EXPECT_TRUE(Play(limited).header.flags & kRateLimited);
  const Seen refused = Play(Chat(Hi(), R"({"choices":[{"message":{"content":null,"refusal":"I cannot"},"finish_reason":"stop"}]})"));
  EXPECT_TRUE(refused.header.flags & kRefusal);
  EXPECT_EQ(refused.text, "I cannot");
  const Seen filtered = Play(Chat(Hi(), R"({"choices":[{"message":{"content":""},"finish_reason":"content_filter"}]})"));
  EXPECT_TRUE(filtered.header.flags & kRefusal);
}

TEST(LlmObserver, WhereTheCredentialStands) {
  const auto key = [](const std::string& target, std::vector<std::pair<std::string, std::string>> headers,
                      const std::string& custom = "") {
    Case c = Chat(Hi());
    c.target = target;
    if (target.find("models/") != std::string::npos) c.request = R"({"contents":[{"parts":[{"text":"x"}]}]})";
    c.request_headers = std::move(headers);
    LlmOptions options = SmallOptions();
    options.account_key = "k";
    options.credential_header = custom;
    const Seen seen = Play(c, 1000, &options);
    return (seen.header.flags & kHasKey) != 0 ? HexOf(Bytes(seen.header.key_id, 16)) : std::string("none");
  };
  const std::string chat = "/v1/chat/completions", messages = "/v1/messages",
                    gemini = "/v1beta/models/g:generateContent";
  const std::string sk = key(chat, {{"Authorization", "Bearer sk-1"}});
  EXPECT_EQ(sk.size(), 32u);
  EXPECT_EQ(key(chat, {{"api-key", "sk-1"}}), sk);
  EXPECT_EQ(key(messages, {{"x-api-key", "sk-1"}}), sk);
  EXPECT_EQ(key(gemini, {{"x-goog-api-key", "sk-1"}}), sk);
  EXPECT_EQ(key(gemini + "?alt=sse&key=sk-1", {}), sk);
  EXPECT_EQ(key(chat, {{"X-Tenant", "sk-1"}}, "x-tenant"), sk);
  EXPECT_EQ(key(chat, {{"X-Tenant", "sk-1"}}), "none");
  // A second credential that the provider would not look at does not change the account.
  EXPECT_EQ(key(messages, {{"Authorization", "Bearer decoy"}, {"x-api-key", "sk-1"}}), sk);
  EXPECT_EQ(key(chat, {{"x-api-key", "decoy"}, {"Authorization", "Bearer sk-1"}}), sk);
}

TEST(LlmObserver, ClientAddressThroughTrustedProxies) {
  Case c = Chat(Hi());
  c.request_headers.push_back({"X-Forwarded-For", "6.6.6.6, 198.51.100.7"});
  c.request_headers.push_back({"X-Forwarded-For", "203.0.113.5"});
  LlmOptions options = SmallOptions();
  const auto client = [&](int hops) {
    options.trusted_hops = hops;
    const Seen seen = Play(c, 1000, &options);
    return std::vector<int>(seen.header.client.bytes, seen.header.client.bytes + 4);
  };
  EXPECT_THAT(client(0), ElementsAre(192, 0, 2, 1));
  EXPECT_THAT(client(1), ElementsAre(203, 0, 113, 5));
  EXPECT_THAT(client(2), ElementsAre(198, 51, 100, 7));
  EXPECT_THAT(client(3), ElementsAre(6, 6, 6, 6));
  EXPECT_THAT(client(4), ElementsAre(192, 0, 2, 1));  // shorter than our chain: not to be believed
}

TEST(LlmObserver, ABodyOverTheLimitIsReadToTheLimit) {
  LlmOptions options = SmallOptions();
  options.body_bytes_max = 64 << 10;
  Recorder recorder;
  const auto observer = MakeLlmObserver(options, &recorder, &recorder);
  const std::string image(200'000, 'A');
  const Seen seen = Play(
      Chat(R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"what is this"},{"type":"image_url","image_url":{"url":")" +
               image + R"("}}]}]})",
           kAnswer),
      5'000, observer.get(), &recorder);
  EXPECT_TRUE(seen.emitted);
  EXPECT_TRUE(seen.header.flags & kBodyTooLarge);
  EXPECT_FALSE(seen.header.flags & kMalformedRequest);
  EXPECT_EQ(seen.header.part_tokens[1], 3u);
  EXPECT_EQ(observer->counters().Get(LlmCounter::kRequestTooLarge), 1u);
  EXPECT_EQ(observer->counters().Get(LlmCounter::kRequestMalformed), 0u);
}

TEST(LlmObserver, EmptyPoolsAreCountedNotWaitedFor) {
  LlmOptions options = SmallOptions();
  options.body_pool_bytes = 16 << 10;
  Recorder recorder;
  const auto observer = MakeLlmObserver(options, &recorder, &recorder);
  const std::string text(100'000, 'x');
  const Seen seen = Play(Chat(R"({"messages":[{"role":"user","content":")" + text + R"("}]})", kAnswer), 1'000,
                         observer.get(), &recorder);
  EXPECT_TRUE(seen.emitted);
  EXPECT_TRUE(seen.header.flags & kBodyTooLarge);
  EXPECT_GE(observer->counters().Get(LlmCounter::kBodyPoolEmpty), 1u);

  // More transactions than there are places for: the rest is declined, and served again when one ends.
  const HttpHeader headers[] = {{"Authorization", "Bearer a"}};
  const HttpRequestHead head{"POST", "/v1/chat/completions", "h", headers};
  StreamContext at;
  std::vector<HttpObserver::Handle> handles;
  for (uint32_t i = 0; i < options.exchanges_max; ++i) handles.push_back(observer->OnRequestHead(at, i, head));
  EXPECT_EQ(observer->OnRequestHead(at, 99, head), nullptr);
  EXPECT_EQ(observer->counters().Get(LlmCounter::kExchangePoolEmpty), 1u);
  for (const auto handle : handles) observer->OnTransactionEnd(at, handle, HttpEnd::kFlowEnded, {});
  const auto again = observer->OnRequestHead(at, 100, head);
  EXPECT_NE(again, nullptr);
  observer->OnTransactionEnd(at, again, HttpEnd::kFlowEnded, {});
}

TEST(LlmObserver, BrokenJsonKeepsWhatWasRead) {
  const Seen seen = Play(Chat(R"({"model":"m","messages":[{"role":"user","content":"kept"}],"temperature":oops})", "{\"id\":"));
  EXPECT_TRUE(seen.header.flags & kMalformedRequest);
  EXPECT_TRUE(seen.header.flags & kMalformedResponse);
  EXPECT_EQ(seen.header.part_tokens[1], 1u);
  EXPECT_EQ(seen.model, "m");
  Recorder recorder;
  const auto observer = MakeLlmObserver(SmallOptions(), &recorder, &recorder);
  const std::string deep = R"({"messages":)" + std::string(10'000, '[') + std::string(10'000, ']') + "}";
  EXPECT_TRUE(Play(Chat(deep), 999, observer.get(), &recorder).header.flags & kMalformedRequest);
  EXPECT_EQ(observer->counters().Get(LlmCounter::kNestedTooDeep), 1u);
}

TEST(LlmObserver, AFieldSentTwiceCountsAsLastSent) {
  const Seen seen = Play(Chat(R"({"messages":[{"role":"user","content":"decoy"}],"messages":[{"role":"user","content":"real words"}]})"));
  EXPECT_EQ(seen.turns, 1u);
  EXPECT_EQ(seen.header.part_tokens[1], 2u);
  const Seen escaped = Play(Chat(R"({"mess\u0061ges":[{"role":"user","content":"hidden \u006bey"}]})"));
  EXPECT_EQ(escaped.messages.at(0).text, "hidden key");
}

TEST(LlmObserver, OnlyTheFirstChoiceIsTheOutput) {
  for (const char* answer : {R"({"choices":[{"index":1,"message":{"content":"second"}},{"index":0,"message":{"content":"first"}}]})",
                             R"({"choices":[{"message":{"content":"first"},"index":0},{"message":{"content":"second"},"index":1}]})"}) {
    const Seen seen = Play(Chat(Hi(), answer));
    EXPECT_EQ(seen.text, "first");
    EXPECT_TRUE(seen.more_choices);
  }
  Case c = Chat(R"({"contents":[{"parts":[{"text":"x"}]}]})",
                R"({"candidates":[{"content":{"parts":[{"text":"second"}]},"index":1},{"content":{"parts":[{"text":"first"}]}}]})");
  c.target = "/v1beta/models/g:generateContent";
  EXPECT_EQ(Play(c).text, "first");
}

TEST(LlmObserver, OneSidedTrafficIsSaid) {
  const Seen seen = Play(Chat(Hi()));
  EXPECT_TRUE(seen.emitted);
  EXPECT_FALSE(seen.header.flags & kResponseSeen);
  EXPECT_EQ(seen.header.status, 0);
  EXPECT_EQ(seen.header.tokens_in, 2u);  // counted, no usage seen
  EXPECT_FALSE(seen.header.flags & kHasUsage);
}

TEST(LlmObserver, ExactHashesFollowTheBytes) {
  const Seen a = Play(Chat(Hi())), b = Play(Chat(Hi())), c = Play(Chat(Hi(" ")));
  EXPECT_EQ(a.header.body_hash, b.header.body_hash);
  EXPECT_NE(a.header.body_hash, c.header.body_hash);
  EXPECT_EQ(a.header.part_hash[1], c.header.part_hash[1]);
  LlmOptions salted = SmallOptions();
  salted.salt = Salt{9};
  const Seen d = Play(Chat(Hi()), 1000, &salted);
  EXPECT_NE(a.header.body_hash, d.header.body_hash);
  EXPECT_NE(a.tokens[1], d.tokens[1]);
}

// Any bytes at all, under every path, cut anywhere.
TEST(LlmObserver, NoiseIsLegal) {
  std::mt19937_64 rng(10);
  Recorder recorder;
  const auto observer = MakeLlmObserver(SmallOptions(), &recorder, &recorder);
  const std::string alphabet = "{}[]\",:\\ untrdfalse0123.eE-data\n\xff\xc3";
  for (int round = 0; round < 3'000; ++round) {
    Case c = Chat("");
    const char* targets[] = {"/v1/chat/completions", "/v1/responses", "/v1/messages", "/m/x:generateContent",
                             "/m/x:streamGenerateContent"};
    c.target = targets[rng() % 5];
    std::string base = rng() % 2 == 0 ? Hi() : kAnswer;
    for (size_t i = rng() % 12; i > 0; --i) base[rng() % base.size()] = alphabet[rng() % alphabet.size()];
    c.request = base;
    c.response = rng() % 2 == 0 ? "data: " + base + "\n\n" : base;
    c.with_response = true;
    if (rng() % 2 == 0) c.response_headers = {{"content-type", "text/event-stream"}};
    Play(c, 1 + rng() % 50, observer.get(), &recorder);
  }
}

}  // namespace
}  // namespace stillwatch::dataplane::testing
