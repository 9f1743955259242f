#include "dataplane/llm/client_address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <string>

namespace stillwatch::dataplane {
namespace {

std::string Text(const ClientAddress& a) {
  if (a.length == 0) return "none";
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(a.length == 4 ? AF_INET : AF_INET6, a.bytes, text, sizeof text);
}

TEST(ClientAddress, ReadsWhatProxiesWrite) {
  const auto parsed = [](const char* text) {
    ClientAddress address;
    uint16_t port = 7;
    if (!ParseAddress(text, &address, &port)) return std::string("refused");
    return Text(address) + (port == 0 ? "" : " port " + std::to_string(port));
  };
  EXPECT_EQ(parsed("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(parsed("192.0.2.1:443"), "192.0.2.1 port 443");
  EXPECT_EQ(parsed("2001:db8::1"), "2001:db8::1");
  EXPECT_EQ(parsed("[2001:db8::1]"), "2001:db8::1");
  EXPECT_EQ(parsed("[2001:db8::1]:443"), "2001:db8::1 port 443");
  for (const char* hidden : {"192.0.2.1:_port", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:12x", "192.0.2.1:-1"}) EXPECT_EQ(parsed(hidden), "192.0.2.1") << hidden;
  EXPECT_EQ(parsed("::ffff:192.0.2.9"), "192.0.2.9");
  for (const char* bad : {"", "unknown", "_hidden", "1.2.3", "1.2.3.4.5", "[::1", ":", "256.1.1.1"}) {
    EXPECT_EQ(parsed(bad), "refused") << bad;
  }
}

TEST(ClientAddress, CountsHopsFromTheRight) {
  const auto xff = [](const char* value, int hops) {
    ClientAddress address;
    uint16_t port;
    switch (FromXForwardedFor(value, hops, &address, &port)) {
      case ForwardedResult::kFound: return Text(address);
      case ForwardedResult::kShort: return std::string("short");
      case ForwardedResult::kUnreadable: return std::string("unreadable");
    }
    return std::string();
  };
  // What a client claims stands left of what our proxies wrote.
  EXPECT_EQ(xff("6.6.6.6, 198.51.100.7, 203.0.113.5", 1), "203.0.113.5");
  EXPECT_EQ(xff("6.6.6.6, 198.51.100.7, 203.0.113.5", 2), "198.51.100.7");
  EXPECT_EQ(xff("6.6.6.6,198.51.100.7 ,203.0.113.5", 2), "198.51.100.7");
  EXPECT_EQ(xff("198.51.100.7", 2), "short");
  EXPECT_EQ(xff("", 1), "short");
  EXPECT_EQ(xff("1.2.3.4, unknown", 1), "unreadable");
}

TEST(ClientAddress, ReadsForwarded) {
  const auto forwarded = [](const char* value, int hops) {
    ClientAddress address;
    uint16_t port = 0;
    switch (FromForwarded(value, hops, &address, &port)) {
      case ForwardedResult::kFound: return Text(address) + (port == 0 ? "" : " port " + std::to_string(port));
      case ForwardedResult::kShort: return std::string("short");
      case ForwardedResult::kUnreadable: return std::string("unreadable");
    }
    return std::string();
  };
  // Examples of RFC 7239, sections 4 and 7.1.
  EXPECT_EQ(forwarded(R"(For="[2001:db8:cafe::17]:4711")", 1), "2001:db8:cafe::17 port 4711");
  EXPECT_EQ(forwarded("for=192.0.2.60;proto=http;by=203.0.113.43", 1), "192.0.2.60");
  EXPECT_EQ(forwarded("for=192.0.2.43, for=198.51.100.17", 2), "192.0.2.43");
  EXPECT_EQ(forwarded("for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http", 1), "198.51.100.17");
  EXPECT_EQ(forwarded("for=_SEVKISEK", 1), "unreadable");
  EXPECT_EQ(forwarded("proto=http", 1), "unreadable");
}

}  // namespace
}  // namespace stillwatch::dataplane
