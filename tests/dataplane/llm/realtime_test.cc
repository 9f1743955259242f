// Realtime conversations over WebSocket: one exchange for each answer, with what was said before it.
#include "realtime_cases.h"

#include <gtest/gtest.h>

#include <random>

#include "harness.h"
#include "tests/dataplane/http/http2_builder.h"
#include "tests/dataplane/http/websocket_talk.h"

namespace stillwatch::dataplane::testing {
namespace {

// Keeps every exchange, not only the last.
class Exchanges final : public WorkerOutput, public ExchangeTextObserver {
 public:
  std::vector<Seen> all;
  int dropped = 0;

  void OnExchange(const ExchangeView& view) override {
    Recorder one;
    one.seen = std::move(emitted_);
    static_cast<WorkerOutput&>(one).OnExchange(view);
    all.push_back(std::move(one.seen));
  }
  void OnFlowRecord(const FlowRecord&) override {}
  void OnRequest(const void* exchange, const RequestView& request) override { Of(exchange).OnRequest(exchange, request); }
  void OnOutput(const void* exchange, OutputKind kind, std::string_view fragment) override {
    Of(exchange).OnOutput(exchange, kind, fragment);
  }
  void OnExchange(const void* exchange, const ExchangeView& view, uint64_t events) override {
    Of(exchange).OnExchange(exchange, view, events);
    emitted_ = std::move(Of(exchange).seen);
    open_.erase(std::find_if(open_.begin(), open_.end(), [&](const auto& o) { return o.first == exchange; }));
  }
  void OnDropped(const void*) override { ++dropped; }

 private:
  Recorder& Of(const void* exchange) {
    for (auto& [key, recorder] : open_) {
      if (key == exchange) return *recorder;
    }
    return *open_.emplace_back(exchange, std::make_unique<Recorder>()).second;
  }
  std::vector<std::pair<const void*, std::unique_ptr<Recorder>>> open_;
  Seen emitted_;
};

class Talk {
 public:
  explicit Talk(const LlmOptions& options = SmallOptions()) : observer(MakeLlmObserver(options, &exchanges, &exchanges)) {
    at.flow_id = 7;
    at.flow_hash = 70;
    at.packet = 1;
    at.time_ns = 1'000;
    at.client = {{192, 0, 2, 1}, 4};
    at.ja4_hash = 44;
  }
  ~Talk() {
    if (handle != nullptr) Hang();
    EXPECT_EQ(observer->exchanges_in_flight(), 0u);
    EXPECT_EQ(observer->pool_bytes_used(), 0u);
  }
  bool Open(const std::string& target, std::vector<HttpHeader> headers = {}) {
    headers.push_back({"Upgrade", "WebSocket"});
    handle = observer->OnRequestHead(at, 3, {"GET", target, "h", headers});
    if (handle == nullptr) return false;
    observer->OnRequestEnd(at, handle);
    handle = observer->OnResponseHead(at, handle, 3, {101, {}});
    return observer->websockets()->Wants(handle);
  }
  void Say(char from, std::string_view json, size_t piece = 1 << 16, bool whole = true) {
    for (size_t i = 0; i < json.size(); i += piece) {
      ++at.packet;
      at.time_ns += 10;
      const std::string_view part = json.substr(i, piece);
      const std::unique_ptr<uint8_t[]> copy(new uint8_t[part.size()]);
      std::copy(part.begin(), part.end(), copy.get());
      observer->websockets()->OnWebSocketData(at, handle, from == 'c', kWsText, {copy.get(), part.size()});
    }
    observer->websockets()->OnWebSocketMessage(at, handle, from == 'c', kWsText, whole);
  }
  void Hang() { observer->websockets()->OnWebSocketEnd(at, std::exchange(handle, nullptr)); }
  uint64_t Count(RealtimeCounter counter) { return observer->realtime_counters().Get(counter); }

  Exchanges exchanges;
  std::unique_ptr<LlmObserver> observer;
  StreamContext at;
  HttpObserver::Handle handle = nullptr;
};

std::string UserText(const Seen& seen) {
  std::string text;
  for (const SeenMessage& message : seen.messages) {
    if (message.role_name == "user" && !message.text.empty()) text = message.text;
  }
  return text;
}

TEST(Realtime, EveryAnswerIsAnExchange) {
  for (const RealtimeCase& c : kRealtimeCases) {
    for (const size_t piece : {size_t{1} << 16, size_t{1}, size_t{7}}) {
      SCOPED_TRACE(std::string(c.name) + ", pieces of " + std::to_string(piece));
      Talk talk;
      ASSERT_TRUE(talk.Open(c.target, {{"Authorization", "Bearer sk-test"}, {"x-goog-api-key", "g"}}));
      for (const RealtimeEvent& event : c.events) talk.Say(event.from, event.json, piece);
      talk.Hang();
      ASSERT_EQ(talk.exchanges.all.size(), c.exchanges.size());
      EXPECT_EQ(talk.Count(RealtimeCounter::kExchanges), c.exchanges.size());
      EXPECT_EQ(talk.Count(RealtimeCounter::kEvents), c.events.size());
      EXPECT_EQ(talk.Count(RealtimeCounter::kUnexpected), 0u);
      EXPECT_EQ(talk.Count(RealtimeCounter::kEventMalformed), 0u);
      for (size_t i = 0; i < c.exchanges.size(); ++i) {
        SCOPED_TRACE(i);
        const RealtimeExchange& want = c.exchanges[i];
        const Seen& seen = talk.exchanges.all[i];
        const ExchangeHeader& h = seen.header;
        EXPECT_EQ(h.api, c.api);
        EXPECT_EQ(seen.model, want.model);
        EXPECT_EQ(UserText(seen), want.user);
        EXPECT_EQ(seen.system_text, want.system);
        EXPECT_EQ(seen.text, want.text);
        EXPECT_EQ(seen.finish, want.finish);
        EXPECT_EQ(seen.tools.empty() ? "" : seen.tools[0], want.tool);
        EXPECT_EQ(seen.turns, want.turns);
        EXPECT_EQ(h.status, want.status);
        EXPECT_TRUE(want.tokens_in == 0 || h.tokens_in == want.tokens_in) << h.tokens_in;
        EXPECT_TRUE(want.tokens_out == 0 || h.tokens_out == want.tokens_out) << h.tokens_out;
        EXPECT_EQ((h.flags & kRateLimited) != 0, want.status == 429);
        EXPECT_EQ(h.order.index, 3 + i);  // behind the request that upgraded
        EXPECT_EQ(h.ja4_hash, 44u);
        EXPECT_TRUE(h.flags & kHasKey);
        EXPECT_TRUE(h.flags & kRequestSeen);
        EXPECT_TRUE(h.flags & kRequestComplete);
        EXPECT_TRUE(h.flags & kResponseComplete);
        EXPECT_FALSE(h.flags & kBodyTooLarge);
        EXPECT_LE(h.request_start_ns, h.request_end_ns);
        EXPECT_LE(h.request_end_ns, h.response_end_ns);
        EXPECT_EQ(std::string(h.part_tokens[1] != 0 ? "tokens" : ""), want.user[0] != 0 ? "tokens" : "");
      }
    }
  }
}

TEST(Realtime, ConversationsAndCallsLink) {
  const RealtimeCase& c = kRealtimeCases[2];
  Talk talk;
  ASSERT_TRUE(talk.Open(c.target, {{"Authorization", "Bearer sk-test"}}));
  for (const RealtimeEvent& event : c.events) talk.Say(event.from, event.json);
  talk.Hang();
  const std::vector<Seen>& all = talk.exchanges.all;
  ASSERT_EQ(all.size(), 4u);
  ASSERT_EQ(all[0].calls.size(), 1u);
  EXPECT_EQ(all[0].calls[0].arguments, R"({"sign":"Aquarius"})");
  EXPECT_EQ(all[1].messages[2].tool_text, R"({"h":"luck"})");
  // The call's id was issued by the first answer and sent back with the tool's result.
  ASSERT_EQ(all[3].returned.size(), 1u);
  EXPECT_NE(std::find(all[0].issued.begin(), all[0].issued.end(), all[3].returned[0]), all[0].issued.end());
  // What was answered beside the conversation is no part of it.
  EXPECT_EQ(all[3].messages.size(), 3u);
  EXPECT_EQ(all[3].prefix_chain.front(), all[0].prefix_chain.front());
}

// An error ends the answer that it is about; what still comes of it is not the next one's.
TEST(Realtime, ResponsesOfOneLaneAreNotMixed) {
  Talk talk;
  ASSERT_TRUE(talk.Open("/v1/responses", {{"Authorization", "Bearer sk-test"}}));
  talk.Say('s', R"({"type":"error","error":{"code":"websocket_connection_limit_reached"}})");  // to nobody
  EXPECT_EQ(talk.Count(RealtimeCounter::kUnexpected), 1u);
  talk.Say('c', R"({"type":"response.create","model":"m","input":"one"})");
  talk.Say('c', R"({"type":"response.create","model":"m","input":"two"})");
  talk.Say('c', R"({"type":"response.steer","input":"three"})");
  talk.Say('s', R"({"type":"response.created","response":{"id":"resp_1","status":"in_progress"}})");
  talk.Say('s', R"({"type":"error","error":{"code":"server_error"}})");
  talk.Say('s', R"({"type":"response.failed","response":{"id":"resp_1","status":"failed"}})");
  EXPECT_EQ(talk.Count(RealtimeCounter::kUnexpected), 2u);
  talk.Say('s', R"({"type":"response.created","response":{"id":"resp_2","status":"in_progress"}})");
  talk.Say('s', R"({"delta":"2","type":"response.output_text.delta"})");
  talk.Say('s', R"({"type":"response.completed","response":{"id":"resp_2","status":"completed"}})");
  ASSERT_EQ(talk.exchanges.all.size(), 2u);
  EXPECT_EQ(UserText(talk.exchanges.all[0]), "one");
  EXPECT_EQ(talk.exchanges.all[0].error, "server_error");
  EXPECT_EQ(UserText(talk.exchanges.all[1]), "two");
  EXPECT_EQ(talk.exchanges.all[1].text, "2");
  EXPECT_EQ(talk.exchanges.all[1].header.status, 200);
}

TEST(Realtime, AResponseWhoseEndWasNotSeenTakesNoOtherAnswer) {
  Talk talk;
  ASSERT_TRUE(talk.Open("/v1/responses", {{"Authorization", "Bearer sk-test"}}));
  talk.Say('c', R"({"type":"response.create","model":"m","input":"one"})");
  talk.Say('s', R"({"type":"response.created","response":{"id":"resp_1"}})");
  talk.Say('s', R"({"type":"response.output_text.delta","delta":"1"})");
  talk.Say('s', R"({"type":"response.completed")", 1 << 16, false);
  talk.Say('c', R"({"type":"response.create","model":"m","input":"two"})");
  talk.Say('s', R"({"type":"response.created","response":{"id":"resp_2"}})");
  talk.Say('s', R"({"type":"response.output_text.delta","delta":"2"})");
  talk.Say('s', R"({"type":"response.completed","response":{"id":"resp_2","status":"completed"}})");
  ASSERT_EQ(talk.exchanges.all.size(), 2u);
  EXPECT_EQ(talk.exchanges.all[0].text, "1");
  EXPECT_FALSE(talk.exchanges.all[0].header.flags & kResponseComplete);
  EXPECT_EQ(UserText(talk.exchanges.all[1]), "two");
  EXPECT_EQ(talk.exchanges.all[1].text, "2");
}

TEST(Realtime, AccountsAreFoundWhereBrowsersMayPutThem) {
  const auto key_of = [](const std::string& target, std::vector<HttpHeader> headers) {
    Talk talk;
    EXPECT_TRUE(talk.Open(target, std::move(headers)));
    talk.Say('c', R"({"type":"response.create"})");
    talk.Hang();
    EXPECT_EQ(talk.exchanges.all.size(), 1u);
    const ExchangeHeader& h = talk.exchanges.all[0].header;
    EXPECT_TRUE(h.flags & kHasKey);
    return std::pair(std::vector(h.key_id, h.key_id + 16), h.organisation_id);
  };
  const auto [key, none] = key_of("/v1/realtime", {{"Authorization", "Bearer sk-1"}});
  const auto [same, organisation] = key_of(
      "/v1/realtime", {{"Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.sk-1, openai-organization.org-2"}});
  EXPECT_EQ(key, same);
  EXPECT_EQ(none, 0u);
  EXPECT_NE(organisation, 0u);
  EXPECT_EQ(key, key_of("/openai/realtime?deployment=d&api-key=sk-1", {}).first);
  EXPECT_NE(key, key_of("/v1/realtime", {{"Authorization", "Bearer sk-2"}}).first);
}

TEST(Realtime, OthersWebSocketsAreNotFollowed) {
  Talk talk;
  EXPECT_FALSE(talk.Open("/chat"));
  std::vector<HttpHeader> headers;
  EXPECT_EQ(talk.observer->OnRequestHead(talk.at, 0, {"GET", "/v1/realtime", "h", headers}), nullptr);
  EXPECT_EQ(talk.Count(RealtimeCounter::kConnections), 0u);
}

TEST(Realtime, ARefusedConnectionIsCounted) {
  Talk talk;
  std::vector<HttpHeader> headers{{"Upgrade", "websocket"}};
  auto* handle = talk.observer->OnRequestHead(talk.at, 0, {"GET", "/v1/realtime", "h", headers});
  talk.observer->OnRequestEnd(talk.at, handle);
  handle = talk.observer->OnResponseHead(talk.at, handle, 0, {401, {}});
  talk.observer->OnTransactionEnd(talk.at, handle, HttpEnd::kComplete, {});
  EXPECT_EQ(talk.Count(RealtimeCounter::kRefused), 1u);
  EXPECT_TRUE(talk.exchanges.all.empty());
}

TEST(Realtime, WhatIsOpenAtTheEndIsEmittedWithoutItsEnd) {
  Talk talk;
  ASSERT_TRUE(talk.Open("/v1/realtime"));
  talk.Say('c', R"({"type":"response.create","response":{"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"go on"}]}]}})");
  talk.Say('s', R"({"type":"response.created","response":{"id":"r1"}})");
  talk.Say('s', R"({"type":"response.output_text.delta","response_id":"r1","delta":"one"})");
  talk.Hang();
  ASSERT_EQ(talk.exchanges.all.size(), 1u);
  EXPECT_EQ(talk.exchanges.all[0].text, "one");
  EXPECT_FALSE(talk.exchanges.all[0].header.flags & kResponseComplete);
}

TEST(Realtime, EventsThatMakeNoSenseAreCounted) {
  Talk talk;
  ASSERT_TRUE(talk.Open("/v1/realtime"));
  for (const char* event : {"", "[]", "7", "{", R"({"type":7})", R"({"type":"response.create","response":[]})",
                            R"({"type":"conversation.item.create","item":"x"})", R"({"type":)"}) {
    talk.Say('c', event);
    talk.Say('s', event);
  }
  EXPECT_GE(talk.Count(RealtimeCounter::kEventMalformed), 8u);
  EXPECT_EQ(talk.Count(RealtimeCounter::kUnexpected), 1u);  // the server says response.create
  talk.Say('s', R"({"type":"response.output_text.delta","response_id":"nobody","delta":"x"})");
  talk.Say('s', R"({"type":"response.done","response":{"id":"nobody","status":"completed"}})");
  talk.Say('s', R"({"type":"error","error":{"type":"server_error","event_id":"nobody"}})");
  EXPECT_EQ(talk.Count(RealtimeCounter::kUnexpected), 4u);
  talk.Say('c', R"({"type":"session.update"})", 5, false);
  EXPECT_EQ(talk.Count(RealtimeCounter::kEventCut), 1u);
  talk.Hang();
  EXPECT_EQ(talk.exchanges.all.size(), 1u);  // the one that was asked for
}

TEST(Realtime, EverythingIsBounded) {
  LlmOptions options = SmallOptions();
  options.body_bytes_max = 4096;
  options.exchanges_max = 16;
  Talk talk(options);
  ASSERT_TRUE(talk.Open("/v1/realtime"));
  const auto item = [](const std::string& text) {
    return R"({"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":")" +
           text + R"("}]}})";
  };
  talk.Say('c', item(std::string(5000, 'x')), 1000);  // over the limit of one event
  EXPECT_EQ(talk.Count(RealtimeCounter::kEventTooLarge), 1u);
  for (int i = 0; i < 20; ++i) talk.Say('c', item("part " + std::to_string(i) + std::string(100, ' ')));
  EXPECT_GT(talk.Count(RealtimeCounter::kHistoryCut), 0u);
  for (int i = 0; i < 20; ++i) talk.Say('c', R"({"type":"response.create"})");
  EXPECT_EQ(talk.Count(RealtimeCounter::kTurnsFull), 12u);
  talk.Hang();
  ASSERT_EQ(talk.exchanges.all.size(), 8u);
  EXPECT_TRUE(talk.exchanges.all[0].header.flags & kBodyTooLarge);
  EXPECT_TRUE(UserText(talk.exchanges.all[0]).starts_with("part 19")) << UserText(talk.exchanges.all[0]);
  // Connections: an eighth of the exchanges in flight.
  std::vector<HttpHeader> headers{{"Upgrade", "websocket"}};
  std::vector<HttpObserver::Handle> handles;
  for (int i = 0; i < 3; ++i) handles.push_back(talk.observer->OnRequestHead(talk.at, 0, {"GET", "/v1/realtime", "h", headers}));
  EXPECT_NE(handles[1], nullptr);
  EXPECT_EQ(handles[2], nullptr);
  EXPECT_EQ(talk.Count(RealtimeCounter::kSessionsEmpty), 1u);
  for (int i = 0; i < 2; ++i) talk.observer->websockets()->OnWebSocketEnd(talk.at, handles[static_cast<size_t>(i)]);
}

// Any order of any events, some damaged: nothing but counters.
TEST(Realtime, AnyOrderOfEventsIsLegal) {
  std::mt19937 random(7);
  std::vector<RealtimeEvent> events;
  for (const RealtimeCase& c : kRealtimeCases) events.insert(events.end(), c.events.begin(), c.events.end());
  for (int round = 0; round < 60; ++round) {
    Talk talk;
    ASSERT_TRUE(talk.Open(kRealtimeCases[round % 2 == 0 ? 0 : 3].target));
    size_t asked = 0;
    for (int i = 0; i < 200; ++i) {
      std::string json = events[random() % events.size()].json;
      if (random() % 4 == 0) json[random() % json.size()] = static_cast<char>(random());
      if (random() % 8 == 0) json.resize(random() % json.size());
      talk.Say(random() % 2 == 0 ? 'c' : 's', json, 1 + random() % 300, random() % 16 != 0);
      ++asked;
    }
    talk.Hang();
    EXPECT_LE(talk.exchanges.all.size(), asked);
  }
}

// From the bytes of a connection: an upgrade, masked frames, an answer.
TEST(Realtime, BehindARealUpgrade) {
  const auto frame = [](bool masked, const std::string& text) {
    std::string out{static_cast<char>(0x81)};
    const char mask_bit = masked ? static_cast<char>(0x80) : '\0';
    if (text.size() < 126) {
      out += static_cast<char>(text.size() | static_cast<uint8_t>(mask_bit));
    } else {
      out += static_cast<char>(126 | static_cast<uint8_t>(mask_bit));
      out += static_cast<char>(text.size() >> 8);
      out += static_cast<char>(text.size());
    }
    if (!masked) return out + text;
    const std::string mask = "\x11\x22\x33\x44";
    out += mask;
    for (size_t i = 0; i < text.size(); ++i) out += static_cast<char>(text[i] ^ mask[i % 4]);
    return out;
  };
  for (const size_t piece : {size_t{1}, size_t{1000}}) {
    Exchanges exchanges;
    const auto observer = MakeLlmObserver(SmallOptions(), &exchanges, &exchanges);
    const auto shared = MakeHttpShared(WebSocketTalk::Small(), observer.get());
    auto connection = MakeHttpConnection(shared.get());
    StreamContext at;
    const auto say = [&](bool from_client, const std::string& bytes) {
      for (size_t i = 0; i < bytes.size(); i += piece) {
        const std::string part = bytes.substr(i, piece);
        DecodeBudget budget;
        ASSERT_EQ(connection->Feed(at, from_client, {reinterpret_cast<const uint8_t*>(part.data()), part.size()}, &budget),
                  part.size());
      }
    };
    say(true, kUpgradeRequest);
    say(false, UpgradeAnswer());
    for (const RealtimeEvent& event : kRealtimeCases[0].events) say(event.from == 'c', frame(event.from == 'c', event.json));
    ASSERT_EQ(exchanges.all.size(), 2u);
    EXPECT_EQ(exchanges.all[0].text, "Paris");
    EXPECT_EQ(exchanges.all[0].model, "gpt-realtime-2025-08-28");  // the target names none: the server does
    connection->Close(at, HttpEnd::kFlowEnded);
    connection.reset();
    EXPECT_EQ(observer->exchanges_in_flight(), 0u);
    EXPECT_EQ(observer->pool_bytes_used(), 0u);
  }
}

std::string TextFrame(bool from_client, std::string_view text) {
  std::string out = "\x81";
  const uint8_t mask = from_client ? 0x80 : 0;
  out += static_cast<char>(mask | (text.size() < 126 ? text.size() : 126));
  if (text.size() >= 126) out += {static_cast<char>(text.size() >> 8), static_cast<char>(text.size() & 255)};
  if (from_client) out += std::string(4, '\0');
  return out.append(text);
}

// A conversation from the bytes of its connection on, over HTTP/1.1 or in a stream of HTTP/2.
std::vector<std::string> ExchangesOver(bool http2, const RealtimeCase& c, size_t piece) {
  Exchanges exchanges;
  const auto observer = MakeLlmObserver(SmallOptions(), &exchanges, &exchanges);
  const auto shared = MakeHttpShared(WebSocketTalk::Small(), observer.get());
  auto connection = MakeHttpConnection(shared.get(), 0, http2 ? HttpVersion::kHttp2 : HttpVersion::kHttp1, true);
  StreamContext at;
  at.packet = at.time_ns = 1;
  at.client = {{192, 0, 2, 1}, 4};
  const auto say = [&](bool from_client, const std::string& bytes) {
    for (size_t from = 0; from < bytes.size(); from += piece) {
      const std::string part = bytes.substr(from, piece);
      for (size_t used = 0; used < part.size();) {
        DecodeBudget budget;
        used += connection->Feed(at, from_client, AsBytes(part).subspan(used), &budget);
      }
    }
    ++at.packet;
    at.time_ns += 1'000;
  };
  Deflater client, server;
  if (http2) {
    say(true, Preface() + client.Headers(1, {{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "https"}, {":path", c.target},
                                             {":authority", "h"}, {"authorization", "Bearer sk-test"}}));
    say(false, Settings(Setting(8, 1)) << server.Headers(1, Status("200")));
  } else {
    say(true, std::string("GET ") + c.target + " HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: Bearer sk-test\r\n\r\n");
    say(false, UpgradeAnswer());
  }
  for (const RealtimeEvent& event : c.events) {
    const std::string frame = TextFrame(event.from == 'c', event.json);
    say(event.from == 'c', http2 ? Data(1, frame) : frame);
  }
  connection->Close(at, HttpEnd::kFlowEnded);
  connection.reset();
  EXPECT_EQ(observer->exchanges_in_flight(), 0u);
  EXPECT_EQ(observer->pool_bytes_used(), 0u);
  std::vector<std::string> out;
  for (const Seen& seen : exchanges.all) {
    const ExchangeHeader& h = seen.header;
    out.push_back(seen.model + "|" + UserText(seen) + "|" + seen.text + "|" + seen.finish + "|" + HexOf(Bytes(h.key_id)) + "|" +
                  std::to_string(h.turns) + "|" + std::to_string(h.status) + "|" + std::to_string(h.part_hash[3]) + "|" + std::to_string(h.request_start_ns));
    EXPECT_EQ(h.http2_hash != 0, http2);
  }
  return out;
}

TEST(Realtime, InAStreamOfHttp2TheExchangesAreTheSame) {
  for (const RealtimeCase& c : kRealtimeCases) {
    const std::vector<std::string> expected = ExchangesOver(false, c, 1 << 16);
    EXPECT_EQ(expected.size(), c.exchanges.size()) << c.name;
    for (const size_t piece : {1 << 16, 1, 13}) EXPECT_EQ(ExchangesOver(true, c, piece), expected) << c.name << ", pieces of " << piece;
  }
}

}  // namespace
}  // namespace stillwatch::dataplane::testing
