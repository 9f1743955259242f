// Segments to exchanges, with the flow, HTTP and dialect layers as they run: how an exchange ends when its
// connection does, and whose it is behind a proxy.
#include <gtest/gtest.h>

#include "harness.h"
#include "tests/dataplane/flow/worker_driver.h"
#include "tests/dataplane/stream_capture.h"

namespace stillwatch::dataplane::testing {
namespace {

using ::stillwatch::testing::AddressText;
using ::stillwatch::testing::kA;
using ::stillwatch::testing::kR;
using ::stillwatch::testing::WorkerDriver;

const std::string kBody = R"({"model":"m","stream":true,"messages":[{"role":"user","content":"tell me more"}]})";

std::string Request(const std::string& headers = "") {
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer sk-1\r\n" + headers +
         "Content-Length: " + std::to_string(kBody.size()) + "\r\n\r\n" + kBody;
}
const std::string kStreamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

// One chunk with one event.
std::string Event(const std::string& text) {
  const std::string event = R"(data: {"choices":[{"index":0,"delta":{"content":")" + text + "\"}}]}\n\n";
  char size[16];
  std::snprintf(size, sizeof size, "%zx\r\n", event.size());
  return size + event + "\r\n";
}

class FlowToExchange : public ::testing::Test {
 protected:
  void Start(int trusted_hops) {
    LlmOptions options = SmallOptions();
    options.trusted_hops = trusted_hops;
    observer_ = MakeLlmObserver(options, &recorder_, &recorder_);
    WorkerOptions worker = WorkerDriver::SmallOptions();
    worker.trust_proxy_header = trusted_hops > 0;
    driver_ = std::make_unique<WorkerDriver>(worker, observer_.get());
    driver_->Handshake();
  }
  void C(const std::string& bytes, uint8_t flags = kA) {
    driver_->C(flags, client_seq_, server_seq_, bytes);
    client_seq_ += static_cast<uint32_t>(bytes.size());
  }
  void S(const std::string& bytes) {
    driver_->S(kA, server_seq_, client_seq_, bytes);
    server_seq_ += static_cast<uint32_t>(bytes.size());
  }
  // Of the request's client after a whole exchange.
  std::string ClientOf(int trusted_hops, const std::string& proxy_header, const std::string& headers) {
    client_seq_ = 1001;
    server_seq_ = 5001;
    recorder_.seen = {};
    Start(trusted_hops);
    C(proxy_header + Request(headers));
    S(kStreamHead + Event("yes") + "0\r\n\r\n");
    EXPECT_TRUE(recorder_.seen.emitted);
    return AddressText(recorder_.seen.header.client);
  }

  Recorder recorder_;
  std::unique_ptr<LlmObserver> observer_;
  std::unique_ptr<WorkerDriver> driver_;
  uint32_t client_seq_ = 1001, server_seq_ = 5001;
};

TEST_F(FlowToExchange, AnAbortedStreamGivesItsExchangeWithinSecondsOfItsReset) {
  Start(0);
  C(Request());
  S(kStreamHead + Event("one "));
  S(Event("two "));
  driver_->Wait(kNsPerSecond);
  EXPECT_FALSE(recorder_.seen.emitted);
  const int64_t reset_ns = driver_->now_ns();
  driver_->C(kR, client_seq_, 0);
  // What the server had on its way, for a while; the client answers no more.
  for (int i = 0; i < 5; ++i) {
    driver_->Wait(20 * kNsPerMs);
    S(Event("late "));
  }
  driver_->Wait(4 * kNsPerSecond);
  const Seen& seen = recorder_.seen;
  ASSERT_TRUE(seen.emitted);
  EXPECT_EQ(recorder_.exchanges, 1);
  EXPECT_LE(seen.header.response_end_ns - reset_ns, 4 * kNsPerSecond);
  EXPECT_TRUE(seen.text.starts_with("one two ")) << seen.text;
  EXPECT_TRUE(seen.header.flags & kRequestComplete);
  EXPECT_FALSE(seen.header.flags & kResponseComplete);
  EXPECT_EQ(observer_->exchanges_in_flight(), 0u);
}

// The guard against the guard: without a RST the same silence ends nothing.
TEST_F(FlowToExchange, AStreamThatPausesIsNotEnded) {
  Start(0);
  C(Request());
  S(kStreamHead + Event("one "));
  driver_->Wait(30 * kNsPerSecond);
  EXPECT_FALSE(recorder_.seen.emitted);
  S(Event("two") + "0\r\n\r\n");
  ASSERT_TRUE(recorder_.seen.emitted);
  EXPECT_EQ(recorder_.seen.text, "one two");
  EXPECT_TRUE(recorder_.seen.header.flags & kResponseComplete);
}

TEST_F(FlowToExchange, AForgedResetDoesNotCutTheAnswer) {
  Start(0);
  C(Request());
  S(kStreamHead + Event("one "));
  driver_->C(kR, client_seq_, 0);  // forged: the client goes on acknowledging
  S(Event("two "));
  C("");
  driver_->Wait(5 * kNsPerSecond);
  EXPECT_FALSE(recorder_.seen.emitted);
  S(Event("three") + "0\r\n\r\n");
  ASSERT_TRUE(recorder_.seen.emitted);
  EXPECT_EQ(recorder_.seen.text, "one two three");
}

TEST_F(FlowToExchange, TheProxyHeaderCountsAsTheLastTrustedHop) {
  const std::string proxy = "PROXY TCP4 203.0.113.5 10.0.0.2 5555 80\r\n";
  const std::string local("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);
  const std::string chain = "X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\n";
  EXPECT_EQ(ClientOf(0, proxy, chain), "10.0.0.1");       // nothing may be trusted
  EXPECT_EQ(ClientOf(1, proxy, chain), "203.0.113.5");    // its sender alone
  EXPECT_EQ(ClientOf(2, proxy, chain), "198.51.100.7");   // and the proxy before it
  EXPECT_EQ(ClientOf(3, proxy, chain), "6.6.6.6");
  EXPECT_EQ(ClientOf(4, proxy, chain), "203.0.113.5");    // the header is shorter than our chain
  EXPECT_EQ(ClientOf(1, "", chain), "198.51.100.7");
  EXPECT_EQ(ClientOf(1, local, chain), "198.51.100.7");   // names no client: as if it were not there
  EXPECT_EQ(ClientOf(1, local, ""), "10.0.0.1");
}

}  // namespace
}  // namespace stillwatch::dataplane::testing
