// A client's bytes that its server throws away are not read in the place of those that it takes, and a doubt that was wrong loses none.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/dataplane/flow/worker_driver.h"
#include "tests/dataplane/http/recorder.h"

namespace stillwatch::dataplane {
namespace {

using testing::kA;
using testing::kF;
using testing::kS;
using testing::TcpSegment;
using testing::WorkerDriver;

constexpr uint32_t kClientIsn = 1'000, kServerIsn = 5'000;

std::string Timestamps(uint32_t value, uint32_t echo = 0) {
  std::string option = "\1\1\x08\x0a" + std::string(8, '\0');
  StoreBe32(reinterpret_cast<uint8_t*>(&option[4]), value);
  StoreBe32(reinterpret_cast<uint8_t*>(&option[8]), echo);
  return option;
}

// A connection whose ends write timestamps and scale their windows, unless told otherwise.
class Talk {
 public:
  explicit Talk(WorkerDriver* driver) : driver_(driver) {}

  struct Terms {
    std::string client = std::string("\3\3\7\1", 4) + Timestamps(100), server = client;  // options of the SYNs
    uint16_t window = 10;                                                                 // times 128
  };
  void Handshake(const Terms& terms) {
    window_ = terms.window;
    Send({.seq = kClientIsn, .flags = kS, .options = terms.client});
    SendBack({.seq = kServerIsn, .ack = kClientIsn + 1, .flags = kS | kA, .window = terms.window, .options = terms.server});
    Send({.seq = kClientIsn + 1, .ack = kServerIsn + 1, .options = Timestamps(100)});
  }
  void Handshake() { Handshake(Terms()); }
  // Payload of the client's `at` bytes behind its first.
  TcpSegment Client(uint32_t at, std::string_view payload, uint8_t hops = 64) const {
    return {.seq = kClientIsn + 1 + at, .ack = kServerIsn + 1, .payload = payload, .options = Timestamps(100), .hops = hops};
  }
  // The server says that it has so many bytes.
  void Acknowledge(uint32_t bytes) { SendBack({.seq = kServerIsn + 1, .ack = kClientIsn + 1 + bytes, .window = window_, .options = Timestamps(100)}); }
  void Send(const TcpSegment& segment) { driver_->Frame(BuildFrame(segment)); }
  void SendBack(TcpSegment segment) {
    std::swap(segment.src, segment.dst);
    std::swap(segment.src_port, segment.dst_port);
    Send(segment);
  }

 private:
  WorkerDriver* const driver_;
  uint16_t window_ = 0;
};

// The ways in which a segment is in its place and is thrown away.
struct Forgery {
  const char* how;
  void (*forge)(TcpSegment*);
};
constexpr Forgery kForgeries[] = {
    {"acknowledges what was never sent", [](TcpSegment* s) { s->ack += 1; }},
    {"acknowledges what is long past", [](TcpSegment* s) { s->ack -= 1; }},
    {"acknowledges another connection's bytes", [](TcpSegment* s) { s->ack += 1u << 31; }},
    {"an old timestamp", [](TcpSegment* s) { s->options = Timestamps(99); }},
    {"does not live to arrive", [](TcpSegment* s) { s->hops = 63; }},
};

TEST(DoubtTest, WhatTheReceiverThrowsAwayIsNotRead) {
  for (const Forgery& forgery : kForgeries) {
    SCOPED_TRACE(forgery.how);
    WorkerDriver driver;
    Talk talk(&driver);
    talk.Handshake();
    talk.Send(talk.Client(0, "ab"));
    talk.Acknowledge(2);
    TcpSegment forged = talk.Client(2, "CDEF");
    forgery.forge(&forged);
    talk.Send(forged);
    EXPECT_EQ(driver.flows()[0].client.bytes, "ab");
    talk.Send(talk.Client(2, "cdef"));
    EXPECT_EQ(driver.flows()[0].client.bytes, "abcdef");
    talk.Acknowledge(6);
    driver.Finish();
    EXPECT_EQ(driver.flows()[0].client.bytes, "abcdef");
    EXPECT_EQ(driver.Counter("tcp.doubted"), 1u);
    EXPECT_EQ(driver.Counter("tcp.doubted_taken"), 0u);
    EXPECT_EQ(driver.Counter("tcp.conflicts"), 1u);
    EXPECT_EQ(driver.Counter("tcp.conflict_bytes"), 4u);
  }
}

TEST(DoubtTest, ADoubtThatWasWrongLosesNothing) {
  for (const Forgery& forgery : kForgeries) {
    SCOPED_TRACE(forgery.how);
    WorkerDriver driver;
    Talk talk(&driver);
    talk.Handshake();
    const std::string large(5'000, 'x');
    TcpSegment odd = talk.Client(0, large);
    forgery.forge(&odd);
    talk.Send(odd);
    EXPECT_TRUE(driver.flows().empty());
    talk.Send(talk.Client(5'000, "behind"));
    talk.Acknowledge(5'006);
    EXPECT_EQ(driver.flows()[0].client.bytes, large + "behind");
    EXPECT_EQ(driver.Counter("tcp.gaps"), 0u);
    // Not acknowledged, and not contradicted: its sender has said it, and nobody anything else.
    odd = talk.Client(5'006, "last");
    forgery.forge(&odd);
    odd.hops = std::min<uint8_t>(odd.hops, 62);
    talk.Send(odd);
    EXPECT_EQ(driver.flows()[0].client.bytes, large + "behind");
    driver.Finish();
    EXPECT_EQ(driver.flows()[0].client.bytes, large + "behindlast");
    EXPECT_EQ(driver.Counter("tcp.conflicts"), 0u);
  }
}

TEST(DoubtTest, WhatStandsBehindTheWindowIsReplaced) {
  WorkerDriver driver;
  Talk talk(&driver);
  talk.Handshake();  // a SYN's window is not scaled
  talk.Send(talk.Client(11, "NEVER"));
  talk.Send(talk.Client(0, "0123456789-"));
  talk.Acknowledge(11);  // and now 1,280 bytes
  talk.Send(talk.Client(11, "taken"));
  EXPECT_EQ(driver.flows()[0].client.bytes, "0123456789-taken");
  EXPECT_EQ(driver.Counter("tcp.conflict_bytes"), 5u);
  talk.Send(talk.Client(11 + 1'280, "at the edge"));  // a probe stands there
  talk.Send(talk.Client(11 + 1'281, "BEHIND"));
  EXPECT_EQ(driver.Counter("tcp.doubted"), 2u);
}

TEST(DoubtTest, NothingIsDoubtedByTermsThatWereNotAgreed) {
  struct Case {
    const char* what;
    Talk::Terms terms;
  };
  const std::string scale("\3\3\7\1", 4);
  for (const Case& each : {Case{"the server has no timestamps", {.server = scale}}, Case{"the client has none", {.client = scale}},
                           Case{"a window that is not scaled", {.client = "", .window = 2'000}}}) {
    SCOPED_TRACE(each.what);
    WorkerDriver driver;
    Talk talk(&driver);
    talk.Handshake(each.terms);
    const std::string question(1'000, 'x');  // driven on by both
    TcpSegment segment = talk.Client(0, question);
    segment.options = Timestamps(50);
    talk.Send(segment);
    EXPECT_EQ(driver.flows()[0].client.bytes, question);
    talk.Acknowledge(0);
    talk.Send(talk.Client(each.terms.window == 2'000 ? 2'000 : 10, "x"));
    EXPECT_EQ(driver.Counter("tcp.doubted"), 0u);
  }
}

// Where the receiver is not seen, or where the connection was joined in its middle, it cannot be asked.
TEST(DoubtTest, NothingIsDoubtedThatNobodyCouldConfirm) {
  WorkerDriver driver;
  Talk talk(&driver);
  talk.Send({.seq = kClientIsn, .flags = kS, .options = Talk::Terms().client});
  for (const Forgery& forgery : kForgeries) {
    TcpSegment segment = talk.Client(static_cast<uint32_t>(&forgery - kForgeries), "x");
    forgery.forge(&segment);
    talk.Send(segment);
  }
  EXPECT_EQ(driver.flows()[0].client.bytes, "xxxxx");
  EXPECT_EQ(driver.Counter("tcp.doubted"), 0u);
}

TEST(DoubtTest, NothingIsReadBehindAFin) {
  for (const bool answered : {false, true}) {
    WorkerDriver driver;
    Talk talk(&driver);
    talk.Handshake();
    talk.Send(talk.Client(4, "FORGED", 1));
    talk.Send(talk.Client(0, "1234"));
    TcpSegment fin = talk.Client(4, {});
    fin.flags = kA | kF;
    talk.Send(fin);
    if (answered) talk.Acknowledge(5);
    driver.Finish();
    EXPECT_EQ(driver.flows()[0].client.bytes, "1234");
    EXPECT_TRUE(driver.flows()[0].client.ended);
  }
}

// A proxy answered the handshake with more hops than the sender's packets have left: one acknowledgement shows that these arrive.
TEST(DoubtTest, FewerHopsThatArriveAreDoubtedOnce) {
  WorkerDriver driver;
  Talk talk(&driver);
  talk.Handshake();
  for (uint32_t i = 0; i < 10; ++i) {
    talk.Send(talk.Client(i, "x", 50));
    if (i == 0) talk.Acknowledge(1);
  }
  EXPECT_EQ(driver.flows()[0].client.bytes, std::string(10, 'x'));
  EXPECT_EQ(driver.Counter("tcp.doubted"), 1u);
}

// All that a client sends is in doubt: of two versions the one that had more hops left is read, and nothing proves that the fewer arrive.
TEST(DoubtTest, OfTwoVersionsInDoubtTheOneThatLivesLongerIsRead) {
  WorkerDriver driver;
  Talk talk(&driver);
  talk.Handshake();
  const auto send = [&talk](uint32_t at, std::string_view payload, uint8_t hops) { talk.Send(talk.Client(at, payload, hops)); };
  send(0, "FORGED", 3);
  send(0, "answer", 63);
  talk.Acknowledge(6);
  EXPECT_EQ(driver.flows()[0].client.bytes, "answer");
  EXPECT_EQ(driver.Counter("tcp.conflict_bytes"), 6u);
  // Now 63 are known to suffice. The same bytes twice prove nothing of the copy that was first.
  send(6, "same", 3);
  send(6, "sam", 63);
  send(9, "e", 63);
  talk.Acknowledge(10);
  send(10, "FORGED", 3);
  send(10, "true", 63);
  talk.Acknowledge(14);
  EXPECT_EQ(driver.flows()[0].client.bytes, "answersametrue");
}

TEST(DoubtTest, BytesInDoubtAreBounded) {
  WorkerOptions options = WorkerDriver::SmallOptions();
  options.reassembly_bytes_max = 40 * 2048;
  WorkerDriver driver(options);
  for (int round = 0; round < 3; ++round) {  // what is given back can be taken again
    Talk talk(&driver);
    talk.Handshake();
    for (uint32_t i = 0; i < 100; ++i) {
      talk.Send(talk.Client(i, "x", 1));
    }
    EXPECT_EQ(driver.Counter("tcp.doubted_full"), 68u * static_cast<unsigned>(round + 1));
    talk.Send(talk.Client(0, "y"));
    EXPECT_EQ(driver.Counter("tcp.conflicts"), static_cast<unsigned>(round + 1));
    driver.Finish();
    ASSERT_EQ(driver.flows().size(), static_cast<size_t>(round + 1));
    EXPECT_EQ(driver.flows().back().client.bytes, "y" + std::string(31, 'x'));
  }
}

TEST(DoubtTest, ExchangesOfBytesInTwoVersionsAreAmbiguous) {
  Recorder http;
  WorkerDriver driver(WorkerDriver::SmallOptions(), &http);
  Talk talk(&driver);
  talk.Handshake({.window = 100});
  const std::string first = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  talk.Send(talk.Client(0, first));
  talk.SendBack({.seq = kServerIsn + 1, .ack = kClientIsn + 1 + static_cast<uint32_t>(first.size()), .payload = answer, .options = Timestamps(100)});
  TcpSegment forged = talk.Client(static_cast<uint32_t>(first.size()), "GET /f HTTP/1.1\r\nHost: a\r\n\r\n");
  forged.hops = 1;
  talk.Send(forged);
  talk.Send(talk.Client(static_cast<uint32_t>(first.size()), "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"));
  driver.Finish();
  ASSERT_EQ(http.seen.size(), 2u);
  EXPECT_FALSE(http.seen[0]->info.ambiguous);
  EXPECT_EQ(http.seen[1]->target, "/2");
  EXPECT_TRUE(http.seen[1]->info.ambiguous);
}

// A server that takes and throws away as the RFCs have it, and says after each segment what it has.
class Server {
 public:
  Server(Talk* talk, uint32_t window) : talk_(talk), window_(window) {}

  void OnSegment(const TcpSegment& s, uint32_t timestamp) {
    const uint32_t at = s.seq - kClientIsn - 1;
    const bool arrives = s.hops >= 60;
    const bool acks_sent = static_cast<int32_t>(s.ack - kServerIsn - 1) <= static_cast<int32_t>(sent_) &&
                           static_cast<int32_t>(s.ack - kServerIsn - 1) >= 0;
    if (arrives && acks_sent && at <= has_.size() + window_ && static_cast<int32_t>(recent_ - timestamp) <= 0) {
      if (at <= has_.size()) recent_ = std::max(recent_, timestamp);
      for (uint32_t i = 0; i < s.payload.size(); ++i) early_.try_emplace(at + i, s.payload[i]);
      for (auto next = early_.find(static_cast<uint32_t>(has_.size())); next != early_.end(); next = early_.find(static_cast<uint32_t>(has_.size()))) {
        has_ += next->second;
      }
    }
    if (arrives) Say({});
  }
  void Say(std::string_view payload) {
    talk_->SendBack({.seq = kServerIsn + 1 + sent_, .ack = kClientIsn + 1 + static_cast<uint32_t>(has_.size()),
                     .window = static_cast<uint16_t>(window_ / 128), .payload = payload, .options = Timestamps(100, recent_)});
    sent_ += static_cast<uint32_t>(payload.size());
  }
  uint32_t sent() const { return sent_; }
  const std::string& has() const { return has_; }

 private:
  Talk* const talk_;
  const uint32_t window_;
  uint32_t sent_ = 0, recent_ = 100;
  std::string has_;
  std::map<uint32_t, char> early_;
};

TEST(DoubtTest, WhatIsReadIsWhatTheServerTakes) {
  uint64_t doubted = 0, taken = 0;
  for (uint32_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const bool one_version = seed % 2 == 0;  // of what the server takes: then some of it may be in doubt
    const auto below = [&random](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    WorkerDriver driver;
    Talk talk(&driver);
    const uint32_t window = 128 * (1 + below(20));
    talk.Handshake({.window = static_cast<uint16_t>(window)});
    Server server(&talk, window);
    server.Say({});
    uint32_t clock = 101;
    for (int i = 0; i < 200; ++i) {
      if (below(8) == 0) server.Say("answer");
      clock += below(3);
      const uint32_t has = static_cast<uint32_t>(server.has().size()), far = below(4) == 0 ? window + 300 : 60;
      const uint32_t from = has < 20 ? 0 : has - 20;
      const uint32_t at = from + below(far);
      std::string payload(1 + below(100), static_cast<char>('a' + below(26)));
      TcpSegment segment = talk.Client(at, payload);
      segment.ack = kServerIsn + 1 + server.sent();
      uint32_t timestamp = clock;
      const uint32_t what = below(8);
      if (what == 0) segment.ack += 1 + below(100);
      if (what == 1) segment.ack -= server.sent() + 1 + below(100);
      if (what == 2) segment.hops = static_cast<uint8_t>(1 + below(50));
      if (what == 3) timestamp -= 1 + below(4);  // may still be young enough
      if (what == 4 && one_version) segment.hops = static_cast<uint8_t>(60 + below(4));
      for (uint32_t b = 0; what > 2 && one_version && b < payload.size(); ++b) payload[b] = static_cast<char>('A' + (at + b) % 26);
      segment.payload = payload;
      segment.options = Timestamps(timestamp);
      talk.Send(segment);
      server.OnSegment(segment, timestamp);
      const std::string read = driver.flows().empty() ? "" : driver.flows()[0].client.bytes;
      ASSERT_EQ(read, server.has()) << "after segment " << i;
    }
    taken += server.has().size();
    doubted += driver.Counter("tcp.doubted");
  }
  EXPECT_GT(taken, 100'000u);
  EXPECT_GT(doubted, 20'000u);
}

}  // namespace
}  // namespace stillwatch::dataplane
