#include "dataplane/bypass/interest.h"

#include <gtest/gtest.h>

namespace stillwatch::dataplane {
namespace {

Result<Interest> Parse(std::vector<std::string> prefixes, std::vector<std::string> ports) {
  return ParseInterest(prefixes, ports);
}

TEST(InterestTest, PrefixesOfBothFamiliesShareOneForm) {
  const auto interest = Parse({"10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "0.0.0.0/0"}, {});
  ASSERT_TRUE(interest.ok()) << interest.message();
  const auto& prefixes = interest.value().prefixes;
  ASSERT_EQ(prefixes.size(), 4u);
  EXPECT_EQ(prefixes[0].bits, 112u);
  EXPECT_EQ(HexOf(Bytes(prefixes[0].address, 16)), "00000000000000000000ffff0a010000");
  EXPECT_EQ(prefixes[1].bits, 128u);
  EXPECT_EQ(prefixes[2].bits, 32u);
  EXPECT_EQ(HexOf(Bytes(prefixes[2].address, 16)), "20010db8000000000000000000000000");
  EXPECT_EQ(prefixes[3].bits, 96u);  // every IPv4 address, no IPv6 one
  EXPECT_TRUE(interest.value().port_words.empty());
}

TEST(InterestTest, PortsAndRanges) {
  const auto interest = Parse({}, {"443", "8000-8100", "65535"});
  ASSERT_TRUE(interest.ok());
  const auto& words = interest.value().port_words;
  ASSERT_EQ(words.size(), 1024u);
  size_t count = 0;
  for (size_t port = 0; port < 65'536; ++port) {
    const bool listed = words[port / 64] >> (port % 64) & 1;
    EXPECT_EQ(listed, port == 443 || (port >= 8000 && port <= 8100) || port == 65535) << port;
    count += listed;
  }
  EXPECT_EQ(count, 103u);
}

TEST(InterestTest, UdpPortsAreAListOfTheirOwn) {
  const std::vector<std::string> none, tcp{"80"}, udp{"443", "4789-4790"};
  const auto interest = ParseInterest(none, tcp, udp);
  ASSERT_TRUE(interest.ok());
  const auto listed = [](const std::vector<uint64_t>& words, uint32_t port) { return (words[port / 64] >> (port % 64) & 1) != 0; };
  ASSERT_EQ(interest.value().udp_port_words.size(), kPortWords);
  for (const uint32_t port : {443u, 4789u, 4790u}) EXPECT_TRUE(listed(interest.value().udp_port_words, port));
  for (const uint32_t port : {80u, 53u, 4791u}) EXPECT_FALSE(listed(interest.value().udp_port_words, port));
  EXPECT_TRUE(listed(interest.value().port_words, 80));
  EXPECT_FALSE(listed(interest.value().port_words, 443));
  EXPECT_TRUE(Parse({}, {"80"}).value().udp_port_words.empty());
  const std::vector<std::string> wrong{"quic"};
  EXPECT_NE(ParseInterest(none, none, wrong).message().find("fail_open.interest_udp_ports: \"quic\""), std::string::npos);
}

TEST(InterestTest, MistakesNameTheKeyAndTheForm) {
  for (const char* prefix :
       {"10.0.0.0/33", "10.0.0/8", "host", "2001:db8::/129", "10.0.0.0/", "", "10.0.0.0/8x"}) {
    const auto interest = Parse({prefix}, {});
    ASSERT_FALSE(interest.ok()) << prefix;
    EXPECT_NE(interest.message().find("fail_open.interest_prefixes"), std::string::npos);
  }
  for (const char* port : {"65536", "http", "90-80", "1-", "-1", ""}) {
    const auto interest = Parse({}, {port});
    ASSERT_FALSE(interest.ok()) << port;
    EXPECT_NE(interest.message().find("fail_open.interest_ports"), std::string::npos);
  }
}

}  // namespace
}  // namespace stillwatch::dataplane
