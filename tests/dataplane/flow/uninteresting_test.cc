// Which connections a worker tells as uninteresting: only those in which it looks for nothing any more.
#include <gtest/gtest.h>

#include "tests/dataplane/flow/worker_driver.h"

namespace stillwatch::dataplane {
namespace {

using testing::kA;
using testing::kF;
using testing::kS;
using testing::WorkerDriver;

WorkerOptions Passing() {
  WorkerOptions options = WorkerDriver::SmallOptions();
  options.pass_uninteresting = true;
  return options;
}

// A connection whose two ends speak in turn.
class Talk {
 public:
  explicit Talk(WorkerDriver* driver, uint16_t port = 40'000) : driver_(driver), port_(port) {
    driver_->Handshake(client_ - 1, server_ - 1, port_);
  }
  void Client(std::string_view text) {
    driver_->C(kA, client_, server_, text, port_);
    client_ += static_cast<uint32_t>(text.size());
  }
  void Server(std::string_view text) {
    driver_->S(kA, server_, client_, text, port_);
    server_ += static_cast<uint32_t>(text.size());
  }
  // So many bytes of the server's, in segments.
  void Server(size_t bytes) {
    const std::string segment(1'024, 'b');
    for (size_t sent = 0; sent < bytes; sent += segment.size()) Server(segment);
  }

 private:
  WorkerDriver* const driver_;
  const uint16_t port_;
  uint32_t client_ = 1'001, server_ = 5'001;
};

constexpr size_t kLong = 1 << 20;

TEST(Uninteresting, NeitherHttpNorTls) {
  WorkerDriver driver(Passing());
  Talk talk(&driver);
  driver.Wait(2 * kNsPerSecond);
  for (int i = 0; i < 64; ++i) {  // in each of the next pieces TLS might begin
    talk.Client("\x01not a protocol of ours");
    EXPECT_TRUE(driver.passed().empty()) << i;
  }
  talk.Server("nor this");
  ASSERT_EQ(driver.passed().size(), 1u);
  const FlowEnds& ends = driver.passed()[0];
  const std::string mapped(std::string(10, '\0') + "\xff\xff\x0a" + std::string(2, '\0'));
  EXPECT_EQ(std::string(ends.source, ends.source + 16), mapped + "\x01");
  EXPECT_EQ(std::string(ends.destination, ends.destination + 16), mapped + "\x02");
  EXPECT_EQ(ends.source_port, 40'000);
  EXPECT_EQ(ends.destination_port, 80);
  EXPECT_EQ(ends.protocol, 6);
  EXPECT_EQ(driver.Counter("flow.passed"), 1u);
  // While it goes on here it is told again, from time to time.
  for (int i = 0; i < 100; ++i) talk.Client("\x01goes on and on");
  driver.Wait(9 * kNsPerSecond);
  talk.Client("\x01goes on and on");
  EXPECT_EQ(driver.passed().size(), 1u);
  driver.Wait(kNsPerSecond);
  talk.Client("\x01goes on and on");
  EXPECT_EQ(driver.passed().size(), 2u);
}

// What began unseen may be an exchange's long body, with another request behind it.
TEST(Uninteresting, NeverWhatWasFirstSeenInTheMiddle) {
  WorkerDriver driver(Passing());
  for (uint32_t i = 0; i < 200; ++i) {
    driver.C(kA, 1'001 + i, 5'001, "\x01");
    driver.Wait(100 * kNsPerMs);
  }
  EXPECT_EQ(driver.Counter("flow.not_http"), 1u);
  EXPECT_TRUE(driver.passed().empty());
}

TEST(Uninteresting, NotYoungAndNotUnasked) {
  WorkerDriver driver(Passing());
  Talk talk(&driver);
  for (int i = 0; i < 200; ++i) talk.Client("\x01young");
  EXPECT_TRUE(driver.passed().empty());
  driver.Wait(kNsPerSecond);
  driver.TakePassed(false);
  talk.Client("\x01old enough, and not taken");
  EXPECT_EQ(driver.Counter("flow.passed"), 0u);
  driver.TakePassed(true);
  talk.Client("\x01again");
  EXPECT_EQ(driver.passed().size(), 1u);

  WorkerDriver silent;
  Talk other(&silent);
  silent.Wait(2 * kNsPerSecond);
  for (int i = 0; i < 200; ++i) other.Client("\x01nobody asks");
  EXPECT_TRUE(silent.passed().empty());
}

TEST(Uninteresting, NeverWhatMayStillBecomeOne) {
  const std::string get = "GET /image HTTP/1.1\r\nHost: x\r\n\r\n";
  const struct {
    const char* what;
    std::string request, answer;
  } cases[] = {
      {"known length, kept alive", get, "HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n"},
      {"chunked, kept alive", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000\r\n"},
      {"only the client closes", "GET /image HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n"},
      {"an upgrade is asked for", "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
       "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 900000000\r\n\r\n"},
      {"another request waits", get + get, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 900000000\r\n\r\n"},
      {"the request goes on", "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
       "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 900000000\r\n\r\n"},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""},
      {"TLS", std::string("\x16\x03\x01\x00\x05hello\x17\x03\x03\xff\xff", 15), ""},
  };
  for (const auto& [what, request, answer] : cases) {
    SCOPED_TRACE(what);
    WorkerDriver driver(Passing());
    Talk talk(&driver);
    talk.Client(request);
    if (!answer.empty()) talk.Server(answer);
    driver.Wait(2 * kNsPerSecond);
    talk.Server(kLong);
    EXPECT_TRUE(driver.passed().empty());
    EXPECT_EQ(driver.Counter("flow.passed"), 0u);
  }
  // TLS begins behind another protocol's words (STARTTLS).
  WorkerDriver driver(Passing());
  Talk talk(&driver);
  driver.Wait(2 * kNsPerSecond);
  for (int i = 0; i < 20; ++i) talk.Server("220 ready\r\n");
  talk.Client(std::string("\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03", 11) + std::string(32, 'r') + std::string(9, '\0'));
  EXPECT_EQ(driver.Counter("flow.tls"), 1u);
  talk.Server(kLong);
  EXPECT_TRUE(driver.passed().empty());
}

TEST(Uninteresting, ALongLastAnswerThatNobodyReads) {
  for (const char* answer : {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 900000000\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"}) {
    WorkerDriver driver(Passing());
    Talk talk(&driver);
    talk.Client("GET /image HTTP/1.1\r\nHost: x\r\n\r\n");
    talk.Server(answer);
    driver.Wait(2 * kNsPerSecond);
    talk.Server(128 << 10);
    EXPECT_TRUE(driver.passed().empty()) << "a short one is over soon";
    talk.Server(kLong);
    EXPECT_EQ(driver.passed().size(), 1u) << answer;
    driver.Wait(11 * kNsPerSecond);
    talk.Server(kLong);
    EXPECT_EQ(driver.passed().size(), 2u) << "the kernel did not keep it";
  }
}

// Wants every exchange, as the dialect layer does those of a model API.
class Wanting final : public HttpObserver {
 public:
  Handle OnRequestHead(const StreamContext&, uint64_t, const HttpRequestHead&) override { return this; }
  void OnRequestBody(const StreamContext&, Handle, Bytes) override {}
  void OnRequestEnd(const StreamContext&, Handle) override {}
  Handle OnResponseHead(const StreamContext&, Handle handle, uint64_t, const HttpResponseHead&) override { return handle; }
  void OnResponseBody(const StreamContext&, Handle, Bytes data) override { bytes += data.size(); }
  void OnTransactionEnd(const StreamContext&, Handle, HttpEnd, const HttpTransactionInfo&) override {}
  size_t bytes = 0;
};

TEST(Uninteresting, NeverAnAnswerThatIsRead) {
  Wanting wanting;
  WorkerDriver driver(Passing(), &wanting);
  Talk talk(&driver);
  talk.Client("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  talk.Server("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
  driver.Wait(2 * kNsPerSecond);
  talk.Server(kLong);
  EXPECT_EQ(wanting.bytes, kLong);
  EXPECT_TRUE(driver.passed().empty());
}

// The kernel sees the tunnel's ends, which are those of other flows, too.
TEST(Uninteresting, NeverWhatCameInATunnel) {
  WorkerDriver driver(Passing());
  Talk talk(&driver);
  driver.Wait(2 * kNsPerSecond);
  driver.Frame(testing::InVni(10, {.seq = 1'001, .ack = 5'001, .payload = "in"}));
  for (int i = 0; i < 100; ++i) talk.Server("\x01out");
  EXPECT_TRUE(driver.passed().empty());
  EXPECT_EQ(driver.flows().size(), 1u);
}

TEST(Uninteresting, NoConnectionThatIsOver) {
  WorkerDriver driver(Passing());
  Talk talk(&driver);
  for (int i = 0; i < 100; ++i) talk.Client("\x01");
  driver.Wait(2 * kNsPerSecond);
  driver.C(kF | kA, 1'101, 5'001);
  talk.Server("\x01the other side goes on");
  EXPECT_TRUE(driver.passed().empty());
}

}  // namespace
}  // namespace stillwatch::dataplane
