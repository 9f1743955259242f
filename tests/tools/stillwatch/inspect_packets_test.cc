// The lines of `inspect --layer packet` against what tshark decodes: every TCP packet of captures with Ethernet, PPP, tunnels and
// fragments. (packet_golden_test holds the decoder itself against all captures.)
#include "tools/stillwatch/inspect_packets.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/dataplane/csv.h"

namespace stillwatch {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<json> Inspect(const std::string& capture, bool ignore_checksums = false) {
  char* data = nullptr;
  size_t size = 0;
  std::FILE* out = open_memstream(&data, &size);
  const std::vector<std::string> paths = {capture};
  EXPECT_TRUE(InspectPackets(paths, ignore_checksums, out).ok());
  std::fclose(out);
  std::istringstream text(std::string(data, size));
  std::free(data);
  std::vector<json> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
  return lines;
}

std::string Innermost(const std::string& value) { return value.substr(value.rfind(';') + 1); }

TEST(InspectPackets, TcpFieldsEqualTsharks) {
  size_t compared = 0;
  for (const char* name : {"suricata-defrag-bug-6887-defrag-ppp-ipv4-tcp-syn", "suricata-defrag-bug-6887-defrag-eth-vlan-ipv4-tcp-syn",
                           "zeek-tunnels-vxlan-encapsulated-http", "pcapplusplus-sll2", "zeek-tcp-options",
                           "pcapplusplus-tcp-reassembly", "zeek-chksums-ip4-tcp-bad-chksum"}) {
    const fs::path folder = fs::path(STILLWATCH_SOURCE_DIR) / "tests/data/pcap" / name;
    const std::string input = fs::exists(folder / "input.pcap") ? folder / "input.pcap" : folder / "input.pcapng";
    std::map<uint64_t, json> lines;
    for (const json& line : Inspect(input)) lines[line["frame"]] = line;
    for (const auto& row : testing::ReadCsv(folder / "packets.csv")) {
      const std::string protocols = row.at("frame.protocols") + ":";
      const json& line = lines.at(std::stoull(row.at("frame.number")));
      EXPECT_EQ(line["status"] == "tcp", protocols.find(":tcp:") != std::string::npos && protocols.find(":sflow:") == std::string::npos) << name << line;
      if (line["status"] != "tcp") continue;
      EXPECT_EQ(line["src"].get<std::string>(), Innermost(row.at("ip.src"))) << name << line;
      EXPECT_EQ(line["dst"].get<std::string>(), Innermost(row.at("ip.dst")));
      EXPECT_EQ(std::to_string(line["sport"].get<int>()), Innermost(row.at("tcp.srcport")));
      EXPECT_EQ(std::to_string(line["dport"].get<int>()), Innermost(row.at("tcp.dstport")));
      EXPECT_EQ(std::to_string(line["seq"].get<uint32_t>()), Innermost(row.at("tcp.seq_raw")));
      EXPECT_EQ(std::to_string(line["len"].get<int>()), Innermost(row.at("tcp.len")));
      const std::string sum = Innermost(row.at("tcp.checksum.status"));
      if (sum == "1") EXPECT_EQ(line["checksum"], "good") << name << line;
      if (sum == "0") EXPECT_NE(line["checksum"], "good") << name << line;
      ++compared;
    }
  }
  EXPECT_GT(compared, 40u);
}

TEST(InspectPackets, FragmentsSaySoAndWhatTheyComplete) {
  const std::vector<json> lines = Inspect(STILLWATCH_SOURCE_DIR "/tests/data/pcap/suricata-defrag-bug-6887-defrag-ppp-ipv4-tcp-syn/input.pcap");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["status"], "fragment");
  EXPECT_EQ(lines[0]["more_fragments"], true);
  EXPECT_EQ(lines[1]["frag_offset"], 8);
  EXPECT_EQ(lines[2]["joined"], true);
  EXPECT_EQ(lines[2]["dport"], 8080);
}

}  // namespace
}  // namespace stillwatch
