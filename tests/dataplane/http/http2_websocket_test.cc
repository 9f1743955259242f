// WebSocket in streams of HTTP/2 (RFC 8441): an extended CONNECT that is accepted carries the same messages as an upgrade
// of HTTP/1.1.
#include <gtest/gtest.h>

#include "tests/dataplane/http/gzip_data.h"
#include "tests/dataplane/http/http2_builder.h"
#include "tests/dataplane/http/websocket_talk.h"

namespace stillwatch::dataplane {
namespace {

using std::string;

string Message(const string& payload, uint8_t first = 0x81) {
  return string(1, static_cast<char>(first)) + static_cast<char>(payload.size()) + payload;
}
string Masked(const string& payload, uint8_t first = 0x81) {
  const string key = "k3y!";
  string out = string(1, static_cast<char>(first)) + static_cast<char>(0x80 | payload.size()) + key;
  for (size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ key[i % 4]);
  return out;
}

FieldPairs Connect(const string& protocol = "websocket") {
  FieldPairs fields = {{":method", "CONNECT"}, {":scheme", "https"}, {":authority", "h"}, {":path", "/v1/realtime"}};
  if (!protocol.empty()) fields.push_back({":protocol", protocol});
  fields.push_back({"sec-websocket-version", "13"});
  return fields;
}

struct Talk {
  explicit Talk(size_t piece_bytes = 1 << 16, bool listens = true) : piece(piece_bytes) {
    ear.listens = listens;
    shared = MakeHttpShared(WebSocketTalk::Small(), &ear);
    shared->RegisterCounters(&registry);
    connection = MakeHttpConnection(shared.get(), 0, HttpVersion::kHttp2, true);
    Say(true, Preface());
    Say(false, Settings(Setting(8, 1)));
  }
  ~Talk() {
    connection->Close(at, HttpEnd::kFlowEnded);
    EXPECT_EQ(ear.ends, static_cast<int>(Count("http2.websockets")));
    connection.reset();
  }
  void Say(bool from_client, const string& bytes) {
    for (size_t from = 0; from < bytes.size(); from += piece) {
      const size_t size = std::min(piece, bytes.size() - from);
      const std::unique_ptr<uint8_t[]> copy(new uint8_t[size]);
      std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(from), size, copy.get());
      for (size_t used = 0; used < size;) {
        DecodeBudget budget{.bytes_left = 40};
        used += connection->Feed(at, from_client, {copy.get() + used, size - used}, &budget);
      }
    }
  }
  void Open(uint32_t stream, const string& extensions = "", const string& status = "200") {
    Say(true, client.Headers(stream, Connect()));
    FieldPairs fields = Status(status);
    if (!extensions.empty()) fields.push_back({"sec-websocket-extensions", extensions});
    Say(false, server.Headers(stream, fields));
  }
  uint64_t Count(const string& name) const { return registry.Snapshot().at(name); }

  const size_t piece;
  WebSocketEar ear;
  StreamContext at;
  CounterRegistry registry;
  std::unique_ptr<HttpShared> shared;
  std::unique_ptr<HttpConnection> connection;
  Deflater client, server;
};

TEST(Http2WebSocket, MessagesAreHeardInAnyPieces) {
  const string text(100, 't');
  for (const size_t piece : {1 << 16, 1, 7}) {
    Talk talk(static_cast<size_t>(piece));
    talk.Open(1, "permessage-deflate");
    // A frame of WebSocket does not care for frames of HTTP/2.
    const string asked = Masked("hello") + Masked(DeflatedMessage(text), 0xc1);
    talk.Say(true, Data(1, asked.substr(0, 3)) + Data(1, "") + Data(1, asked.substr(3, 9)) + Data(1, asked.substr(12)));
    talk.Say(false, Data(1, Message("wor", 0x01) + Message("", 0x89) + Message("ld", 0x80)));
    const std::vector<Heard> expected = {{true, kWsText, "hello", true}, {true, kWsText, text, true}, {false, kWsPing, "", true}, {false, kWsText, "world", true}};
    EXPECT_EQ(talk.ear.heard, expected) << piece;
    EXPECT_EQ(talk.Count("http2.websockets"), 1u);
    EXPECT_EQ(talk.ear.ends, 0);
    talk.Say(true, Data(1, "", true));
    talk.Say(false, Data(1, Message("bye"), true));
    EXPECT_EQ(talk.ear.ends, 1);
    EXPECT_EQ(talk.ear.heard.size(), 5u);
    EXPECT_EQ(talk.Count("http.transactions"), 1u);
  }
}

TEST(Http2WebSocket, StreamsBesideItAreTheirOwn) {
  Talk talk;
  talk.Open(1);
  talk.Open(3);
  talk.Say(true, talk.client.Headers(5, Get("/x"), true));
  talk.Say(true, Data(1, Masked("one").substr(0, 4)) + Data(3, Masked("three")));
  talk.Say(false, talk.server.Headers(5, Status("200")) + Data(5, "body", true));
  talk.Say(true, Data(1, Masked("one").substr(4)));
  talk.Say(true, Reset(3));
  const std::vector<Heard> expected = {{true, kWsText, "three", true}, {true, kWsText, "one", true}};
  EXPECT_EQ(talk.ear.heard, expected);
  EXPECT_EQ(talk.ear.ends, 1);
  talk.Say(true, Data(3, Masked("late")) + Data(1, Masked("more")));
  EXPECT_EQ(talk.ear.heard.size(), 3u);
}

TEST(Http2WebSocket, WhatIsNotAcceptedOrNotAskedForIsNone) {
  for (const string& status : {string("403"), string("501")}) {
    Talk talk;
    talk.Open(1, "", status);
    talk.Say(true, Data(1, Masked("hello")));
    EXPECT_TRUE(talk.ear.heard.empty());
    EXPECT_EQ(talk.Count("http2.websockets"), 0u);
  }
  for (const string& protocol : {string(), string("connect-udp")}) {
    Talk talk;
    talk.Say(true, talk.client.Headers(1, Connect(protocol)));
    talk.Say(false, talk.server.Headers(1, Status("200")));
    talk.Say(true, Data(1, Masked("hello")));
    EXPECT_TRUE(talk.ear.heard.empty());
    EXPECT_EQ(talk.Count("http2.websockets"), 0u);
  }
  Talk deaf(1 << 16, false);
  deaf.Open(1);
  deaf.Say(true, Data(1, Masked("hello")));
  EXPECT_EQ(deaf.Count("http2.websockets"), 0u);
  // A :protocol without CONNECT is malformed (RFC 8441, 4), and no WebSocket.
  Talk odd;
  FieldPairs fields = Get("/x");
  fields.push_back({":protocol", "websocket"});
  odd.Say(true, odd.client.Headers(1, fields));
  odd.Say(false, odd.server.Headers(1, Status("200")));
  EXPECT_EQ(odd.Count("http2.websockets"), 0u);
  EXPECT_EQ(odd.Count("http2.pseudo_malformed"), 1u);
}

TEST(Http2WebSocket, MissingBytesEndTheirDirectionOnly) {
  Talk talk;
  talk.Open(1);
  const string frame = Data(1, Masked("will be lost"));
  talk.Say(true, Data(1, Masked("before")) + frame.substr(0, 12));
  talk.connection->Gap(talk.at, true, 4);
  talk.Say(true, frame.substr(16) + Data(1, Masked("behind")));
  talk.Say(false, Data(1, Message("the other way")));
  ASSERT_EQ(talk.ear.heard.size(), 2u);
  EXPECT_EQ(talk.ear.heard[0].text, "before");
  EXPECT_EQ(talk.ear.heard[1].text, "the other way");
  EXPECT_EQ(talk.Count("websocket.gap_in_head"), 1u);
}

}  // namespace
}  // namespace stillwatch::dataplane
