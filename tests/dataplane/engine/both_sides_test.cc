// A box that taps both sides of a terminator: frames of clients' TLS connections in front and of requests in clear
// behind it go through the whole decoder, and each request comes out with its client's fingerprint.
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "base/endian.h"
#include "dataplane/engine/engine.h"
#include "dataplane/packet/flow_hash.h"
#include "dataplane/port/memory_port.h"
#include "tests/dataplane/engine/decoder.h"
#include "tests/dataplane/frame_builder.h"

namespace stillwatch::dataplane {
namespace {

using ::stillwatch::testing::BuildFrame;

constexpr uint32_t kTerminator = 0x0a000001, kBackEnd = 0x0a000002, kVip = 0xc6336401;
constexpr uint8_t kS = 2, kF = 1, kA = 16;

// A ClientHello of TLS 1.2 whose suites, and so its JA4, are of `kind`.
std::string Hello(uint8_t kind) {
  std::string suites;
  for (uint8_t i = 0; i <= kind; ++i) suites += std::string("\xc0", 1) + static_cast<char>(0x2b + i);
  std::string body("\3\3", 2);
  body += std::string(32, 'r') + std::string(1, '\0');
  body += std::string(1, '\0') + static_cast<char>(suites.size()) + suites + std::string("\1\0", 2) + std::string("\0\0", 2);
  std::string message("\1\0\0", 3);
  message += static_cast<char>(body.size());
  message += body;
  std::string record("\x16\3\1\0", 4);
  record += static_cast<char>(message.size());
  return record + message;
}

std::string Chat(const std::string& headers) {
  const std::string body = R"({"model":"m","messages":[{"role":"user","content":"tell me more"}]})";
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer sk-1\r\n" + headers + "Content-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}
const std::string kAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

// Version 2, with a unique id.
std::string Proxy(uint32_t client, uint16_t port, const std::string& unique_id) {
  std::string rest(12, '\0');
  StoreBe32(rest.data(), client);
  StoreBe32(rest.data() + 4, kVip);
  StoreBe16(rest.data() + 8, port);
  StoreBe16(rest.data() + 10, 443);
  if (!unique_id.empty()) rest += std::string("\4\0\2??", 5) + std::string("\5\0", 2) + static_cast<char>(unique_id.size()) + unique_id;
  std::string out("\r\n\r\n\0\r\nQUIT\n\x21\x11\0", 15);
  out += static_cast<char>(rest.size());
  return out + rest;
}

class Wire {
 public:
  // One connection whose client says `bytes` and whose server answers; `open`: it is not ended.
  struct Talk {
    uint32_t client, server;
    uint16_t client_port, server_port;
    std::string request, answer;
    bool open = true;
  };
  void Add(const Talk& talk) {
    const uint32_t asked = 1001 + static_cast<uint32_t>(talk.request.size());
    const uint32_t answered = 5001 + static_cast<uint32_t>(talk.answer.size());
    C(talk, kS, 1000, 0);
    S(talk, kS | kA, 5000, 1001);
    // In pieces, so that headers and TLVs are cut.
    uint32_t seq = 1001;
    for (size_t at = 0; at < talk.request.size(); at += 21) {
      const std::string_view piece = std::string_view(talk.request).substr(at, 21);
      C(talk, kA, seq, 5001, piece);
      seq += static_cast<uint32_t>(piece.size());
    }
    if (!talk.answer.empty()) S(talk, kA, 5001, asked, talk.answer);
    if (talk.open) return;
    C(talk, kF | kA, asked, answered);
    S(talk, kF | kA, answered, asked + 1);
    C(talk, kA, asked + 1, answered + 1);
  }
  MemoryPort& port() { return port_; }

 private:
  void C(const Talk& t, uint8_t flags, uint32_t seq, uint32_t ack, std::string_view payload = {}) {
    Put(BuildFrame({.src = t.client, .dst = t.server, .src_port = t.client_port, .dst_port = t.server_port, .seq = seq,
                    .ack = ack, .flags = flags, .payload = payload}));
  }
  void S(const Talk& t, uint8_t flags, uint32_t seq, uint32_t ack, std::string_view payload = {}) {
    Put(BuildFrame({.src = t.server, .dst = t.client, .src_port = t.server_port, .dst_port = t.client_port, .seq = seq,
                    .ack = ack, .flags = flags, .payload = payload}));
  }
  void Put(const std::vector<uint8_t>& frame) { port_.Add(frame, now_ns_ += 10 * kNsPerMs); }

  MemoryPort port_;
  int64_t now_ns_ = 1'700'000'000 * kNsPerSecond;
};

std::unique_ptr<Worker> MakeDecoder(WorkerOutput* output, int trusted_hops) {
  LlmOptions llm;
  llm.trusted_hops = trusted_hops;
  llm.body_pool_bytes = 4u << 20;
  WorkerOptions worker;
  worker.tell_connections = true;
  worker.trust_proxy_header = trusted_hops > 0;
  return std::make_unique<Decoder>(output, worker, llm);
}

class Keeper final : public ExchangeConsumer {
 public:
  void OnExchange(const ExchangeView& exchange) override { exchanges.push_back(exchange.header()); }
  void OnFlowRecord(const FlowRecord& record) override { records.push_back(record); }
  void OnWatermark(uint64_t, int64_t) override {}
  std::vector<ExchangeHeader> exchanges;
  std::vector<FlowRecord> records;
};

Keeper Play(Wire* wire, size_t workers, int trusted_hops, std::map<std::string, uint64_t>* counters, size_t fronts_max = 1'000) {
  EngineOptions options;
  options.workers = workers;
  options.flow_hash = &FlowHash;
  options.fronts_max = fronts_max;
  options.fronts_keep_ns = 600 * kNsPerSecond;
  CounterRegistry registry;
  Engine engine(options, &wire->port(),
                [&](size_t, WorkerOutput* output) { return MakeDecoder(output, trusted_hops); });
  engine.RegisterCounters(&registry);
  EXPECT_TRUE(engine.Start().ok());
  Keeper keeper;
  engine.Drain(&keeper);
  while (engine.running()) std::this_thread::yield();
  *counters = registry.Snapshot();
  EXPECT_EQ((*counters)["engine.out_of_order"], 0u);
  return keeper;
}

// Clients .1, .2 ... with hellos of their own, each from port 40000 + its number.
void AddFronts(Wire* wire, uint8_t count) {
  for (uint8_t i = 1; i <= count; ++i) {
    wire->Add({0xc0000200u + i, kVip, static_cast<uint16_t>(40'000 + i), 443, Hello(i), std::string()});
  }
}

class BothSidesTest : public ::testing::TestWithParam<size_t> {};

TEST_P(BothSidesTest, ByForwardingHeadersWithAPort) {
  Wire wire;
  AddFronts(&wire, 5);
  // One connection of the terminator's pool carries the requests of all; the last header names no port.
  wire.Add({kTerminator, kBackEnd, 50'000, 80,
            Chat("X-Forwarded-For: 6.6.6.6:40001, 192.0.2.3:40003\r\n") + Chat("Forwarded: for=\"192.0.2.1:40001\"\r\n") +
                Chat("X-Forwarded-For: 192.0.2.2:40099\r\n") + Chat("X-Forwarded-For: 192.0.2.2\r\n"),
            kAnswer + kAnswer + kAnswer + kAnswer, false});
  std::map<std::string, uint64_t> counters;
  const Keeper seen = Play(&wire, GetParam(), 1, &counters);
  ASSERT_EQ(seen.exchanges.size(), 4u);
  ASSERT_EQ(seen.records.size(), 6u);
  std::map<uint16_t, const FlowRecord*> front;
  for (const FlowRecord& record : seen.records) front[record.client_port] = &record;
  const auto is_of = [&](const ExchangeHeader& h, uint16_t port) {
    EXPECT_TRUE(h.flags & kClientJoined);
    EXPECT_EQ(h.flow_id, front[port]->flow_id);
    EXPECT_EQ(h.ja4_hash, front[port]->ja4_hash);
    EXPECT_NE(h.ja4_hash, 0u);
    EXPECT_EQ(front[port]->exchanges, 1u);
  };
  is_of(seen.exchanges[0], 40'003);
  is_of(seen.exchanges[1], 40'001);
  EXPECT_NE(seen.exchanges[0].ja4_hash, seen.exchanges[1].ja4_hash);
  for (size_t i = 2; i < 4; ++i) {
    EXPECT_EQ(seen.exchanges[i].flags & kClientJoined, 0u);
    EXPECT_EQ(seen.exchanges[i].ja4_hash, 0u);
    EXPECT_EQ(seen.exchanges[i].flow_id, front[50'000]->flow_id);
  }
  EXPECT_EQ(counters["join.fronts"], 5u);
  EXPECT_EQ(counters["join.joined"], 2u);
  EXPECT_EQ(counters["join.no_front"], 1u);
  EXPECT_EQ(counters["join.no_port"], 1u);
}

TEST_P(BothSidesTest, ByProxyHeader) {
  Wire wire;
  AddFronts(&wire, 3);
  // The same address and port to another of our addresses: the destination tells which.
  wire.Add({0xc0000202u, kVip + 1, 40'002, 443, Hello(9), std::string()});
  wire.Add({kTerminator, kBackEnd, 50'000, 80, Proxy(0xc0000202u, 40'002, "connection-2") + Chat("") + Chat(""), kAnswer + kAnswer, false});
  std::map<std::string, uint64_t> counters;
  const Keeper seen = Play(&wire, GetParam(), 1, &counters);
  ASSERT_EQ(seen.exchanges.size(), 2u);
  for (const ExchangeHeader& h : seen.exchanges) {
    const auto front = std::find_if(seen.records.begin(), seen.records.end(),
                                    [&](const FlowRecord& record) { return record.flow_id == h.flow_id; });
    ASSERT_NE(front, seen.records.end());
    EXPECT_EQ(front->client_port, 40'002);
    EXPECT_EQ(front->server.bytes[3], kVip & 255);
    EXPECT_EQ(h.ja4_hash, front->ja4_hash);
    EXPECT_EQ(front->exchanges, 2u);
  }
  EXPECT_EQ(counters["join.joined"], 2u);
  EXPECT_EQ(counters["join.ambiguous"], 0u);
}

// A balancer in front of the terminator wrote the header, and the terminator passes its unique id on.
TEST_P(BothSidesTest, ByUniqueIdBehindABalancer) {
  Wire wire;
  for (uint8_t i = 1; i <= 3; ++i) {
    // All of one client address and port: it is behind NAT of the balancer's.
    wire.Add({0x0a000009, kTerminator, static_cast<uint16_t>(41'000 + i), 443,
              Proxy(0xc0000201u, 40'001, "unique " + std::to_string(i)) + Hello(i), std::string()});
  }
  wire.Add({kTerminator, kBackEnd, 50'000, 80, Proxy(0xc0000201u, 40'001, "unique 2") + Chat(""), kAnswer, false});
  wire.Add({kTerminator, kBackEnd, 50'001, 80, Proxy(0xc0000201u, 40'001, "") + Chat(""), kAnswer, false});
  std::map<std::string, uint64_t> counters;
  const Keeper seen = Play(&wire, GetParam(), 1, &counters);
  ASSERT_EQ(seen.exchanges.size(), 2u);
  std::map<uint64_t, uint64_t> ja4_of_flow;
  for (const FlowRecord& record : seen.records) ja4_of_flow[record.flow_id] = record.ja4_hash;
  EXPECT_TRUE(seen.exchanges[0].flags & kClientJoined);
  EXPECT_EQ(seen.exchanges[0].ja4_hash, ja4_of_flow.at(seen.exchanges[0].flow_id));
  EXPECT_FALSE(seen.exchanges[1].flags & kClientJoined);  // three fit
  EXPECT_EQ(counters["join.ambiguous"], 1u);
}

// Who is not trusted to name the client cannot choose whose fingerprint his requests carry.
TEST_P(BothSidesTest, AHeaderThatIsNotTrustedJoinsNothing) {
  Wire wire;
  AddFronts(&wire, 2);
  wire.Add({0xc0000263u, kBackEnd, 50'000, 80, Proxy(0xc0000202u, 40'002, "") + Chat("X-Forwarded-For: 192.0.2.2:40002\r\n"), kAnswer, false});
  std::map<std::string, uint64_t> counters;
  const Keeper seen = Play(&wire, GetParam(), 0, &counters);
  ASSERT_EQ(seen.exchanges.size(), 1u);
  EXPECT_EQ(seen.exchanges[0].flags & kClientJoined, 0u);
  EXPECT_EQ(counters["join.joined"], 0u);
}

TEST_P(BothSidesTest, SwitchedOffNothingIsToldOrJoined) {
  Wire wire;
  AddFronts(&wire, 2);
  wire.Add({kTerminator, kBackEnd, 50'000, 80, Chat("X-Forwarded-For: 192.0.2.2:40002\r\n"), kAnswer, false});
  std::map<std::string, uint64_t> counters;
  const Keeper seen = Play(&wire, GetParam(), 1, &counters, 0);
  ASSERT_EQ(seen.exchanges.size(), 1u);
  EXPECT_EQ(seen.exchanges[0].flags & kClientJoined, 0u);
  EXPECT_EQ(counters.count("join.fronts"), 0u);
}

INSTANTIATE_TEST_SUITE_P(Workers, BothSidesTest, ::testing::Values(0, 1, 2, 3));

}  // namespace
}  // namespace stillwatch::dataplane
