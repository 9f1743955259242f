// What a worker does with connections that are not as in the textbook.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/dataplane/flow/worker_driver.h"

namespace stillwatch::dataplane {
namespace {

using testing::kA;
using testing::kF;
using testing::kR;
using testing::kS;
using testing::WorkerDriver;

TEST(WorkerTest, AConnectionFromSynToFin) {
  WorkerDriver driver;
  driver.Handshake();
  driver.C(kA, 1001, 5001, "question");
  driver.S(kA, 5001, 1009, "answer");
  driver.C(kA | kF, 1009, 5007);
  EXPECT_FALSE(driver.flows()[0].client.ended);
  driver.S(kA | kF, 5007, 1010);
  driver.C(kA, 1010, 5008);
  ASSERT_EQ(driver.flows().size(), 1u);
  EXPECT_EQ(driver.flows()[0].client.bytes, "question");
  EXPECT_EQ(driver.flows()[0].server.bytes, "answer");
  EXPECT_TRUE(driver.flows()[0].client.ended && driver.flows()[0].server.ended);
  EXPECT_EQ(driver.Counter("flow.closed"), 1u);
  driver.C(kA | kF, 1009, 5007);  // a late copy
  EXPECT_EQ(driver.Counter("flow.after_close"), 1u);
  EXPECT_EQ(driver.Counter("flow.opened"), 1u);
}

TEST(WorkerTest, AHoleIsSkippedWhenItIsAcknowledgedAndNotBefore) {
  WorkerDriver driver;
  driver.Handshake();
  driver.C(kA, 1001, 5001, "ab");
  driver.C(kA, 1006, 5001, "fg");
  EXPECT_EQ(driver.flows()[0].client.bytes, "ab");
  driver.S(kA, 5001, 1003);
  EXPECT_EQ(driver.flows()[0].client.bytes, "ab");
  driver.S(kA, 5001, 1008);
  EXPECT_EQ(driver.flows()[0].client.bytes, "ab[3]fg");
  driver.C(kA, 1003, 5001, "cde");  // too late
  EXPECT_EQ(driver.flows()[0].client.bytes, "ab[3]fg");
  EXPECT_EQ(driver.Counter("tcp.gaps"), 1u);
  EXPECT_EQ(driver.Counter("tcp.gap_bytes"), 3u);
  // The acknowledgement may come first.
  driver.S(kA, 5001, 1020);
  driver.C(kA, 1015, 5001, "xyz");
  EXPECT_EQ(driver.flows()[0].client.bytes, "ab[3]fg[7]xyz");
}

TEST(WorkerTest, OneSidedHolesAreSkippedAfterTwoSeconds) {
  WorkerDriver driver;
  driver.C(kS, 1000, 0);
  driver.C(kA, 1001, 5001, "ab");
  driver.C(kA, 1006, 5001, "fg");
  driver.Wait(1'500 * kNsPerMs);
  EXPECT_EQ(driver.flows()[0].client.bytes, "ab");
  driver.Wait(2'000 * kNsPerMs);
  EXPECT_EQ(driver.flows()[0].client.bytes, "ab[3]fg");
}

TEST(WorkerTest, HeldBytesAreBoundedForEachFlowAndInAll) {
  WorkerOptions options = WorkerDriver::SmallOptions();
  options.reassembly_flow_bytes_max = 8 * 2048;
  options.reassembly_bytes_max = 12 * 2048;
  WorkerDriver driver(options);
  const std::string segment(1448, 'x');
  driver.Handshake();
  for (uint32_t i = 0; i < 40; ++i) driver.C(kA, 1002 + i * 1448, 5001, segment);
  EXPECT_GT(driver.Counter("tcp.reassembly_full"), 0u);
  EXPECT_EQ(driver.flows()[0].client.gap_bytes, 1u);
  EXPECT_EQ(driver.flows()[0].client.bytes.size(), 3 + 40 * 1448u);  // "[1]" and then in order

  driver.Handshake(1000, 5000, 40001);
  driver.Handshake(1000, 5000, 40002);
  for (uint32_t i = 0; i < 9; ++i) {
    driver.C(kA, 1002 + i * 1448, 5001, segment, 40001);
    driver.C(kA, 1002 + i * 1448, 5001, segment, 40002);
  }
  driver.Finish();
  for (const auto& flow : driver.flows()) EXPECT_EQ(flow.client.gap_bytes, 1u);
}

TEST(WorkerTest, SequenceNumbersWrap) {
  WorkerDriver driver;
  driver.Handshake(0xfffffffc, 0xffffffff);
  driver.C(kA, 3, 0, "ghi");
  driver.C(kA, 0xfffffffd, 0, "abc");
  driver.C(kA, 0, 0, "def");
  driver.S(kA, 0, 6, "answer");
  EXPECT_EQ(driver.flows()[0].client.bytes, "abcdefghi");
  EXPECT_EQ(driver.flows()[0].server.bytes, "answer");
}

TEST(WorkerTest, KeepAliveAndZeroWindowProbesAddNothing) {
  WorkerDriver driver;
  driver.Handshake();
  driver.C(kA, 1001, 5001, "abc");
  driver.C(kA, 1003, 5001, "c");
  driver.C(kA, 1003, 5001, std::string_view("\0", 1));
  driver.C(kA, 1004, 5001, "d");  // the probe of a closed window carries the next byte
  driver.C(kA, 1004, 5001, "def");
  EXPECT_EQ(driver.flows()[0].client.bytes, "abcdef");
  EXPECT_EQ(driver.Counter("tcp.old_segments"), 2u);
}

TEST(WorkerTest, AForgedResetDoesNotBlind) {
  WorkerDriver driver;
  driver.Handshake();
  driver.C(kA, 1001, 5001, "abc");
  driver.C(kR, 1004, 0);
  driver.C(kA, 1004, 5001, "def");
  driver.Wait(5 * kNsPerSecond);
  driver.C(kA, 1007, 5001, "ghi");
  ASSERT_EQ(driver.flows().size(), 1u);
  EXPECT_EQ(driver.flows()[0].client.bytes, "abcdefghi");
  EXPECT_EQ(driver.Counter("flow.reset_contradicted"), 1u);
  driver.S(kR, 0x70000000, 0);
  EXPECT_EQ(driver.Counter("flow.reset_out_of_window"), 1u);
  driver.S(kR, 5001, 0);
  EXPECT_FALSE(driver.flows()[0].client.ended);
  driver.Wait(3'200 * kNsPerMs);
  EXPECT_TRUE(driver.flows()[0].client.ended);
}

TEST(WorkerTest, DataOnItsWayDoesNotKeepAnAbortedConnection) {
  WorkerDriver driver;
  driver.Handshake();
  driver.C(kA, 1001, 5001, "ask");
  driver.S(kA, 5001, 1004, "part ");
  driver.C(kR, 1004, 0);  // the client has enough; the server does not know yet
  driver.S(kA, 5006, 1004, "and more ");
  driver.C(kR, 1004, 0);
  driver.S(kA, 5015, 1004, "and more");
  driver.Wait(3'200 * kNsPerMs);
  EXPECT_TRUE(driver.flows()[0].client.ended);
  EXPECT_EQ(driver.flows()[0].server.bytes, "part and more and more");
  EXPECT_EQ(driver.Counter("flow.reset_contradicted"), 0u);
  driver.S(kA, 5023, 1004, "a straggler");
  EXPECT_EQ(driver.flows().size(), 1u);
}

// A client that sends RSTs its server does not obey, to be forgotten while the model thinks.
TEST(WorkerTest, AResetThatTheServerRefusesOrQuestionsEndsNothing) {
  WorkerDriver driver;
  driver.Handshake();
  driver.C(kA, 1001, 5001, "question");
  driver.S(kA, 5001, 1009);
  driver.C(kR, 1001, 0);  // behind what the server has
  EXPECT_EQ(driver.Counter("flow.reset_out_of_window"), 1u);
  driver.C(kR, 1100, 0);   // in the window, but not the next byte
  driver.S(kA, 5001, 1009);  // so the server asks
  EXPECT_EQ(driver.Counter("flow.reset_contradicted"), 1u);
  driver.Wait(20 * kNsPerSecond);
  driver.S(kA, 5001, 1009, "answer");
  ASSERT_EQ(driver.flows().size(), 1u);
  EXPECT_FALSE(driver.flows()[0].client.ended);
  EXPECT_EQ(driver.flows()[0].server.bytes, "answer");
}

TEST(WorkerTest, ARefusalThatDoesNotNameTheSynIsNone) {
  WorkerDriver driver;
  driver.C(kS, 1000, 0);
  driver.S(kR | kA, 0, 77);
  EXPECT_EQ(driver.Counter("flow.reset_out_of_window"), 1u);
  driver.S(kR | kA, 0, 1001);
  EXPECT_EQ(driver.Counter("flow.reset"), 1u);
}

TEST(WorkerTest, AForgedResetInTheReadersNameDoesNotBlind) {
  WorkerDriver driver;
  driver.Handshake();
  driver.C(kA, 1001, 5001, "ask");
  driver.S(kA, 5001, 1004, "part ");
  driver.C(kR | kA, 1004, 5006);
  driver.C(kA, 1004, 5006);  // was on its way before: it tells nothing
  EXPECT_EQ(driver.Counter("flow.reset_contradicted"), 0u);
  driver.S(kA, 5006, 1004, "and more ");
  driver.C(kA, 1004, 5015);  // whoever acknowledges this has not reset
  EXPECT_EQ(driver.Counter("flow.reset_contradicted"), 1u);
  driver.Wait(5 * kNsPerSecond);
  driver.S(kA, 5015, 1004, "to the end");
  ASSERT_EQ(driver.flows().size(), 1u);
  EXPECT_EQ(driver.flows()[0].server.bytes, "part and more to the end");

  // The same after a pause in which the RST was believed: the acknowledgement makes the next data count again.
  driver.C(kR | kA, 1004, 5025);
  driver.Wait(3'200 * kNsPerMs);
  EXPECT_TRUE(driver.flows()[0].client.ended);
  driver.S(kA, 5025, 1004, "unheard ");
  EXPECT_EQ(driver.flows().size(), 1u);
  driver.C(kA, 1004, 5033);
  driver.S(kA, 5033, 1004, "heard");
  ASSERT_EQ(driver.flows().size(), 2u);
}

TEST(WorkerTest, AForgedFinDoesNotBlind) {
  WorkerDriver driver;
  driver.Handshake();
  driver.C(kA, 1001, 5001, "abc");
  driver.C(kA | kF, 1004, 5001);  // never acknowledged
  driver.C(kA, 1004, 5001, "def");
  driver.S(kA, 5001, 1007);
  EXPECT_EQ(driver.flows()[0].client.bytes, "abcdef");
  EXPECT_EQ(driver.Counter("flow.fin_contradicted"), 1u);
  driver.C(kA | kF, 1007, 5001);
  driver.S(kA, 5001, 1008);
  driver.C(kA, 1007, 5001, "ghi");  // behind an acknowledged one
  EXPECT_EQ(driver.flows()[0].client.bytes, "abcdef");
  EXPECT_EQ(driver.Counter("flow.after_fin"), 1u);
}

// Its reader has had bytes at that place and throws it away (RFC 9293, 3.10.7.4).
TEST(WorkerTest, AFinBehindTheStreamsPlaceDoesNotBlind) {
  WorkerDriver driver;
  driver.Handshake();
  driver.C(kA, 1001, 5001, "abc");
  driver.S(kA, 5001, 1004);
  driver.C(kA | kF, 1002, 5001);
  driver.C(kA | kF, 1001, 5001, "a");
  driver.S(kA, 5001, 1004);
  driver.C(kA, 1004, 5001, "def");
  driver.S(kA, 5001, 1007);
  EXPECT_EQ(driver.flows()[0].client.bytes, "abcdef");
  EXPECT_EQ(driver.Counter("flow.fin_contradicted"), 2u);
  EXPECT_EQ(driver.Counter("flow.after_fin"), 0u);
  // At the end of a hole behind which bytes are held.
  driver.C(kA, 1010, 5001, "jkl");
  driver.C(kA | kF, 1010, 5001);
  driver.C(kA, 1007, 5001, "ghi");
  driver.S(kA, 5001, 1013);
  EXPECT_EQ(driver.flows()[0].client.bytes, "abcdefghijkl");
  EXPECT_EQ(driver.Counter("flow.fin_contradicted"), 3u);
  // The true one, and its last segment once more.
  driver.C(kA | kF, 1013, 5001);
  driver.C(kA | kF, 1010, 5001, "jkl");
  driver.S(kA | kF, 5001, 1014);
  driver.C(kA, 1014, 5002);
  EXPECT_EQ(driver.Counter("flow.fin_contradicted"), 3u);
  EXPECT_EQ(driver.Counter("flow.closed"), 1u);
}

TEST(WorkerTest, PortsAreUsedAgain) {
  WorkerDriver driver;
  driver.Handshake(1000, 5000);
  driver.C(kA, 1001, 5001, "one");
  driver.C(kA | kF, 1004, 5001);
  driver.Handshake(900'000, 7'000'000);
  driver.C(kA, 900'001, 7'000'001, "two");
  driver.Finish();
  ASSERT_EQ(driver.flows().size(), 2u);
  EXPECT_EQ(driver.flows()[0].client.bytes, "one");
  EXPECT_EQ(driver.flows()[1].client.bytes, "two");
  EXPECT_NE(driver.flows()[0].id, driver.flows()[1].id);
}

TEST(WorkerTest, ASynOnALivingFlowCountsOnceTheConnectionFollowsIt) {
  WorkerDriver driver;
  driver.Handshake();
  driver.C(kA, 1001, 5001, "one ");
  driver.S(kA, 5001, 1005, "answer");
  driver.C(kS, 77'000, 0);  // stray: the server would answer with a challenge
  driver.S(kA, 5007, 1005);
  driver.C(kA, 1005, 5007, "more");
  EXPECT_EQ(driver.flows()[0].client.bytes, "one more");
  EXPECT_EQ(driver.Counter("flow.syn_on_live_flow"), 1u);
  driver.C(kS, 99'000, 0);  // and this one is answered
  driver.S(kS | kA, 200, 99'001);
  driver.C(kA, 99'001, 201, "two");
  driver.S(kA, 201, 99'004, "second answer");
  driver.Finish();
  ASSERT_EQ(driver.flows().size(), 2u);
  EXPECT_EQ(driver.flows()[0].client.bytes, "one more");
  EXPECT_EQ(driver.flows()[1].client.bytes, "two");
  EXPECT_EQ(driver.flows()[1].server.bytes, "second answer");
}

// The server refuses the SYN and drops what goes on from it; a watcher that followed would lose the connection.
TEST(WorkerTest, ASynThatIsNotAnsweredIsNotFollowedWhereAnswersAreSeen) {
  for (const uint32_t isn : {99'000u, 1004u}) {  // anywhere, and just before the next byte
    WorkerDriver driver;
    driver.Handshake();
    driver.C(kA, 1001, 5001, "one ");
    driver.S(kA, 5001, 1005);
    driver.C(kS, isn, 0);
    driver.S(kA, 5001, 1005);  // the challenge
    if (isn != 1004) driver.C(kA, isn + 1, 5001, "forged");
    driver.C(kA, 1005, 5001, "two");
    driver.S(kA, 5001, 1008);
    ASSERT_EQ(driver.flows().size(), 1u);
    EXPECT_EQ(driver.flows()[0].client.bytes, "one two");
  }
  WorkerDriver one_sided;
  one_sided.C(kS, 1000, 0);
  one_sided.C(kA, 1001, 5001, "one");
  one_sided.C(kS, 99'000, 0);
  one_sided.C(kA, 99'001, 9001, "two");
  ASSERT_EQ(one_sided.flows().size(), 2u);
  EXPECT_EQ(one_sided.flows()[1].client.bytes, "two");
}

TEST(WorkerTest, ASynSentAgainIsTheSameConnectionAndAnotherNumberABetterOne) {
  WorkerDriver driver;
  driver.C(kS, 1000, 0);
  driver.C(kS, 1000, 0);
  driver.C(kS, 2000, 0);  // given up and tried anew
  driver.S(kS | kA, 5000, 2001);
  driver.C(kA, 2001, 5001, "abc");
  driver.Finish();
  EXPECT_EQ(driver.flows().back().client.bytes, "abc");
  EXPECT_EQ(driver.Counter("tcp.gaps"), 0u);
  EXPECT_EQ(driver.Counter("flow.port_reused"), 1u);
}

TEST(WorkerTest, TheFirstByteIsKnownFromTheOtherSidesHandshake) {
  WorkerDriver driver;
  driver.S(kS | kA, 5000, 1001);  // the SYN was not seen
  driver.C(kA, 1004, 5001, "def");
  driver.C(kA, 1001, 5001, "abc");
  EXPECT_EQ(driver.flows()[0].client.bytes, "abcdef");
  EXPECT_EQ(driver.flows()[0].client_port, 40000);
  driver.C(kS, 1000, 0, {}, 40001);  // here the SYN-ACK was not
  driver.C(kA, 1001, 5001, "x", 40001);
  driver.S(kA, 5004, 1002, "world", 40001);
  driver.S(kA, 5001, 1002, "the", 40001);
  EXPECT_EQ(driver.flows()[1].server.bytes, "theworld");
}

TEST(WorkerTest, InTheMiddleTheClientIsToldByContentElseByPort) {
  WorkerDriver driver;
  driver.Frame(testing::BuildFrame({.src_port = 80, .dst_port = 55555, .seq = 1, .payload = "GET / HTTP/1.1\r\n"}));
  EXPECT_EQ(driver.flows()[0].client_port, 80);
  driver.Frame(testing::BuildFrame({.src_port = 81, .dst_port = 55555, .seq = 1, .payload = "\x01\x02\x03 whatever"}));
  EXPECT_EQ(driver.flows()[1].client_port, 55555);
  EXPECT_EQ(driver.Counter("flow.mid_stream"), 2u);
}

TEST(WorkerTest, HttpIsFoundLaterInAConnectionWhoseBeginningWasMissed) {
  WorkerDriver driver;
  driver.C(kA, 1001, 1, "the tail of some body");
  driver.C(kA, 1022, 1, "POST /v1/messages HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(driver.Counter("flow.http"), 1u);
  driver.Handshake(1, 1, 40001);
  driver.C(kA, 2, 2, "the tail of some body", 40001);  // from a beginning it is no HTTP
  EXPECT_EQ(driver.Counter("flow.not_http"), 1u);
}

TEST(WorkerTest, ProtocolsAreToldFromFirstBytesHoweverTheyAreCut) {
  const std::string request = "GET /index HTTP/1.1\r\n\r\n", hello("\x16\x03\x01\x00\x05hello", 10);
  for (size_t cut = 1; cut < 6; ++cut) {
    WorkerDriver driver;
    driver.Handshake(1, 1);
    for (uint32_t at = 0; at < request.size(); at += static_cast<uint32_t>(cut)) {
      driver.C(kA, 2 + at, 2, std::string_view(request).substr(at, cut));
    }
    driver.Handshake(1, 1, 40001);
    driver.C(kA, 2, 2, hello, 40001);
    EXPECT_EQ(driver.Counter("flow.http"), 1u) << cut;
    EXPECT_EQ(driver.Counter("flow.tls"), 1u);
    EXPECT_EQ(driver.Counter("http.requests"), 1u) << cut;
  }
}

// Two parsers serve any number of connections, as long as no more than two exchanges are open at one time.
TEST(WorkerTest, ParsersAreHeldOnlyWhileAnExchangeIsOpen) {
  WorkerOptions options = WorkerDriver::SmallOptions();
  options.parsers_max = 2;
  WorkerDriver driver(options);
  const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n", answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const auto request_seq = [&](uint32_t round) { return 2 + round * static_cast<uint32_t>(request.size()); };
  const auto answer_seq = [&](uint32_t round) { return 2 + round * static_cast<uint32_t>(answer.size()); };
  for (uint16_t port = 1; port <= 10; ++port) driver.Handshake(1, 1, port);
  for (uint32_t round = 0; round < 3; ++round) {
    for (uint16_t port = 1; port <= 10; ++port) {
      driver.C(kA, request_seq(round), answer_seq(round), request, port);
      driver.S(kA, answer_seq(round), request_seq(round + 1), answer, port);
    }
  }
  EXPECT_EQ(driver.Counter("http.requests"), 30u);
  EXPECT_EQ(driver.Counter("flow.parser_pool_empty"), 0u);
  // With both taken a third waits; it is found again at its next request.
  for (uint16_t port = 1; port <= 3; ++port) driver.C(kA, request_seq(3), answer_seq(3), request, port);
  EXPECT_EQ(driver.Counter("flow.parser_pool_empty"), 1u);
  for (uint16_t port = 1; port <= 3; ++port) driver.S(kA, answer_seq(3), request_seq(4), answer, port);
  driver.C(kA, request_seq(4), answer_seq(4), request, 3);
  driver.S(kA, answer_seq(4), request_seq(5), answer, 3);
  EXPECT_EQ(driver.Counter("http.requests"), 33u);
  driver.Finish();
  uint32_t exchanges = 0;
  for (const FlowRecord& record : driver.records()) exchanges += record.exchanges;
  EXPECT_EQ(exchanges, 33u + 1);  // and a response without its request
}

TEST(WorkerTest, WrongChecksumsAreCountedAndNotReassembled) {
  WorkerDriver driver;
  driver.Handshake();
  std::vector<uint8_t> bad = testing::BuildFrame({.seq = 1001, .ack = 5001, .payload = "bad"});
  bad.back() ^= 1;
  driver.Frame(bad);
  driver.C(kA, 1001, 5001, "good");
  EXPECT_EQ(driver.flows()[0].client.bytes, "good");
  EXPECT_EQ(driver.Counter("packet.bad_tcp_checksum"), 1u);
}

TEST(WorkerTest, FragmentsAreJoined) {
  WorkerDriver driver;
  driver.Handshake();
  const std::string payload(3000, 'f');
  auto fragments = testing::FragmentIpv4(testing::BuildIp({.seq = 1001, .ack = 5001, .payload = payload}), 1024);
  driver.Frame(fragments[2]);
  driver.Frame(fragments[0]);
  driver.Frame(fragments[1]);
  EXPECT_EQ(driver.flows()[0].client.bytes, payload);
  EXPECT_EQ(driver.Counter("fragment.joined"), 1u);
}

TEST(WorkerTest, WhatTheCaptureCutIsSkippedAtOnce) {
  WorkerDriver driver;
  driver.Handshake();
  std::vector<uint8_t> bytes = testing::BuildFrame({.seq = 1001, .ack = 5001, .payload = "0123456789"});
  const uint32_t wire = static_cast<uint32_t>(bytes.size());
  bytes.resize(bytes.size() - 6);
  driver.worker().Look({bytes, wire, 0, driver.number() + 1, driver.now_ns()});
  driver.C(kA, 1011, 5001, "next");
  EXPECT_EQ(driver.flows()[0].client.bytes, "0123[6]next");
  EXPECT_EQ(driver.Counter("tcp.cut_bytes"), 6u);
  driver.Finish();
  ASSERT_EQ(driver.records().size(), 1u);
  EXPECT_EQ(driver.records()[0].steps[0].size_bytes, 10u);
}

TEST(WorkerTest, SilentFlowsEndAndRecordsGoOutBefore) {
  WorkerOptions options = WorkerDriver::SmallOptions();
  options.flow_idle_ns = 300 * kNsPerSecond;
  WorkerDriver driver(options);
  driver.Handshake();
  driver.Wait(20 * kNsPerMs);
  driver.C(kA, 1001, 5001, "question");
  driver.Wait(20 * kNsPerMs);
  driver.S(kA, 5001, 1009, "the answer");
  driver.C(kS, 1, 0, {}, 40001);
  driver.Wait(59 * kNsPerSecond);
  EXPECT_EQ(driver.Counter("flow.timed_out"), 1u);  // the one that never opened
  EXPECT_TRUE(driver.records().empty());
  driver.Wait(3 * kNsPerSecond);
  ASSERT_EQ(driver.records().size(), 1u);
  const FlowRecord& record = driver.records()[0];
  EXPECT_EQ(record.bytes_from_client, 8u);
  EXPECT_EQ(record.bytes_from_server, 10u);
  ASSERT_EQ(record.steps_count, 2u);
  EXPECT_EQ(record.steps[0].from_client, 1);
  EXPECT_EQ(record.steps[1].size_bytes, 10u);
  EXPECT_EQ(record.steps[1].gap_us, 20'000u);
  EXPECT_NE(record.tcp_hash, 0u);
  EXPECT_FALSE(driver.flows()[0].client.ended);
  driver.Wait(240 * kNsPerSecond);
  EXPECT_TRUE(driver.flows()[0].client.ended);
}

TEST(WorkerTest, RoundTripTimeIsTakenFromACleanHandshakeOnly) {
  WorkerDriver driver;
  driver.C(kS, 1000, 0);
  driver.Wait(30 * kNsPerMs);
  driver.S(kS | kA, 5000, 1001);
  driver.Wait(10 * kNsPerMs);
  driver.C(kA, 1001, 5001);
  driver.C(kA, 1001, 5001, "x");
  driver.C(kS, 1000, 0, {}, 40001);
  driver.C(kS, 1000, 0, {}, 40001);
  driver.S(kS | kA, 5000, 1001, {}, 40001);
  driver.C(kA, 1001, 5001, "x", 40001);
  driver.Finish();
  ASSERT_EQ(driver.records().size(), 2u);
  for (const FlowRecord& record : driver.records()) {
    EXPECT_EQ(record.rtt_us, record.client_port == 40000 ? 40'000u : 0u);
  }
}

TEST(WorkerTest, RecordsAreCutAt256Steps) {
  WorkerDriver driver;
  driver.Handshake();
  for (uint32_t i = 0; i < 300; ++i) driver.C(kA, 1001 + i, 5001, "\x01");
  ASSERT_EQ(driver.records().size(), 1u);
  EXPECT_EQ(driver.records()[0].steps_count, 256u);
  driver.Finish();
  ASSERT_EQ(driver.records().size(), 2u);
  EXPECT_EQ(driver.records()[1].steps_count, 44u);
}

TEST(WorkerTest, TlsStepsAreRecords) {
  WorkerDriver driver;
  driver.Handshake();
  const auto record = [](uint8_t type, size_t size) {
    std::string out{static_cast<char>(type), 3, 3, static_cast<char>(size >> 8), static_cast<char>(size)};
    return out + std::string(size, 'x');
  };
  const std::string hello = record(22, 500), data = record(23, 3000) + record(23, 100) + record(21, 2);
  driver.C(kA, 1001, 5001, hello);
  uint32_t at = 1001 + static_cast<uint32_t>(hello.size());
  for (size_t i = 0; i < data.size(); i += 700, at += 700) driver.C(kA, at, 5001, std::string_view(data).substr(i, 700));
  driver.Finish();
  ASSERT_EQ(driver.records().size(), 1u);
  std::vector<uint32_t> sizes;
  for (uint32_t i = 0; i < driver.records()[0].steps_count; ++i) sizes.push_back(driver.records()[0].steps[i].size_bytes);
  EXPECT_EQ(sizes, (std::vector<uint32_t>{505, 3000, 100, 2}));  // the first is a payload: no protocol was known
}

TEST(WorkerTest, AFullTableGivesUpClosedThenOpeningFlowsFirst) {
  WorkerOptions options = WorkerDriver::SmallOptions();
  options.flows_max = 8;
  WorkerDriver driver(options);
  for (uint16_t port = 1; port <= 4; ++port) {
    driver.Handshake(1000, 5000, port);
    driver.C(kA, 1001, 5001, "x", port);
  }
  for (uint16_t port = 100; port < 300; ++port) driver.C(kS, 1, 0, {}, port);
  EXPECT_EQ(driver.Counter("flow.evicted"), 196u);
  for (uint16_t port = 1; port <= 4; ++port) driver.C(kA, 1002, 5001, "y", port);
  driver.Finish();
  size_t whole = 0;
  for (const auto& flow : driver.flows()) whole += flow.client.bytes == "xy";
  EXPECT_EQ(whole, 4u);
}

TEST(WorkerTest, ConflictingCopiesAreCounted) {
  WorkerDriver driver;
  driver.Handshake();
  driver.C(kA, 1004, 5001, "harmless");
  driver.C(kA, 1004, 5001, "attack!!");
  driver.C(kA, 1001, 5001, "ab ");
  EXPECT_EQ(driver.flows()[0].client.bytes, "ab harmless");
  EXPECT_EQ(driver.Counter("tcp.conflicts"), 1u);
  EXPECT_GT(driver.Counter("tcp.conflict_bytes"), 4u);
}

// Two tenants with the same addresses and ports at the same time. Answers of the first come by a VNI of their own.
TEST(WorkerTest, TenantsWithTheSameAddressesAreToldApartByTheClassOfTheirTunnel) {
  const auto play = [](std::vector<TunnelRule> rules) {
    WorkerOptions options = WorkerDriver::SmallOptions();
    options.tunnel_classes = TunnelClasses(std::move(rules));
    WorkerDriver driver(options);
    const auto up = [&](uint32_t vni, std::string_view text) {
      driver.Frame(testing::InVni(vni, {.seq = 1001, .ack = 5001, .payload = text}));
    };
    const auto down = [&](uint32_t vni, std::string_view text) {
      driver.Frame(testing::InVni(vni, {.src = 0x0a000002, .dst = 0x0a000001, .src_port = 80, .dst_port = 40000, .seq = 5001,
                               .ack = 1001, .payload = text}));
    };
    for (const uint32_t vni : {10u, 30u}) driver.Frame(testing::InVni(vni, {.seq = 1000, .flags = kS}));
    up(10, "first asks");
    up(30, "other asks");
    down(20, "to the first");
    down(30, "to the other");
    driver.Finish();
    std::vector<std::string> seen;
    for (const testing::SeenFlow& flow : driver.flows()) seen.push_back(flow.client.bytes + "|" + flow.server.bytes);
    std::sort(seen.begin(), seen.end());
    return seen;
  };
  using enum TunnelKind;
  const std::vector<std::string> apart{"first asks|to the first", "other asks|to the other"};
  EXPECT_EQ(play({{kVni, 10, 10, 1}, {kVni, 20, 20, 1}, {kVni, 30, 30, 2}}), apart);
  EXPECT_EQ(play({{kVni, 10, 20, 1}}), apart);  // what nobody names is a class, too
  EXPECT_EQ(play({{kVni, 10, 20, 1}, {kVni, 0, 0xffffff, 0, true}}), apart);  // the first rule counts
  EXPECT_EQ(play({{kVni, 0, 0xffffff, 0, true}}).size(), 3u);  // both directions must be of one class
  EXPECT_EQ(play({{kTeid, 10, 20, 1}}).size(), 1u);
  EXPECT_EQ(play({}).size(), 1u);
}

// RFC 7413: the SYN carries the request, the SYN-ACK the answer's first bytes; and what the server did not take is sent again.
TEST(WorkerTest, DataInASynIsTheStreamsBeginning) {
  WorkerDriver driver;
  driver.C(kS, 1000, 0, "GET / HTTP/1.1\r\n");
  driver.S(kS | kA, 5000, 1017, "HTTP/1.1 200 OK\r\n");
  driver.C(kA, 1017, 5018, "Host: a\r\n\r\n");
  driver.S(kA, 5018, 1028, "Content-Length: 0\r\n\r\n");
  // Refused: only the SYN was acknowledged.
  driver.C(kS, 1000, 0, "GET / HTTP/1.1\r\n", 40001);
  driver.S(kS | kA, 5000, 1001, {}, 40001);
  driver.C(kA, 1001, 5001, "GET / HTTP/1.1\r\nHost: b\r\n\r\n", 40001);
  driver.Finish();
  ASSERT_EQ(driver.flows().size(), 2u);
  EXPECT_EQ(driver.flows()[0].client.bytes, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(driver.flows()[0].server.bytes, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(driver.flows()[1].client.bytes, "GET / HTTP/1.1\r\nHost: b\r\n\r\n");
}

// An urgent byte stays where it stands, as for a reader with SO_OOBINLINE and in tshark.
// Whoever writes what his server throws away is not read by it instead of what it takes.
TEST(WorkerTest, WhatItsReceiverDropsIsNotRead) {
  WorkerDriver driver;
  driver.C(0, 1001, 0, "HTTP/1.1 200 before anything");
  driver.Handshake();
  driver.C(0, 1001, 0, "forged");            // without ACK (RFC 9293, 3.10.7.4)
  driver.C(kF, 1001, 0, "forged");
  driver.C(kS, 1000, 0, "abc");              // its own SYN again, with data
  driver.C(kS | kA, 1003, 5001, "forged");   // in a SYN that does not begin the stream (RFC 5961, 4.2)
  driver.C(kS, 1003, 5001, "forged");
  driver.C(kA, 1001, 5001, "abcdef");
  driver.S(kA, 5001, 1007);
  driver.C(kA | kF, 1007, 5001);
  driver.S(kA | kF, 5001, 1008);
  driver.C(kA, 1008, 5002);
  ASSERT_EQ(driver.flows().size(), 1u);
  EXPECT_EQ(driver.flows()[0].client.bytes, "abcdef");
  EXPECT_EQ(driver.flows()[0].client_port, 40000);
  EXPECT_EQ(driver.Counter("tcp.unacceptable"), 5u);
  EXPECT_EQ(driver.Counter("flow.closed"), 1u);
}

TEST(WorkerTest, UrgentDataIsDataInItsPlace) {
  WorkerDriver driver;
  driver.Handshake();
  driver.C(kA | 0x20, 1001, 5001, "before!");
  driver.C(kA, 1008, 5001, "after");
  driver.Finish();
  ASSERT_EQ(driver.flows().size(), 1u);
  EXPECT_EQ(driver.flows()[0].client.bytes, "before!after");
}

// Where flows go is another at each start; what is told of them is not.
TEST(WorkerTest, ABootSeedMovesFlowsAndChangesNothingOfThem) {
  const auto play = [](uint64_t boot_seed) {
    WorkerOptions options = WorkerDriver::SmallOptions();
    options.boot_seed = boot_seed;
    WorkerDriver driver(options);
    for (uint16_t port = 40'000; port < 40'020; ++port) {
      driver.Handshake(1000, 5000, port);
      driver.C(kA, 1001, 5001, "question", port);
    }
    driver.Finish();
    std::map<uint64_t, uint64_t> hash_of;
    for (const FlowRecord& record : driver.records()) hash_of[record.flow_id] = record.order.flow_hash;
    return hash_of;
  };
  const auto none = play(0), again = play(0), one = play(1), other = play(2);
  ASSERT_EQ(none.size(), 20u);
  EXPECT_EQ(none, again);
  for (const auto& [flow_id, hash] : none) {
    ASSERT_TRUE(one.contains(flow_id) && other.contains(flow_id));
    EXPECT_NE(one.at(flow_id), hash);
    EXPECT_NE(one.at(flow_id), other.at(flow_id));
  }
}

// Packets of many flows through one worker, and spread over three that get the same ticks: the same records in
// the same order of packet, flow and index.
TEST(WorkerTest, RecordsDoNotDependOnHowFlowsAreSpread) {
  struct Made {
    std::vector<uint8_t> bytes;
    int64_t time_ns;
    size_t owner;
  };
  std::mt19937 random(31);
  std::vector<Made> packets;
  std::vector<uint32_t> next(40, 1);
  int64_t now_ns = 1'700'000'000 * kNsPerSecond;
  for (int i = 0; i < 4000; ++i) {
    now_ns += static_cast<int64_t>(random() % (i % 500 == 0 ? 70'000 : 60)) * kNsPerMs;
    const uint32_t flow = random() % 40;
    testing::TcpSegment segment{.src = 0x0a000100 + flow, .seq = next[flow], .ack = 1};
    const std::string payload(1 + random() % 50, '\1');
    segment.payload = payload;
    if (random() % 40 == 0) segment.flags = kR;
    if (random() % 40 == 0) segment.flags = kS;
    if (random() % 10 != 0) next[flow] += static_cast<uint32_t>(payload.size());
    packets.push_back({testing::BuildFrame(segment), now_ns, flow % 3});
  }
  const auto replay = [&](size_t workers) {
    testing::NullHttp http;
    std::vector<testing::RecordKeeper> outputs(workers);
    std::vector<std::unique_ptr<Worker>> all;
    WorkerOptions options = WorkerDriver::SmallOptions();
    options.flow_idle_ns = 100 * kNsPerSecond;
    for (testing::RecordKeeper& output : outputs) all.push_back(MakeWorker(options, &http, &output));
    int64_t next_tick = 0;
    uint64_t number = 0;
    for (const Made& packet : packets) {
      ++number;
      if (packet.time_ns >= next_tick) {
        for (auto& worker : all) worker->Tick(number, packet.time_ns);
        next_tick = packet.time_ns + 100 * kNsPerMs;
      }
      const Frame frame{packet.bytes, static_cast<uint32_t>(packet.bytes.size()), 0, number, packet.time_ns};
      all[packet.owner % workers]->Look(frame);
    }
    for (auto& worker : all) worker->Finish(number + 1, now_ns);
    std::vector<FlowRecord> records;
    for (const testing::RecordKeeper& output : outputs) {
      // The merger rests on this order.
      const auto ordered = [](const FlowRecord& a, const FlowRecord& b) { return a.order < b.order; };
      EXPECT_TRUE(std::is_sorted(output.records.begin(), output.records.end(), ordered));
      records.insert(records.end(), output.records.begin(), output.records.end());
    }
    std::stable_sort(records.begin(), records.end(),
                     [](const FlowRecord& a, const FlowRecord& b) { return a.order < b.order; });
    std::string text;
    for (const FlowRecord& record : records) {
      text += std::to_string(record.order.packet) + " " + std::to_string(record.flow_id) + " " +
              std::to_string(record.steps_count) + " " + std::to_string(record.bytes_from_client) + " " +
              std::to_string(record.last_ns) + "\n";
    }
    return text;
  };
  const std::string one = replay(1);
  EXPECT_GT(std::count(one.begin(), one.end(), '\n'), 100);
  EXPECT_EQ(one, replay(3));
  EXPECT_EQ(one, replay(2));
}

}  // namespace
}  // namespace stillwatch::dataplane
