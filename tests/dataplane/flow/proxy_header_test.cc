#include "dataplane/flow/proxy_header.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "tests/dataplane/flow/worker_driver.h"
#include "tests/dataplane/stream_capture.h"

namespace stillwatch::dataplane {
namespace {

using testing::kA;
using testing::WorkerDriver;

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
const std::string kFour("\xc0\x00\x02\x01\xc6\x33\x64\x01\x30\x39\x01\xbb", 12);  // 192.0.2.1:12345 to 198.51.100.1:443
const std::string kSix = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x09" +
                         std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x0a" + "\x30\x39\x01\xbb";

std::string Binary(uint8_t command, uint8_t family, const std::string& rest) {
  std::string out = kSignature;
  out += static_cast<char>(command);
  out += static_cast<char>(family);
  out += static_cast<char>(rest.size() >> 8);
  out += static_cast<char>(rest.size() & 255);
  return out + rest;
}
ProxyHeader Read(std::string_view text) { return ReadProxyHeader(AsBytes(text)); }
std::string Client(const ProxyHeader& header) {
  return header.client.length == 0 ? "none" : testing::AddressText(header.client) + " " + std::to_string(header.client_port);
}

struct Good {
  std::string header, client;
};
const std::vector<Good> kGood = {
    {"PROXY TCP4 192.0.2.1 198.51.100.1 12345 443\r\n", "192.0.2.1 12345"},
    {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255 65535"},
    {"PROXY TCP6 2001:db8::9 2001:db8::a 12345 0\r\n", "2001:db8::9 12345"},
    {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535"},
    {"PROXY TCP6 ::ffff:192.0.2.1 ::1 5 6\r\n", "192.0.2.1 5"},
    {"PROXY UNKNOWN\r\n", "none"},
    {"PROXY UNKNOWN what ever this says\r\n", "none"},
    {Binary(0x21, 0x11, kFour), "192.0.2.1 12345"},
    {Binary(0x21, 0x11, kFour + std::string("\x04\x00\x01\x00", 4)), "192.0.2.1 12345"},     // with a TLV
    {Binary(0x21, 0x11, kFour + std::string(4096 - 16 - 12, 't')), "192.0.2.1 12345"},        // the largest
    {Binary(0x21, 0x21, kSix), "2001:db8::9 12345"},
    {Binary(0x21, 0x21, kSix + std::string(700, 't')), "2001:db8::9 12345"},
    {Binary(0x20, 0x00, ""), "none"},                      // LOCAL: a health check
    {Binary(0x20, 0x11, kFour), "none"},
    {Binary(0x21, 0x00, std::string(40, 'u')), "none"},    // unspecified
    {Binary(0x21, 0x31, std::string(216, 'p')), "none"},   // Unix sockets
};

TEST(ProxyHeaderTest, ReadsBothVersions) {
  for (const Good& good : kGood) {
    const ProxyHeader header = Read(good.header + "POST /");
    EXPECT_EQ(header.status, ProxyStatus::kFound) << good.header;
    EXPECT_EQ(header.bytes, good.header.size()) << good.header;
    EXPECT_EQ(Client(header), good.client) << good.header;
  }
}

TEST(ProxyHeaderTest, EveryPrefixNeedsMoreUntilTheAddressesAreThere) {
  for (const Good& good : kGood) {
    bool found = false;
    for (size_t size = 0; size <= good.header.size(); ++size) {
      const auto block = std::make_unique<uint8_t[]>(size);  // exact, for sanitizers
      std::memcpy(block.get(), good.header.data(), size);
      const ProxyHeader header = ReadProxyHeader(Bytes(block.get(), size));
      if (header.status == ProxyStatus::kFound) {
        found = true;
        EXPECT_EQ(Client(header), good.client);
        EXPECT_EQ(header.bytes, good.header.size());
      } else {
        EXPECT_EQ(header.status, ProxyStatus::kNeedMore) << size << " of " << good.header;
        EXPECT_FALSE(found);
      }
    }
    EXPECT_TRUE(found);
  }
}

TEST(ProxyHeaderTest, WhatContradictsTheProtocolIsMalformed) {
  for (const std::string& bad : {
           std::string("PROXY TCP4 192.0.2.1 198.51.100.1 12345 443\n"),              // no CR
           std::string("PROXY TCP4 192.0.2.1 198.51.100.1 12345\r\n"),                // a port is missing
           std::string("PROXY TCP4 192.0.2.1 198.51.100.1 12345 443 \r\n"),
           std::string("PROXY TCP4 192.0.2.1 198.51.100.1 012345 443\r\n"),
           std::string("PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n"),
           std::string("PROXY TCP4 192.0.2.1 198.51.100.1 -1 443\r\n"),
           std::string("PROXY TCP4 192.0.2.1  198.51.100.1 1 443\r\n"),               // two blanks
           std::string("PROXY TCP4 192.0.2.256 198.51.100.1 1 443\r\n"),
           std::string("PROXY TCP4 2001:db8::9 2001:db8::a 1 2\r\n"),                 // the other family
           std::string("PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n"),
           std::string("PROXY TCP4 192.0.2.1 nowhere 1 2\r\n"),
           std::string("PROXY TCP4 \r\n"), std::string("PROXY UNKNOWNS\r\n"),
           "PROXY UNKNOWN " + std::string(107, 'x') + "\r\n",                         // over 107 bytes
           Binary(0x22, 0x11, kFour), Binary(0x11, 0x11, kFour), Binary(0x31, 0x11, kFour),
           Binary(0x21, 0x11, kFour.substr(0, 11)), Binary(0x21, 0x21, kFour),
       }) {
    EXPECT_EQ(Read(bad).status, ProxyStatus::kMalformed) << bad;
  }
  const std::string longest = "PROXY UNKNOWN " + std::string(107 - 14 - 2, 'x') + "\r\n";
  EXPECT_EQ(longest.size(), 107u);
  EXPECT_EQ(Read(longest).status, ProxyStatus::kFound);
  EXPECT_EQ(Read(longest.substr(0, 106)).status, ProxyStatus::kNeedMore);
  EXPECT_EQ(Read(Binary(0x21, 0x11, kFour + std::string(4096 - 16 - 11, 't'))).status, ProxyStatus::kTooLong);
  EXPECT_EQ(Read(Binary(0x20, 0x00, std::string(65'535, 't')).substr(0, 16)).status, ProxyStatus::kTooLong);
}

TEST(ProxyHeaderTest, OtherBytesAreNone) {
  for (const std::string_view other : {"POST /v1/messages HTTP/1.1\r\n", "PROXY /path HTTP/1.1\r\n", "PROXY TCP5 1", "PUT /", "proxy TCP4 ",
                                       "\x16\x03\x01", "\r\nGET / HTTP/1.1", "\r\n\r\n\r\nGET /", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}) {
    EXPECT_EQ(Read(other).status, ProxyStatus::kNone) << other;
  }
}

TEST(ProxyHeaderTest, RandomBytesAreReadWithinTheirBounds) {
  std::mt19937 random(23);
  for (int round = 0; round < 50'000; ++round) {
    std::string text = kGood[random() % kGood.size()].header;
    for (int change = 0; change < 3; ++change) text[random() % std::min<size_t>(text.size(), 60)] = static_cast<char>(random());
    const size_t size = random() % (std::min<size_t>(text.size(), 120) + 1);
    const auto block = std::make_unique<uint8_t[]>(size);
    std::memcpy(block.get(), text.data(), size);
    const ProxyHeader header = ReadProxyHeader(Bytes(block.get(), size));
    if (header.status == ProxyStatus::kFound) {
      EXPECT_GT(header.bytes, 0);
      EXPECT_LE(header.bytes, kProxyHeaderMax);
    }
  }
}

std::string Tlv(uint8_t type, const std::string& value) {
  std::string out(1, static_cast<char>(type));
  out += static_cast<char>(value.size() >> 8);
  out += static_cast<char>(value.size() & 255);
  return out + value;
}

TEST(ProxyTlvsTest, TheUniqueIdIsFoundHoweverTheTlvsAreCut) {
  const auto id_of = [](const std::string& tlvs, size_t piece) {
    ProxyTlvs reader;
    for (size_t at = 0; at < tlvs.size(); at += piece) reader.Feed(AsBytes(std::string_view(tlvs).substr(at, piece)), Salt{5});
    return reader.unique_id();
  };
  const std::string front = Tlv(1, "h2") + Tlv(0x20, std::string(300, 's')) + Tlv(4, "");
  const uint64_t id = id_of(Tlv(5, "abc"), 1'000);
  EXPECT_NE(id, 0u);
  for (size_t piece = 1; piece < 40; ++piece) {
    EXPECT_EQ(id_of(front + Tlv(5, "abc") + Tlv(3, "crc!"), piece), id) << piece;
    EXPECT_NE(id_of(front + Tlv(5, "abd"), piece), id);
    EXPECT_EQ(id_of(front, piece), 0u);
  }
  EXPECT_NE(id_of(Tlv(5, std::string(128, 'x')), 7), 0u);
  EXPECT_EQ(id_of(Tlv(5, std::string(129, 'x')), 7), 0u);  // over the protocol's bound
  EXPECT_EQ(id_of(Tlv(5, ""), 7), 0u);
  EXPECT_EQ(id_of(Tlv(5, "abc").substr(0, 5), 7), 0u);     // runs over the header's end
}

TEST(ProxyHeaderTest, SaysWhatTheClientHadConnectedToAndWhereTlvsBegin) {
  const ProxyHeader line = Read("PROXY TCP4 192.0.2.1 198.51.100.1 12345 443\r\n");
  EXPECT_EQ(testing::AddressText(line.server) + " " + std::to_string(line.server_port), "198.51.100.1 443");
  EXPECT_EQ(line.tlvs_at, line.bytes);
  const ProxyHeader six = Read(Binary(0x21, 0x21, kSix + Tlv(5, "abc")));
  EXPECT_EQ(testing::AddressText(six.server) + " " + std::to_string(six.server_port), "2001:db8::a 443");
  EXPECT_EQ(six.tlvs_at, six.bytes - 6);
  const ProxyHeader local = Read(Binary(0x20, 0x11, kFour));
  EXPECT_EQ(local.server.length, 0);
  EXPECT_EQ(local.tlvs_at, local.bytes);
}

// What an HttpObserver is told: who asked for what.
class Requests final : public HttpObserver {
 public:
  Handle OnRequestHead(const StreamContext& at, uint64_t, const HttpRequestHead& head) override {
    seen.push_back(std::string(head.method) + " " + std::string(head.target) + " " + testing::AddressText(at.client) + " " +
                   std::to_string(at.client_port) + (at.client_from_proxy ? " proxied" : ""));
    return nullptr;
  }
  void OnRequestBody(const StreamContext&, Handle, Bytes) override {}
  void OnRequestEnd(const StreamContext&, Handle) override {}
  Handle OnResponseHead(const StreamContext&, Handle, uint64_t, const HttpResponseHead&) override { return nullptr; }
  void OnResponseBody(const StreamContext&, Handle, Bytes) override {}
  void OnTransactionEnd(const StreamContext&, Handle, HttpEnd, const HttpTransactionInfo&) override {}
  std::vector<std::string> seen;
};

WorkerOptions Trusting() {
  WorkerOptions options = WorkerDriver::SmallOptions();
  options.trust_proxy_header = true;
  return options;
}

const std::string kRequest = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

// Sends `bytes` in pieces that end at `cuts`, and a second request; returns what was seen.
std::vector<std::string> Send(const std::string& bytes, const std::vector<size_t>& cuts, const WorkerOptions& options,
                              std::map<std::string, uint64_t>* counters) {
  Requests requests;
  WorkerDriver driver(options, &requests);
  driver.Handshake();
  size_t begin = 0;
  uint32_t seq = 1001;
  for (size_t cut : cuts) {
    driver.C(kA, seq + static_cast<uint32_t>(begin), 5001, std::string_view(bytes).substr(begin, cut - begin));
    begin = cut;
  }
  driver.C(kA, seq + static_cast<uint32_t>(begin), 5001, std::string_view(bytes).substr(begin));
  driver.Finish();
  for (const char* name : {"flow.http", "flow.not_http", "flow.proxied", "flow.proxy_malformed", "flow.proxy_too_long"}) {
    (*counters)[name] = driver.Counter(name);
  }
  EXPECT_EQ(driver.flows().at(0).client.bytes, bytes);  // the stream itself is untouched
  return requests.seen;
}

TEST(ProxiedFlowTest, TheRequestBehindTheHeaderIsSeenHoweverItIsCut) {
  std::mt19937 random(29);
  for (const Good& good : kGood) {
    const std::string client = good.client == "none" ? "10.0.0.1 40000" : good.client + " proxied";
    const std::vector<std::string> expected = {"GET /x " + client, "GET /x " + client};
    const std::string bytes = good.header + kRequest + kRequest;
    std::vector<std::vector<size_t>> ways = {{}};
    for (size_t cut = 1; cut < bytes.size(); cut += good.header.size() > 300 && cut > 60 ? 61 : 1) ways.push_back({cut});
    for (int i = 0; i < 20; ++i) {
      std::vector<size_t> cuts;
      for (size_t at = 1 + random() % 20; at < bytes.size(); at += 1 + random() % 20) cuts.push_back(at);
      ways.push_back(cuts);
    }
    std::vector<size_t> each(bytes.size() - 1);
    for (size_t i = 0; i < each.size(); ++i) each[i] = i + 1;
    ways.push_back(each);
    for (const std::vector<size_t>& cuts : ways) {
      std::map<std::string, uint64_t> counters;
      ASSERT_EQ(Send(bytes, cuts, Trusting(), &counters), expected) << good.header;
      EXPECT_EQ(counters["flow.proxied"], 1u);
      EXPECT_EQ(counters["flow.http"], 1u);
    }
  }
}

TEST(ProxiedFlowTest, AnAddressThatMayNotBeTrustedIsNotTaken) {
  std::map<std::string, uint64_t> counters;
  EXPECT_EQ(Send(kGood[0].header + kRequest, {}, WorkerDriver::SmallOptions(), &counters),
            std::vector<std::string>{"GET /x 10.0.0.1 40000"});
  EXPECT_EQ(counters["flow.proxied"], 1u);
}

TEST(ProxiedFlowTest, BadHeadersAreCountedAndTheFlowIsLeft) {
  std::map<std::string, uint64_t> counters;
  EXPECT_TRUE(Send("PROXY TCP4 nobody knows 1 2\r\n" + kRequest, {7, 20}, Trusting(), &counters).empty());
  EXPECT_EQ(counters["flow.proxy_malformed"], 1u);
  EXPECT_EQ(counters["flow.not_http"], 1u);
  EXPECT_TRUE(Send(Binary(0x21, 0x11, kFour + std::string(5000, 't')) + kRequest, {}, Trusting(), &counters).empty());
  EXPECT_EQ(counters["flow.proxy_too_long"], 1u);
  EXPECT_EQ(counters["flow.not_http"], 1u);
  // One header only.
  EXPECT_TRUE(Send(kGood[0].header + kGood[0].header + kRequest, {}, Trusting(), &counters).empty());
  EXPECT_EQ(counters["flow.proxied"], 1u);
}

TEST(ProxiedFlowTest, RequestsThatBeginAlikeAreStillRequests) {
  for (const std::string& request : {std::string("PROXY /x HTTP/1.1\r\nHost: h\r\n\r\n"), "\r\n" + kRequest, std::string("PUT /x HTTP/1.1\r\n\r\n")}) {
    for (size_t cut = 1; cut < request.size(); ++cut) {
      std::map<std::string, uint64_t> counters;
      EXPECT_EQ(Send(request, {cut}, Trusting(), &counters).size(), 1u) << request << cut;
      EXPECT_EQ(counters["flow.proxied"], 0u);
    }
  }
}

TEST(ProxiedFlowTest, BytesLostInTheHeaderDoNotHideTheNextRequest) {
  Requests requests;
  WorkerDriver driver(Trusting(), &requests);
  driver.Handshake();
  const std::string header = Binary(0x21, 0x11, kFour + std::string(500, 't'));
  driver.C(kA, 1001, 5001, std::string_view(header).substr(0, 100));
  const uint32_t behind = 1001 + static_cast<uint32_t>(header.size());
  driver.C(kA, behind, 5001, kRequest);
  driver.S(kA, 5001, behind + static_cast<uint32_t>(kRequest.size()));  // the server has it all
  EXPECT_EQ(requests.seen, std::vector<std::string>{"GET /x 192.0.2.1 12345 proxied"});
}

}  // namespace
}  // namespace stillwatch::dataplane
