// Every frame of the captures that have one: addresses, ports, sequence number, length and checksum status of TCP
// segments as tshark saw them.
#include <gtest/gtest.h>

#include <arpa/inet.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "dataplane/packet/fragment_joiner.h"
#include "dataplane/packet/packet.h"
#include "dataplane/port/capture_file.h"
#include "tests/dataplane/csv.h"

namespace stillwatch::dataplane {
namespace {

namespace fs = std::filesystem;
using Row = std::map<std::string, std::string>;

const std::string kData = std::string(STILLWATCH_SOURCE_DIR) + "/tests/data/";

std::string Field(const Row& row, const std::string& name) {
  const auto at = row.find(name);
  return at == row.end() ? "" : at->second;
}

// Repeated fields are outer;inner.
std::string Innermost(const std::string& value) { return value.substr(value.rfind(';') + 1); }

std::string AddressText(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(address.length == 4 ? AF_INET : AF_INET6, address.bytes, text, sizeof text);
  return text;
}

// TCP that the frame itself carries: not one quoted by ICMP or sampled by sFlow.
bool IsTcp(const Row& row) {
  const std::string protocols = Field(row, "frame.protocols") + ":";
  return protocols.find(":tcp:") != std::string::npos && protocols.find(":icmp") == std::string::npos &&
         protocols.find(":sflow:") == std::string::npos;
}

// What differs, or "".
std::string Compare(const Row& row, DecodeStatus status, const Packet& packet) {
  if (!IsTcp(row)) return status == DecodeStatus::kTcp ? "is no TCP" : "";
  if (status != DecodeStatus::kTcp) return "is TCP, got status " + std::to_string(static_cast<int>(status));
  // Where tunnels mix families the inner address is in one of two columns.
  const std::string v4 = Innermost(Field(row, "ip.src")), v6 = Innermost(Field(row, "ipv6.src"));
  const std::string src = AddressText(packet.src);
  if (src != v4 && src != v6) return "src " + src;
  const std::string dst = AddressText(packet.dst);
  if (dst != Innermost(Field(row, "ip.dst")) && dst != Innermost(Field(row, "ipv6.dst"))) return "dst " + dst;
  const auto differs = [&](const char* name, uint32_t value) {
    const std::string expected = Innermost(Field(row, name));
    return !expected.empty() && expected != std::to_string(value);
  };
  if (differs("tcp.srcport", packet.src_port) || differs("tcp.dstport", packet.dst_port)) return "ports";
  if (differs("tcp.seq_raw", packet.seq)) return "seq " + std::to_string(packet.seq);
  if (differs("tcp.len", packet.payload_wire)) return "len " + std::to_string(packet.payload_wire);
  return "";
}

// Adds one line for each difference; returns the number of rows compared.
size_t CompareCapture(const fs::path& folder, std::vector<std::string>* differences) {
  std::string input = folder.string() + "/input.pcap";
  if (!fs::exists(input)) input += "ng";
  Result<std::unique_ptr<CapturePort>> port = OpenCaptures(std::vector<std::string>{input});
  EXPECT_TRUE(port.ok());
  std::map<uint64_t, Row> rows;
  // packets-teredo.csv: tshark told to look for Teredo on any port.
  const std::string expected = folder.string() + (fs::exists(folder / "packets-teredo.csv") ? "/packets-teredo.csv" : "/packets.csv");
  for (Row& row : testing::ReadCsv(expected)) rows[std::stoull(row.at("frame.number"))] = row;
  FragmentJoiner joiner({});
  size_t compared = 0;
  Frame frames[kBurstMax];
  while (!port.value()->at_end()) {
    const size_t count = port.value()->Receive(frames);
    for (const Frame& frame : std::span(frames, count)) {
      const auto row = rows.find(frame.number);
      if (row == rows.end()) continue;
      Packet packet;
      Frame joined;
      DecodeStatus status = DecodeFrame(frame.bytes, frame.wire_length, {true}, &packet);
      DecodeStatus checked = DecodeStatus::kFragment;
      if (status == DecodeStatus::kFragment) {
        if (joiner.Add(frame, packet, &joined)) {
          packet = Packet{};
          status = DecodeFrame(joined.bytes, joined.wire_length, {true}, &packet);
        }
      } else {
        Packet again;
        checked = DecodeFrame(frame.bytes, frame.wire_length, {false}, &again);
      }
      ++compared;
      std::string difference = Compare(row->second, status, packet);
      const std::string sum = Innermost(Field(row->second, "tcp.checksum.status"));
      if (difference.empty() && status == DecodeStatus::kTcp && checked != DecodeStatus::kFragment) {
        const bool bad = checked == DecodeStatus::kBadTcpChecksum || checked == DecodeStatus::kPartialTcpChecksum;
        if ((sum == "0" && checked == DecodeStatus::kTcp) || (sum == "1" && bad)) difference = "checksum status " + sum;
      }
      if (!joined.bytes.empty()) joiner.Release(joined);
      if (!difference.empty()) {
        differences->push_back(folder.filename().string() + "\t" + std::to_string(frame.number) + "\t" + difference);
      }
    }
    port.value()->Release({frames, count});
  }
  // A record that the reader left out shifts all numbers behind it.
  if (port.value()->counters().Get(CaptureCounter::kLinkUnsupported) +
          port.value()->counters().Get(CaptureCounter::kLinkMalformed) != 0) {
    differences->clear();
    return 0;
  }
  return compared;
}

TEST(PacketGoldenTest, FieldsEqualTsharks) {
  std::set<std::string> exceptions, unused;
  std::ifstream file(kData + "flow/packets_exceptions.tsv");
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    exceptions.insert(line.substr(0, line.find('\t', line.find('\t') + 1)));
  }
  unused = exceptions;
  size_t compared = 0, excused = 0, different = 0;
  for (const auto& entry : fs::directory_iterator(kData + "pcap")) {
    if (!fs::exists(entry.path() / "packets.csv")) continue;
    std::vector<std::string> differences;
    compared += CompareCapture(entry.path(), &differences);
    for (const std::string& line : differences) {
      const std::string frame = line.substr(0, line.rfind('\t'));
      const std::string all = line.substr(0, line.find('\t')) + "\t*";  // a line for all frames of a capture
      if (exceptions.contains(frame) || exceptions.contains(all)) {
        ++excused;
        unused.erase(frame);
        unused.erase(all);
      } else {
        ++different;
        ADD_FAILURE() << line;
      }
    }
  }
  std::printf("REPORT packets: %zu of %zu frames equal tshark's, %zu explained\n", compared - excused - different, compared,
              excused);
  EXPECT_GT(compared, 2000u);
  for (const std::string& name : unused) ADD_FAILURE() << name << " is listed as an exception and is equal";
  EXPECT_LE(excused * 100, compared) << "over one in a hundred explained is a bug of ours";
}

}  // namespace
}  // namespace stillwatch::dataplane
