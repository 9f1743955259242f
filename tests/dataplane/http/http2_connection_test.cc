// HTTP/2 by the rules of RFC 9113, one behaviour a test.
#include <gtest/gtest.h>

#include "tests/dataplane/http/gzip_data.h"
#include "tests/dataplane/http/http2_builder.h"
#include "tests/dataplane/http/recorder.h"

namespace stillwatch::dataplane {
namespace {

using std::string;

// A connection from its beginning, both prefaces read.
struct Http2 : Driver {
  explicit Http2(HttpLimits limits = SmallLimits(), HttpVersion version = HttpVersion::kHttp2) : Driver(limits) {
    connection = MakeHttpConnection(shared.get(), 0, version, true);
    if (version != HttpVersion::kHttp2) return;
    Client(Preface());
    Server(Settings());
  }
  static HttpLimits SmallLimits() {
    HttpLimits limits = Driver::SmallLimits();
    limits.streams_max = 300;
    limits.streams_per_connection_max = 200;
    limits.hpack_bytes_max = 4u << 20;
    return limits;
  }
  Deflater client, server;
};

TEST(Http2Connection, StreamsInterleaveAndEachIsATransaction) {
  Http2 d;
  d.Client(d.client.Headers(1, Post("/a", {{"content-length", "6"}, {"x", "y"}})) <<
           d.client.Headers(3, Get("/b"), true) + Data(1, "abc"));
  d.Server(d.server.Headers(3, Status("200", {{"content-type", "text/plain"}})) + Data(3, "one "));
  d.Client(Data(1, "def", true));
  d.Server(d.server.Headers(1, Status("404")) + Data(1, "no", true) + Data(3, "two", true));
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[0].method, "POST");
  EXPECT_EQ(d[0].target, "/a");
  EXPECT_EQ(d[0].host, "h");
  EXPECT_EQ(d[0].request_fields.at(1), (std::pair<string, string>("x", "y")));
  EXPECT_EQ(d[0].request_body, "abcdef");
  EXPECT_EQ(d[0].status, 404);
  EXPECT_EQ(d[0].response_body, "no");
  EXPECT_EQ(d[1].response_body, "one two");
  for (size_t i : {0, 1}) {
    EXPECT_EQ(d[i].end, HttpEnd::kComplete);
    EXPECT_FALSE(d[i].info.ambiguous);
    EXPECT_EQ(d[i].info.index, i);
    EXPECT_EQ(d[i].info.stream_id, 2 * i + 1);
  }
  EXPECT_EQ(d.Count("http.requests"), 2u);
  EXPECT_EQ(d.Count("http2.streams"), 2u);
}

TEST(Http2Connection, ContinuationPaddingPriorityAndUnknownFrames) {
  Http2 d;
  const string block = d.client.Block(Get("/long", {{"a", string(100, 'q')}}));
  const string priority("\x80\x00\x00\x03\x0f", 5);
  d.Client(MakeFrame(1, 1 | 8 | 0x20, 1, string("\x04", 1) + priority + block.substr(0, 10) + string(4, '\0')) +
           MakeFrame(9, 0, 1, block.substr(10, 20)) + MakeFrame(9, 0, 1, "") + MakeFrame(9, 4, 1, block.substr(30)) +
           MakeFrame(2, 0, 3, priority) + MakeFrame(0x55, 0xff, 9, "what") + MakeFrame(6, 0, 0, "12345678"));
  d.Server(d.server.Headers(1, Status("200")) + MakeFrame(0, 8 | 1, 1, string("\x03", 1) + "body" + string(3, '\0')));
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].target, "/long");
  EXPECT_EQ(d[0].response_body, "body");
  EXPECT_EQ(d[0].info.response_data_bytes, 4u);
  EXPECT_EQ(d[0].end, HttpEnd::kComplete);
  EXPECT_EQ(d.Count("http2.unknown_frames"), 1u);
  EXPECT_EQ(d.Count("http2.frame_malformed"), 0u);
}

TEST(Http2Connection, CodedBodiesTrailersInterimAndBodilessAnswers) {
  Http2 d;
  const string gzip = Gzip("data: hello\n\n");
  d.Client(d.client.Headers(1, Get("/gzip"), true) << d.client.Headers(3, {{":method", "HEAD"}, {":scheme", "http"},
                                                                          {":path", "/h"}, {"host", "x"}}, true) <<
           d.client.Headers(5, Get("/none"), true));
  d.Server(d.server.Headers(1, Status("103")) <<
           d.server.Headers(1, Status("200", {{"content-encoding", "gzip"},
                                             {"content-length", std::to_string(gzip.size())}})) +
           Data(1, gzip.substr(0, 5)) + Data(1, gzip.substr(5)) << d.server.Headers(1, {{"checksum", "1"}}, true) <<
           d.server.Headers(3, Status("200", {{"content-length", "500"}}), true) <<
           d.server.Headers(5, Status("204"), true));
  ASSERT_EQ(d.size(), 3u);
  EXPECT_EQ(d[0].response_body, "data: hello\n\n");
  EXPECT_EQ(d[0].info.response_body_bytes, 13u);
  EXPECT_EQ(d[0].info.response_data_bytes, gzip.size());
  EXPECT_EQ(d[1].host, "x");
  for (size_t i : {0, 1, 2}) {
    EXPECT_EQ(d[i].end, HttpEnd::kComplete) << i;
    EXPECT_FALSE(d[i].info.ambiguous) << i;
  }
  EXPECT_EQ(d.Count("http.interim"), 1u);
}

TEST(Http2Connection, FramingIsReadInFieldsThatAreNotShown) {
  Http2 d;
  FieldPairs fields = Post("/");
  for (int i = 0; i < 300; ++i) fields.emplace_back("n" + std::to_string(i), "v");
  fields.emplace_back("content-encoding", "gzip");
  d.Client(d.client.Headers(1, fields) + Data(1, Gzip("hello"), true));
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].request_body, "hello");
  EXPECT_LE(d[0].request_fields.size(), 256u);
  EXPECT_EQ(d.Count("http.fields_too_many"), 1u);
}

TEST(Http2Connection, WhatAGatewayCouldReadOtherwiseIsMarked) {
  const auto ambiguous = [](const FieldPairs& request, const string& body, const string& counter) {
    Http2 d;
    d.Client(d.client.Headers(1, request) + Data(1, body, true));
    d.Server(d.server.Headers(1, Status("200"), true));
    EXPECT_EQ(d.Count(counter), 1u) << counter;
    return d.size() == 1 && d[0].info.ambiguous;
  };
  EXPECT_TRUE(ambiguous(Post("/", {{"content-length", "3"}}), "four", "http2.length_mismatch"));
  EXPECT_TRUE(ambiguous(Post("/", {{"transfer-encoding", "chunked"}}), "x", "http2.connection_field"));
  EXPECT_TRUE(ambiguous(Post("/", {{"a", "b\r\nEvil: 1"}}), "x", "http2.field_malformed"));
  EXPECT_TRUE(ambiguous(Post("/", {{"Upper", "1"}}), "x", "http2.field_malformed"));
  EXPECT_TRUE(ambiguous(Post("/", {{":path", "/late"}}), "x", "http2.pseudo_malformed"));
  EXPECT_TRUE(ambiguous({{":method", "POST"}, {":scheme", "http"}}, "x", "http2.pseudo_malformed"));
  EXPECT_TRUE(ambiguous(Post("/", {{"host", "other"}}), "x", "http2.pseudo_malformed"));
  // RFC 9113, 8.3: each but once, and all but those of CONNECT are there.
  const auto with = [](size_t at, const string& name, const string& value) {
    FieldPairs fields = Post("/");
    fields.insert(fields.begin() + static_cast<ptrdiff_t>(at), {name, value});
    return fields;
  };
  EXPECT_TRUE(ambiguous(with(3, ":authority", "other"), "x", "http2.pseudo_malformed"));
  EXPECT_TRUE(ambiguous(with(3, ":scheme", "https"), "x", "http2.pseudo_malformed"));
  EXPECT_TRUE(ambiguous({{":method", "POST"}, {":authority", "h"}, {":path", "/"}}, "x", "http2.pseudo_malformed"));
  // What makes another request line of it.
  const auto as = [](size_t at, const string& value) {
    FieldPairs fields = Post("/");
    fields[at].second = value;
    return fields;
  };
  EXPECT_TRUE(ambiguous(as(0, "GET /admin HTTP/1.1"), "x", "http2.pseudo_malformed"));
  EXPECT_TRUE(ambiguous(as(1, "http://other/"), "x", "http2.pseudo_malformed"));
  EXPECT_TRUE(ambiguous(as(3, "/ HTTP/1.1 /"), "x", "http2.pseudo_malformed"));
  EXPECT_TRUE(ambiguous(as(3, ""), "x", "http2.pseudo_malformed"));
}

TEST(Http2Connection, TrailersThatAGatewayCouldReadOtherwiseAreMarked) {
  const auto ambiguous = [](const FieldPairs& trailers, const string& counter) {
    Http2 d;
    d.Client(d.client.Headers(1, Post("/")) + Data(1, "x") << d.client.Headers(1, trailers, true));
    d.Server(d.server.Headers(1, Status("200"), true));
    EXPECT_EQ(d.Count(counter), 1u) << counter;
    return d[0].info.ambiguous;
  };
  EXPECT_TRUE(ambiguous({{"a", "b\r\n\r\nGET /admin HTTP/1.1"}}, "http2.field_malformed"));
  EXPECT_TRUE(ambiguous({{"transfer-encoding", "chunked"}}, "http2.connection_field"));
  EXPECT_TRUE(ambiguous({{":path", "/late"}}, "http2.pseudo_malformed"));
}

TEST(Http2Connection, TableSizesFollowSettingsAndTheirAcknowledgement) {
  Http2 d;
  // The server allows a table of 8,192; the client uses it after its acknowledgement.
  d.Server(Settings(Setting(1, 8'192)));
  d.Client(d.client.Headers(1, Get("/before", {{"k", string(2'000, 'a')}}), true) + SettingsAck());
  Deflater big(8'192);
  big.TableSize(8'192);
  d.Client(big.Headers(3, Get("/1", {{"k1", string(3'000, 'b')}}), true));
  d.Client(big.Headers(5, Get("/2", {{"k2", string(3'000, 'c')}}), true));
  d.Client(big.Headers(7, Get("/3", {{"k1", string(3'000, 'b')}}), true));  // index into what 4,096 would not hold
  ASSERT_EQ(d.size(), 4u);
  EXPECT_EQ(d[3].request_fields.back().second, string(3'000, 'b'));
  EXPECT_EQ(d.Count("http2.hpack_failed"), 0u);
  EXPECT_EQ(d.Count("http2.hpack_lost"), 0u);
}

TEST(Http2Connection, TablesOverTheBoundLoseTheirFarEnd) {
  HttpLimits limits = Http2::SmallLimits();
  limits.hpack_table_bytes_max = 4'096;
  Http2 d(limits);
  d.Server(Settings(Setting(1, 1u << 20)));
  d.Client(SettingsAck());
  Deflater big(1u << 20);
  big.TableSize(1u << 20);
  for (uint32_t i = 0; i < 10; ++i) {
    d.Client(big.Headers(2 * i + 1, Get("/x", {{"k" + std::to_string(i), string(1'000, 'a')}}), true));
  }
  d.Client(big.Headers(21, Get("/x", {{"k0", string(1'000, 'a')}, {"k9", string(1'000, 'a')}}), true));
  ASSERT_EQ(d.size(), 11u);
  EXPECT_EQ(d.Count("http2.hpack_failed"), 0u);
  EXPECT_GE(d.Count("http2.hpack_fields_lost"), 1u);
  d.Close();
  EXPECT_TRUE(d[10].info.gap);
  EXPECT_EQ(d[10].request_fields.back().first, "k9");
}

TEST(Http2Connection, ResetEndsAStreamAndTheAnswerOnItsWayIsRead) {
  Http2 d;
  d.Client(d.client.Headers(1, Get("/a"), true) << d.client.Headers(3, Get("/b"), true) + Reset(1));
  d.Server(d.server.Headers(1, Status("200")) + Data(1, "late", true) + Reset(3));
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[0].response_body, "late");
  EXPECT_EQ(d[0].end, HttpEnd::kComplete);
  EXPECT_EQ(d[1].end, HttpEnd::kFlowEnded);
  // No answer comes: two seconds are enough.
  d.Client(d.client.Headers(5, Post("/c")) + Reset(5));
  EXPECT_FALSE(d[2].ended);
  d.context.time_ns += 2'000'000'001;
  d.Client(MakeFrame(6, 0, 0, "12345678"));
  EXPECT_TRUE(d[2].ended);
  EXPECT_EQ(d[2].end, HttpEnd::kFlowEnded);
  EXPECT_EQ(d.Count("http2.streams_reset"), 3u);
}

TEST(Http2Connection, RapidResetTakesNoMoreThanItsBound) {
  Http2 d;
  for (uint32_t id = 1; id < 20'000; id += 2) {
    d.Client(d.client.Headers(id, Get("/"), true) + Reset(id));
  }
  ASSERT_EQ(d.size(), 10'000u);
  const auto open = std::count_if(d.recorder.seen.begin(), d.recorder.seen.end(), [](auto& t) { return !t->ended; });
  EXPECT_EQ(open, 64);
  EXPECT_EQ(d.Count("http2.streams_too_many"), 0u);
  d.Close();
  for (const auto& t : d.recorder.seen) ASSERT_TRUE(t->ended);
}

TEST(Http2Connection, StreamsAreBounded) {
  Http2 d;
  for (uint32_t id = 1; id < 1'000; id += 2) d.Client(d.client.Headers(id, Get("/" + std::to_string(id)), true));
  EXPECT_EQ(d.size(), 200u);
  EXPECT_EQ(d.Count("http2.streams_too_many"), 300u);
  d.Server(d.server.Headers(999, Status("200"), true) << d.server.Headers(1, Status("200"), true));
  EXPECT_EQ(d[0].end, HttpEnd::kComplete);
  d.Client(d.client.Headers(1'001, Get("/room-again"), true));
  EXPECT_EQ(d.size(), 201u);
}

TEST(Http2Connection, AFloodOfContinuationsIsReadOverAndTheTableSurvives) {
  for (const size_t piece : {1u, 1'000u, 16'000u}) {
    HttpLimits limits = Http2::SmallLimits();
    limits.header_bytes_max = 16u << 10;
    Http2 d(limits);
    FieldPairs many = Get("/flood", {{"kept", "in the table"}});
    for (int i = 0; i < 3'000; ++i) many.emplace_back("n" + std::to_string(i), string(20, 'v'));
    many.emplace_back("last", "also in the table");
    const string block = d.client.Block(many);
    ASSERT_GT(block.size(), 3u * limits.header_bytes_max / 2);
    string frames = MakeFrame(1, 1, 1, block.substr(0, piece));
    for (size_t at = piece; at < block.size(); at += piece) {
      frames += MakeFrame(9, at + piece >= block.size() ? 4 : 0, 1, block.substr(at, piece));
    }
    d.Client(frames << d.client.Headers(3, Get("/after", {{"last", "also in the table"}}), true));
    ASSERT_EQ(d.size(), 1u) << piece;
    EXPECT_EQ(d[0].target, "/after");
    EXPECT_EQ(d[0].request_fields.back().second, "also in the table");
    EXPECT_EQ(d.Count("http2.head_too_large"), 1u);
    EXPECT_EQ(d.Count("http2.hpack_failed"), 0u);
  }
}

TEST(Http2Connection, TheAnswerToARequestThatCouldNotBeReadIsSeen) {
  Http2 large;
  large.Client(large.client.Headers(1, Get("/large", {{"a", string(40'000, 'a')}, {"b", string(40'000, 'b')}}), true));
  Http2 lost;
  const string head = lost.client.Headers(1, Get("/lost"), true);
  lost.Client(head.substr(0, 12));
  lost.connection->Gap(lost.context, true, 2);
  lost.Client(head.substr(14));
  for (Http2* d : {&large, &lost}) {
    d->Server(d->server.Headers(1, Status("200")) + Data(1, "answer", true));
    ASSERT_EQ(d->size(), 1u);
    EXPECT_FALSE((*d)[0].has_request);
    EXPECT_EQ((*d)[0].response_body, "answer");
    EXPECT_EQ(d->Count("http.request_unseen"), 1u);
  }
}

TEST(Http2Connection, FramesThatCrossALowerFrameSizeAreRead) {
  Http2 d;
  d.Server(Settings(Setting(5, 32'768)));
  d.Server(Settings(Setting(5, 16'384)));  // not acknowledged yet
  d.Client(d.client.Headers(1, Post("/")) + Data(1, string(20'000, 'x'), true));
  EXPECT_EQ(d[0].request_body.size(), 20'000u);
  EXPECT_EQ(d.Count("http2.frame_malformed"), 0u);
}

// One kilobyte of block that names a large entry a thousand times.
TEST(Http2Connection, AHeaderBombIsReadInSteps) {
  Http2 d;
  d.Client(d.client.Headers(1, Get("/", {{"big", string(3'000, 'b')}}), true));
  const string bomb(16'000, '\xbe');  // index 62: the newest entry
  d.steps = 0;
  d.Client(MakeFrame(1, 5, 3, bomb) << d.client.Headers(5, Get("/next"), true));
  EXPECT_GT(d.steps, 500u);  // 48 MB in steps of 64 KiB
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[1].target, "/next");
  EXPECT_EQ(d.Count("http2.head_too_large"), 1u);
}

TEST(Http2Connection, HpackMemoryIsBounded) {
  HttpLimits limits = Http2::SmallLimits();
  limits.hpack_bytes_max = 1u << 20;
  Http2 d(limits);
  std::vector<std::unique_ptr<HttpConnection>> connections;
  for (int i = 0; i < 400; ++i) {
    connections.push_back(MakeHttpConnection(d.shared.get(), 0, HttpVersion::kHttp2));
    Deflater deflater;
    const string bytes = Preface() << deflater.Headers(1, Get("/", {{"a", string(1'500, 'a')}, {"b", string(1'500, 'b')}}), true);
    DecodeBudget budget;
    connections.back()->Feed(d.context, true, AsBytes(bytes), &budget);
  }
  EXPECT_GT(d.Count("http2.hpack_memory_empty"), 0u);
  EXPECT_GT(d.Count("http.requests"), 0u);
  for (auto& connection : connections) connection->Close(d.context, HttpEnd::kFlowEnded);
  // All of it came back.
  Deflater deflater;
  const auto before = d.Count("http2.hpack_memory_empty");
  const auto again = MakeHttpConnection(d.shared.get(), 0, HttpVersion::kHttp2);
  const string bytes = Preface() << deflater.Headers(1, Get("/again"), true);
  DecodeBudget budget;
  again->Feed(d.context, true, AsBytes(bytes), &budget);
  EXPECT_EQ(d.recorder.seen.back()->target, "/again");
  EXPECT_EQ(d.Count("http2.hpack_memory_empty"), before);
  again->Close(d.context, HttpEnd::kFlowEnded);
}

TEST(Http2Connection, JoinedInTheMiddleTheTableHeals) {
  Http2 d(Http2::SmallLimits(), HttpVersion::kHttp2Joined);
  d.client.Block(Get("/chat", {{"old", "0"}}));  // before we came
  d.server.Block(Status("200", {{"server", "s"}}));
  d.Client(d.client.Headers(5, Get("/chat", {{"old", "0"}, {"new", "1"}}), true));
  d.Server("tail of something" << d.server.Headers(5, Status("200", {{"server", "s"}, {"fresh", "2"}})) +
           Data(5, "answer", true));
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].method, "GET");
  EXPECT_EQ(d[0].target, "/chat");
  EXPECT_EQ(d[0].host, "");  // stood in the table
  EXPECT_TRUE(d[0].info.gap);
  EXPECT_EQ(d[0].request_fields.at(0).first, "new");
  EXPECT_EQ(d[0].response_body, "answer");
  EXPECT_GE(d.Count("http2.hpack_fields_lost"), 3u);
  // What was added since is known.
  d.Client(d.client.Headers(7, Get("/embed", {{"new", "1"}}), true));
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[1].target, "/embed");
  EXPECT_EQ(d[1].request_fields.at(0), (std::pair<string, string>("new", "1")));
  EXPECT_EQ(d.Count("http2.joined"), 1u);
}

TEST(Http2Connection, GapsInDataKeepTheStreamGapsOverFramesAreSearched) {
  Http2 d;
  d.Client(d.client.Headers(1, Get("/a"), true) << d.client.Headers(3, Get("/b"), true));
  const string body = Data(1, string(1'000, 'x'), true);
  d.Server(d.server.Headers(1, Status("200")) + body.substr(0, 500));
  d.connection->Gap(d.context, false, 100);
  d.Server(body.substr(600));
  EXPECT_EQ(d[0].end, HttpEnd::kComplete);
  EXPECT_TRUE(d[0].info.gap);
  EXPECT_EQ(d[0].response_body.size(), 900u);
  // A head and part of its body are lost; the next head is found.
  const string lost = d.server.Headers(3, Status("200")) + Data(3, string(300, 'y'));
  d.connection->Gap(d.context, false, lost.size() - 100);
  d.Client(d.client.Headers(5, Get("/c"), true));
  d.Server(lost.substr(lost.size() - 100) << d.server.Headers(5, Status("200", {{"seen", "1"}})) + Data(5, "ok", true));
  ASSERT_EQ(d.size(), 3u);
  EXPECT_EQ(d[2].response_body, "ok");
  EXPECT_EQ(d[2].end, HttpEnd::kComplete);
  EXPECT_EQ(d.Count("http2.gap_over_frames"), 1u);
  d.Close();
  EXPECT_TRUE(d[1].info.gap);
  EXPECT_EQ(d[1].end, HttpEnd::kFlowEnded);
}

TEST(Http2Connection, TrailersBehindALostHeadAreNoHead) {
  Http2 d;
  d.Client(d.client.Headers(1, Post("/pkg.Svc/Call"), true));
  const string head = d.server.Headers(1, Status("200"));
  d.connection->Gap(d.context, false, head.size());
  d.Server(Data(1, "body") << d.server.Headers(1, {{"grpc-status", "0"}}, true));
  ASSERT_EQ(d.size(), 1u);
  EXPECT_FALSE(d[0].has_response);
  EXPECT_TRUE(d[0].ended);
  EXPECT_TRUE(d[0].info.gap);
  EXPECT_FALSE(d[0].info.ambiguous);
  EXPECT_EQ(d.Count("http2.pseudo_malformed"), 0u);
}

TEST(Http2Connection, UpgradeFromHttp1IsStreamOne) {
  Driver d;
  Deflater client, server;
  d.Client("POST /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
           "HTTP2-Settings: AAMAAABkAARAAAAA\r\nContent-Length: 4\r\n\r\nbody");
  d.Server("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + Settings() <<
           server.Headers(1, Status("200")) + Data(1, "answer", true));
  d.Client(Preface() << client.Headers(3, Get("/next"), true));
  d.Server(server.Headers(3, Status("404"), true));
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[0].request_body, "body");
  EXPECT_EQ(d[0].status, 200);
  EXPECT_EQ(d[0].response_body, "answer");
  EXPECT_EQ(d[0].end, HttpEnd::kComplete);
  EXPECT_EQ(d[1].target, "/next");
  EXPECT_EQ(d[1].info.index, 1u);
  EXPECT_EQ(d[1].end, HttpEnd::kComplete);
  EXPECT_EQ(d.Count("http2.upgrades"), 1u);
}

// RFC 7540, 3.2.1: the 101 acknowledges the settings that the request names.
TEST(Http2Connection, TheSettingsOfAnUpgradeHoldFromItsAnswerOn) {
  Driver d;
  Deflater server(16'384);
  server.TableSize(16'384);
  d.Client("GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
           "HTTP2-Settings: AAEAAEAAAAIAAAAA\r\n\r\n");  // HEADER_TABLE_SIZE 16,384, ENABLE_PUSH 0
  d.Server("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + Settings() <<
           server.Headers(1, Status("200", {{"k", string(5'000, 'v')}})) + Data(1, "answer", true));
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].status, 200);
  EXPECT_EQ(d[0].response_body, "answer");
  EXPECT_EQ(d.Count("http2.hpack_failed"), 0u);
}

TEST(Http2Connection, PushGoAwayGrpcAndLateFrames) {
  Http2 d;
  d.Client(d.client.Headers(1, Post("/pkg.Svc/Call", {{"content-type", "application/grpc+proto"}})) +
           Data(1, string("\0\0\0\0\2hi", 7), true));
  d.Server(MakeFrame(5, 4, 1, Be32(2) + d.server.Block(Get("/pushed", {{"added", "by push"}}))) <<
           d.server.Headers(2, Status("200")) + Data(2, "pushed", true) <<
           d.server.Headers(1, Status("200", {{"content-type", "application/grpc+proto"}, {"added", "by push"}})) +
           Data(1, "xx") << d.server.Headers(1, {{"grpc-status", "0"}}, true) + Data(1, "late") +
           MakeFrame(7, 0, 0, Be32(1) + Be32(0) + "bye"));
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].info.request_data_bytes, 7u);
  EXPECT_EQ(d[0].response_fields.back().second, "by push");
  EXPECT_EQ(d[0].end, HttpEnd::kComplete);
  EXPECT_EQ(d.Count("http2.grpc"), 1u);
  EXPECT_EQ(d.Count("http2.push_promised"), 1u);
  EXPECT_EQ(d.Count("http2.pushed_frames"), 2u);
  EXPECT_EQ(d.Count("http2.closed_stream_frames"), 1u);
  EXPECT_EQ(d.Count("http2.goaways"), 1u);
}

TEST(Http2Connection, OneSidedAndTimedOut) {
  Http2 d;
  d.Server(d.server.Headers(5, Status("200")) + Data(5, "no request", true));
  ASSERT_EQ(d.size(), 1u);
  EXPECT_FALSE(d[0].has_request);
  EXPECT_EQ(d[0].response_body, "no request");
  EXPECT_EQ(d.Count("http.request_unseen"), 1u);
  d.Client(d.client.Headers(7, Get("/slow"), true));
  EXPECT_EQ(d.connection->next_deadline_ns(), d.context.time_ns + 600'000'000'000);
  d.context.time_ns += 600'000'000'000;
  d.connection->Tick(d.context);
  EXPECT_EQ(d[1].end, HttpEnd::kTimedOut);
}

TEST(Http2Sniff, TellsHttp2FromItsNeighbours) {
  HttpVersion version;
  const auto sniff = [&](const string& bytes, bool from_client, bool joined) {
    return SniffHttp(AsBytes(bytes), from_client, joined, &version);
  };
  EXPECT_EQ(sniff(Preface(), true, false), HttpSniff::kHttp);
  EXPECT_EQ(version, HttpVersion::kHttp2);
  for (size_t n = 1; n < kHttp2Preface.size(); ++n) {
    EXPECT_EQ(sniff(string(kHttp2Preface.substr(0, n)), true, false), HttpSniff::kNeedMore) << n;
  }
  EXPECT_EQ(sniff(Settings(), false, false), HttpSniff::kHttp);
  EXPECT_EQ(sniff("GET / HTTP/1.1\r\n\r\n", true, false), HttpSniff::kHttp);
  EXPECT_EQ(version, HttpVersion::kHttp1);
  EXPECT_EQ(sniff(string("\x16\x03\x01\x00\x30", 5), true, false), HttpSniff::kNotHttp);
  EXPECT_EQ(sniff("SSH-2.0-OpenSSH", false, false), HttpSniff::kNotHttp);
  Deflater client;
  EXPECT_EQ(sniff(client.Headers(9, Get("/")), true, true), HttpSniff::kHttp);
  EXPECT_EQ(version, HttpVersion::kHttp2Joined);
  EXPECT_EQ(sniff(client.Headers(9, Get("/")), true, false), HttpSniff::kNotHttp);
  EXPECT_EQ(sniff(Settings() + "text that is no frame", false, true), HttpSniff::kNotHttp);
}

}  // namespace
}  // namespace stillwatch::dataplane
