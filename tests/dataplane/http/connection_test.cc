// HTTP/1 by the rules of RFC 9110 and 9112, one behaviour a test.
#include <gtest/gtest.h>

#include "tests/dataplane/http/recorder.h"

namespace stillwatch::dataplane {
namespace {

using std::string;

TEST(HttpConnection, KeepAliveTransactionsInOrder) {
  Driver d;
  d.Client("GET /a HTTP/1.1\r\nHost: one\r\nX:  y \r\n\r\n");
  d.Server("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
  d.Client("POST /b HTTP/1.1\r\nhost: two\r\nContent-Length: 4\r\n\r\nbody");
  d.Server("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[0].target, "/a");
  EXPECT_EQ(d[0].request_fields.at(1), (std::pair<string, string>("X", "y")));
  EXPECT_EQ(d[0].response_body, "abc");
  EXPECT_EQ(d[1].host, "two");
  EXPECT_EQ(d[1].request_body, "body");
  EXPECT_EQ(d[1].status, 404);
  for (size_t i : {0, 1}) {
    EXPECT_TRUE(d[i].ended);
    EXPECT_EQ(d[i].end, HttpEnd::kComplete);
    EXPECT_FALSE(d[i].info.ambiguous);
    EXPECT_EQ(d[i].info.index, i);
  }
  EXPECT_EQ(d.Count("http.requests"), 2u);
  EXPECT_EQ(d.Count("http.transactions"), 2u);
}

// RFC 9112, 3.2.2: the target's authority is the host.
TEST(HttpConnection, AnAbsoluteTargetNamesTheHost) {
  Driver d;
  d.Client("GET http://user@one:80/a HTTP/1.1\r\nHost: one:80\r\n\r\nGET http://two HTTP/1.1\r\nHost: other\r\n\r\n"
           "GET http://Three/ HTTP/1.1\r\nHost: three:80\r\n\r\nGET http://four/ HTTP/1.0\r\n\r\n");
  d.Close();
  ASSERT_EQ(d.size(), 4u);
  EXPECT_EQ(d[0].host, "one:80");
  EXPECT_FALSE(d[0].info.ambiguous);
  EXPECT_EQ(d[1].host, "two");
  EXPECT_TRUE(d[1].info.ambiguous);
  EXPECT_EQ(d[2].host, "Three");
  EXPECT_FALSE(d[2].info.ambiguous);
  EXPECT_EQ(d[3].host, "four");
}

TEST(HttpConnection, PipelinedRequestsMeetTheirResponsesInOrder) {
  Driver d;
  d.Client("GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n");
  d.Server("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
           "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n");
  ASSERT_EQ(d.size(), 3u);
  EXPECT_EQ(d[0].response_body, "x");
  EXPECT_EQ(d[1].method, "HEAD");
  EXPECT_EQ(d[1].response_body, "");
  EXPECT_EQ(d[2].status, 204);
  for (size_t i : {0, 1, 2}) EXPECT_EQ(d[i].end, HttpEnd::kComplete);
}

TEST(HttpConnection, ChunkedWithExtensionsAndTrailers) {
  Driver d;
  d.Client("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c=\"x;\\\"y\"\r\nhello\r\n0000006\r\n"
           " world\r\n0;last\r\nX-Sum: 1\r\n\r\nGET /next HTTP/1.1\r\n\r\n");
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[0].request_body, "hello world");
  EXPECT_TRUE(d[0].request_ended);
  EXPECT_EQ(d[1].target, "/next");
  d.Close();
  EXPECT_FALSE(d[0].info.ambiguous);
  EXPECT_EQ(d[0].info.request_body_bytes, 11u);
}

TEST(HttpConnection, InterimResponsesArePassedOver) {
  Driver d;
  d.Client("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  d.Server("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
  d.Client("ab");
  d.Server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].status, 200);
  EXPECT_EQ(d[0].request_body, "ab");
  EXPECT_EQ(d.Count("http.interim"), 2u);
}

TEST(HttpConnection, FinalAnswerBeforeTheBodyWasSent) {
  Driver d;
  d.Client("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  d.Server("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
  EXPECT_FALSE(d[0].ended);
  d.Client("ab");
  EXPECT_TRUE(d[0].ended);
  EXPECT_EQ(d[0].end, HttpEnd::kComplete);
}

TEST(HttpConnection, BodyUntilClose) {
  Driver d;
  d.Client("GET / HTTP/1.0\r\n\r\n");
  d.Server("HTTP/1.0 200 OK\r\n\r\nall of");
  d.Server(" it");
  EXPECT_FALSE(d[0].ended);
  d.connection->End(d.context, false);
  EXPECT_EQ(d[0].end, HttpEnd::kComplete);
  EXPECT_EQ(d[0].response_body, "all of it");
  EXPECT_TRUE(d[0].info.response_complete);
}

TEST(HttpConnection, ResetEndsOpenTransactionsOnce) {
  Driver d;
  d.Client("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
  d.Server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  d.Close();
  d.Close();
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[0].end, HttpEnd::kFlowEnded);
  EXPECT_FALSE(d[0].info.response_complete);
  EXPECT_EQ(d[0].info.response_body_bytes, 3u);
  EXPECT_EQ(d[1].end, HttpEnd::kFlowEnded);
  EXPECT_FALSE(d.recorder.ended_twice);
}

TEST(HttpConnection, UpgradeEndsHttp) {
  Driver d;
  d.Client("GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  d.Client("\x81\x85 frames that came early");
  d.Server("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello");
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].end, HttpEnd::kUpgraded);
  EXPECT_EQ(d[0].status, 101);
  EXPECT_TRUE(d.connection->finished());
}

TEST(HttpConnection, RefusedUpgradeGoesOn) {
  Driver d;
  d.Client("GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
  d.Server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  d.Client("GET /next HTTP/1.1\r\n\r\n");
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[0].end, HttpEnd::kComplete);
  EXPECT_EQ(d[1].target, "/next");
}

TEST(HttpConnection, ConnectTunnelsAreOpaqueUnlessTheyCarryHttp) {
  Driver d;
  d.Client("CONNECT host:443 HTTP/1.1\r\nHost: host:443\r\n\r\n");
  d.Server("HTTP/1.1 200 Connection established\r\n\r\n");
  d.Client("\x16\x03\x01 a TLS record");
  d.Server("\x16\x03\x03");
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].end, HttpEnd::kUpgraded);
  EXPECT_TRUE(d.connection->finished());

  Driver http;
  http.Client("CONNECT host:80 HTTP/1.1\r\n\r\n");
  http.Server("HTTP/1.1 200 OK\r\n\r\n");
  http.Client("GET /inside HTTP/1.1\r\n\r\n");
  http.Server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  ASSERT_EQ(http.size(), 2u);
  EXPECT_EQ(http[1].target, "/inside");
  EXPECT_EQ(http[1].response_body, "ok");
}

// Found by fuzz_http.
TEST(HttpConnection, HalfAHeadBeforeATunnelOpensSaysNothingOfWhatComesThroughIt) {
  Driver d;
  d.Client("CONNECT host:443 HTTP/1.1\r\n\r\n");
  d.Client("GET /early HTTP/1.1\r\nHo");
  d.Server("HTTP/1.1 200 OK\r\n\r\n");
  d.FeedBytewise(true, "Greetings of another protocol\r\n\r\n");
  EXPECT_EQ(d.size(), 1u);
  EXPECT_EQ(d.Count("http.requests"), 1u);
  EXPECT_EQ(d.Count("http.not_http_line"), 1u);
}

TEST(HttpConnection, OneSidedTraffic) {
  Driver responses;
  responses.Server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n");
  ASSERT_EQ(responses.size(), 2u);
  EXPECT_FALSE(responses[0].has_request);
  EXPECT_EQ(responses[0].response_body, "ok");
  EXPECT_EQ(responses[1].status, 429);
  EXPECT_TRUE(responses[1].ended);
  EXPECT_EQ(responses.Count("http.request_unseen"), 2u);

  Driver requests;
  requests.Client("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
  requests.Close();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_FALSE(requests[1].has_response);
  EXPECT_TRUE(requests[1].info.request_complete);
}

TEST(HttpConnection, TimeoutsEndTheTransactionButKeepTheMatching) {
  Driver d;
  d.context.time_ns = 1'000;
  d.Client("GET /slow HTTP/1.1\r\n\r\n");
  EXPECT_EQ(d.connection->next_deadline_ns(), 1'000 + 600 * int64_t{1'000'000'000});
  d.Client("GET /next HTTP/1.1\r\n\r\n");
  d.context.time_ns = d.connection->next_deadline_ns() - 1;
  d.connection->Tick(d.context);
  EXPECT_FALSE(d[0].ended);
  d.context.time_ns += 1;
  d.connection->Tick(d.context);
  EXPECT_EQ(d[0].end, HttpEnd::kTimedOut);
  EXPECT_EQ(d[1].end, HttpEnd::kTimedOut);
  EXPECT_EQ(d.connection->next_deadline_ns(), INT64_MAX);
  d.Client("GET /third HTTP/1.1\r\n\r\n");
  d.Server("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3");
  EXPECT_EQ(d[2].response_body, "3");
  EXPECT_FALSE(d.recorder.ended_twice);
}

TEST(HttpConnection, DeclinedTransactionsAreFramedButNotDelivered) {
  Driver d;
  d.recorder.decline = true;
  d.Client("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloPOST /2 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
  EXPECT_EQ(d.size(), 0u);
  EXPECT_EQ(d.Count("http.requests"), 2u);
  EXPECT_EQ(d.recorder.log.find("body"), string::npos);
}

// ---- gaps

TEST(HttpConnection, AGapInABodyOfKnownLengthGoesOn) {
  Driver d;
  d.Client("GET / HTTP/1.1\r\n\r\n");
  d.Server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  d.connection->Gap(d.context, false, 4);
  d.Server("xyzHTTP/1.1 100 Continue\r\n\r\n");
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].response_body, "abcxyz");
  EXPECT_TRUE(d[0].info.gap);
  EXPECT_EQ(d[0].end, HttpEnd::kComplete);
  EXPECT_EQ(d.Count("http.gap_in_body"), 1u);
  EXPECT_EQ(d.Count("http.interim"), 1u);
}

TEST(HttpConnection, AGapInAChunkGoesOn) {
  Driver d;
  d.Client("GET / HTTP/1.1\r\n\r\n");
  d.Server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nabc");
  d.connection->Gap(d.context, false, 7);
  d.Server("\r\n0\r\n\r\n");
  EXPECT_EQ(d[0].response_body, "abc");
  EXPECT_TRUE(d[0].info.gap);
  EXPECT_EQ(d[0].end, HttpEnd::kComplete);
}

TEST(HttpConnection, AGapOverTheBodysEndResynchronises) {
  Driver d;
  d.Client("POST /1 HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc");
  d.connection->Gap(d.context, true, 100);
  d.Client("-lost end of a head: x\r\n\r\nGET /found HTTP/1.1\r\nHost: h\r\n\r\n");
  d.Close();
  ASSERT_EQ(d.size(), 2u);
  EXPECT_TRUE(d[0].info.gap);
  EXPECT_EQ(d[1].target, "/found");
  EXPECT_TRUE(d[1].info.ambiguous);
  EXPECT_EQ(d.Count("http.resynchronised"), 1u);
}

TEST(HttpConnection, MidStreamStartsAreSearchedForTheNextHead) {
  Driver d;
  d.Client("rest of a body {\"GET\": 1}\r\nPOST /a HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
  d.Server("some bodyHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].target, "/a");
  EXPECT_EQ(d[0].status, 200);
  EXPECT_TRUE(d[0].info.ambiguous);
}

TEST(HttpConnection, AnAnswerBehindALostOneIsNotTakenForIt) {
  // Clients wait for an answer before they ask again, so what is found belongs to the last request.
  Driver d;
  d.Client("GET /1 HTTP/1.1\r\n\r\n");
  d.Client("GET /2 HTTP/1.1\r\n\r\n");
  d.connection->Gap(d.context, false, 100);  // the whole answer to /1
  d.Server("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
  d.Client("GET /3 HTTP/1.1\r\n\r\n");
  d.Server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthree");
  ASSERT_EQ(d.size(), 3u);
  EXPECT_FALSE(d[0].has_response);
  EXPECT_TRUE(d[0].ended);
  EXPECT_TRUE(d[0].info.gap);
  EXPECT_TRUE(d[0].info.ambiguous);
  EXPECT_EQ(d[1].response_body, "two");
  EXPECT_TRUE(d[1].info.ambiguous);
  EXPECT_EQ(d[2].response_body, "three");
  EXPECT_FALSE(d[2].info.ambiguous);
}

TEST(HttpConnection, AnAnswerWhoseHeadIsTooLargeShiftsNoOther) {
  Driver d;
  d.Client("GET /1 HTTP/1.1\r\n\r\n");
  d.Server("HTTP/1.1 200 OK\r\nX: " + string(100'000, 'x') + "\r\nContent-Length: 0\r\n\r\n");
  d.Client("GET /2 HTTP/1.1\r\n\r\n");
  d.Server("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
  ASSERT_EQ(d.size(), 2u);
  EXPECT_FALSE(d[0].has_response);
  EXPECT_EQ(d[1].response_body, "two");
}

TEST(HttpConnection, AnInterimAnswerFoundBySearchingMarksTheFinalOne) {
  Driver d;
  d.Client("GET / HTTP/1.1\r\n\r\n");
  d.connection->Gap(d.context, false, 100);
  d.Server("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(d[0].info.ambiguous);
  EXPECT_EQ(d.Count("http.resynchronised"), 1u);
}

// ---- what must be called ambiguous

struct Vector {
  const char* name;
  const char* bytes;
  const char* counter;
};
class Smuggling : public testing::TestWithParam<Vector> {};

TEST_P(Smuggling, IsMarkedAndNamed) {
  Driver d;
  d.Client(GetParam().bytes);
  d.Close();
  ASSERT_GE(d.size(), 1u);
  EXPECT_TRUE(d[0].flagged());
  EXPECT_GE(d.Count(GetParam().counter), 1u);
}

constexpr Vector kVectors[] = {
    {"ClTe", "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "http.length_and_transfer"},
    {"ClCl", "POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
     "http.length_conflict"},
    {"ClSame", "POST / HTTP/1.1\r\nContent-Length: 2, 2\r\n\r\nab", "http.length_repeated"},
    {"ClComma", "POST / HTTP/1.1\r\nContent-Length: 2,\r\n\r\nab", "http.length_invalid"},
    {"ClSign", "POST / HTTP/1.1\r\nContent-Length: +2\r\n\r\nab", "http.length_invalid"},
    {"ClHuge", "POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\nab",
     "http.length_invalid"},
    {"TeUnknown", "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
     "http.transfer_unknown"},
    {"TeParameter", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
     "http.transfer_unknown"},
    {"TeTwice", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
     "http.transfer_not_final"},
    {"TeNotLast", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
     "http.transfer_not_final"},
    {"TeHttp10", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "http.transfer_in_http10"},
    {"SpaceColon", "POST / HTTP/1.1\r\nContent-Length : 2\r\n\r\nab", "http.space_before_colon"},
    {"BareLf", "GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", "http.bare_lf"},
    {"BareCr", "GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", "http.bare_cr"},
    {"Control", "GET / HTTP/1.1\r\nA: b\x01\r\n\r\n", "http.control_in_head"},
    {"Fold", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "http.obs_fold"},
    {"SpaceFirst", "GET / HTTP/1.1\r\n A: b\r\n\r\n", "http.space_before_fields"},
    {"NoColon", "GET / HTTP/1.1\r\nHello\r\n\r\n", "http.field_name"},
    {"Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "http.host_repeated"},
    {"HostNotOfTarget", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", "http.host_repeated"},
    {"Target", "GET * HTTP/1.1\r\n\r\n", "http.target_form"},
    {"Version", "GET / HTTP/1.9\r\n\r\n", "http.start_line"},
    {"ChunkBlank", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
     "http.chunk_syntax"},
    {"ChunkLf", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x\na\r\n0\r\n\r\n",
     "http.bare_lf"},
    {"ChunkBad", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1x\r\na\r\n0\r\n\r\n",
     "http.chunk_malformed"},
    {"ChunkOverflow",
     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n",
     "http.chunk_malformed"},
    {"Trailer", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 4\r\n\r\n",
     "http.trailer_forbidden"},
};
INSTANTIATE_TEST_SUITE_P(Vectors, Smuggling, testing::ValuesIn(kVectors),
                         [](const auto& i) { return i.param.name; });

TEST(HttpConnection, AnUnknowableLengthIsNeverGuessed) {
  Driver d;
  d.Client("POST /1 HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"
           "GET /2 HTTP/1.1\r\n\r\n");
  d.Close();
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[0].request_body, "");
  EXPECT_EQ(d[0].end, HttpEnd::kMalformed);
  EXPECT_EQ(d[1].target, "/2");
  EXPECT_TRUE(d[1].info.ambiguous);
}

TEST(HttpConnection, TransferEncodingWinsOverLengthAsTheStandardSays) {
  Driver d;
  d.Client("POST /1 HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
           "GET /2 HTTP/1.1\r\n\r\n");
  d.Close();
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[0].request_body, "hello");
  EXPECT_TRUE(d[0].info.ambiguous);
  EXPECT_EQ(d[1].target, "/2");
  EXPECT_FALSE(d[1].info.ambiguous);
}

// ---- bounds

TEST(HttpConnection, AHeadThatNeverEndsIsDropped) {
  Driver d;
  d.Client("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 5'000; ++i) d.Client("X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
  EXPECT_EQ(d.size(), 0u);
  EXPECT_EQ(d.Count("http.head_too_large"), 1u);
  d.Client("\r\nGET /after HTTP/1.1\r\n\r\n");
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].target, "/after");
}

// Each place where a head may begin was tried to the line's end: 45 ms for 60 KiB of them.
TEST(HttpConnection, ALineOfManyBeginningsIsNotTriedAtEach) {
  string line;
  while (line.size() < 60'000) line += "GET /";
  Driver d;
  d.FeedBytewise(true, line + " x x\n");
  EXPECT_LE(d.Count("http.not_http_line"), 3u);
  EXPECT_EQ(d.size(), 0u);
  // The last may be HTTP/0.9, and a version at the end makes one of the first.
  d.FeedBytewise(true, "GET " + line + "last\n");
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].target, "/last");
  d.FeedBytewise(true, "@ x POST /a GET /b HTTP/1.1\r\n\r\n");
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[1].method, "POST");
}

TEST(HttpConnection, NothingLikeHttpIsGivenUp) {
  HttpLimits limits = Driver::SmallLimits();
  limits.resync_bytes_max = 10'000;
  Driver d(limits);
  for (int i = 0; i < 20; ++i) d.Client(string(1'000, 'x') + "\n");
  EXPECT_TRUE(d.connection->finished());
  EXPECT_EQ(d.Count("http.gave_up"), 1u);
}

TEST(HttpConnection, ABodyCutByTheFlowsEndIsCounted) {
  Driver d;
  d.Client("POST / HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\nthe front");
  d.Server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel");
  EXPECT_EQ(d.Count("http.body_truncated"), 0u);
  d.Close();
  EXPECT_EQ(d.Count("http.body_truncated"), 2u);
  Driver whole;
  whole.Client("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
  whole.Server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  whole.Close();
  EXPECT_EQ(whole.Count("http.body_truncated"), 0u);
}

TEST(HttpConnection, PipelinesAreBounded) {
  Driver d;
  for (int i = 0; i < 128; ++i) d.Client("GET / HTTP/1.1\r\n\r\n");
  EXPECT_FALSE(d.connection->finished());
  d.Client("GET / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(d.connection->finished());
  EXPECT_EQ(d.Count("http.pipeline_too_deep"), 1u);
  EXPECT_EQ(d.size(), 128u);
  for (size_t i = 0; i < 128; ++i) EXPECT_TRUE(d[i].ended);
}

TEST(HttpConnection, AnUnseenRequestWithoutARecordIsNoDeepPipeline) {
  HttpLimits limits = Driver::SmallLimits();
  limits.transactions_max = 1;
  Driver d(limits);
  d.Client("GET / HTTP/1.1\r\n\r\n");
  const auto other = MakeHttpConnection(d.shared.get());
  DecodeBudget budget;
  other->Feed(d.context, false, AsBytes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), &budget);
  EXPECT_EQ(d.Count("http.transactions_empty"), 1u);
  EXPECT_EQ(d.Count("http.pipeline_too_deep"), 0u);
}

TEST(HttpConnection, ConnectionsBeyondThePoolStillWork) {
  Driver d;
  std::vector<std::unique_ptr<HttpConnection>> more;
  for (int i = 0; i < 10; ++i) more.push_back(MakeHttpConnection(d.shared.get()));
  DecodeBudget budget;
  for (auto& c : more) c->Feed(d.context, true, AsBytes("GET / HTTP/1.1\r\n\r\n"), &budget);
  EXPECT_EQ(d.size(), 10u);
}

TEST(HttpSniff, ByContent) {
  const auto client = [](std::string_view s) { return SniffHttp1(AsBytes(s), true); };
  const auto server = [](std::string_view s) { return SniffHttp1(AsBytes(s), false); };
  EXPECT_EQ(client(""), HttpSniff::kNeedMore);
  EXPECT_EQ(client("\r\nPO"), HttpSniff::kNeedMore);
  EXPECT_EQ(client("POST /"), HttpSniff::kHttp);
  EXPECT_EQ(client("GET http://a/ HTTP/1.1\r\n"), HttpSniff::kHttp);
  EXPECT_EQ(client("PROPFIND / HTTP/1.1\r\n"), HttpSniff::kHttp);
  EXPECT_EQ(client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HttpSniff::kNotHttp);
  EXPECT_EQ(client("OPTIONS rtsp://h/ RTSP/1.0\r\n"), HttpSniff::kNotHttp);
  EXPECT_EQ(client("GET key\r\n"), HttpSniff::kNotHttp);
  EXPECT_EQ(client("\x16\x03\x01"), HttpSniff::kNotHttp);
  EXPECT_EQ(server("HTT"), HttpSniff::kNeedMore);
  EXPECT_EQ(server("HTTP/1.1"), HttpSniff::kHttp);
  EXPECT_EQ(server("220 smtp"), HttpSniff::kNotHttp);
}

}  // namespace
}  // namespace stillwatch::dataplane
