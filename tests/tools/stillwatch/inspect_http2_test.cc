// inspect --layer http2: payloads as the public frame vectors state them, and on every HTTP/2 capture the frames that
// tshark lists, in its order for each direction.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "tests/tools/stillwatch/inspect_lines.h"
#include "tools/stillwatch/http2_json.h"
#include "tools/stillwatch/inspect_layers.h"

namespace stillwatch {
namespace {

using nlohmann::json;
using std::string;

const std::filesystem::path kData = STILLWATCH_SOURCE_DIR "/tests/data/";

TEST(InspectHttp2, PayloadsOfThePublicVectors) {
  std::ifstream file(kData / "http2-frames" / "frames.json");
  size_t payloads = 0;
  const json cases = json::parse(file);
  for (const json& c : cases) {
    if (!c["error"].is_null()) continue;
    string wire;
    ASSERT_TRUE(ParseHex(c["wire"].get<string>(), &wire));
    const auto header = dataplane::ReadHttp2Header(reinterpret_cast<const uint8_t*>(wire.data()));
    const string payload = wire.substr(dataplane::kHttp2HeaderBytes);
    EXPECT_EQ(json::parse(Http2PayloadJson(header, payload)), c["frame"]["frame_payload"]) << c["id"];
    ++payloads;
  }
  EXPECT_EQ(payloads, 6u);
}

using Frames = std::map<string, string>;  // by source port: "type stream length;" of each frame in order

Frames Ours(const string& capture) {
  dataplane::WorkerOptions options;
  options.flows_max = 4'096;
  options.ignore_checksums = true;
  Frames frames;
  for (const json& frame : testing::InspectLines(InspectHttp2, capture, options)) {
    frames[frame["sport"].dump() + ">" + frame["dport"].dump()] +=
        frame["type"].dump() + " " + frame["stream_identifier"].dump() + " " + frame["length"].dump() + ";";
  }
  return frames;
}

Frames Tsharks(const string& capture) {
  const string command = "tshark -r '" + capture +
                         "' -d tcp.port==3000,http2 -d tcp.port==443,http2 -o tcp.reassemble_out_of_order:TRUE -Y http2 "
                         "-T fields -e tcp.srcport -e tcp.dstport -e http2.type -e http2.streamid -e http2.length 2>/dev/null";
  std::FILE* const pipe = popen(command.c_str(), "r");
  string text;
  char buffer[4'096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, n);
  EXPECT_EQ(pclose(pipe), 0);
  Frames frames;
  std::istringstream lines(text);
  for (string line; std::getline(lines, line);) {
    std::istringstream cells(line);
    string from, to, types, streams, lengths;
    std::getline(cells, from, '\t');
    std::getline(cells, to, '\t');
    std::getline(cells, types, '\t');
    std::getline(cells, streams, '\t');
    std::getline(cells, lengths, '\t');
    std::istringstream type(types), stream(streams), length(lengths);
    for (string t, s, l; std::getline(type, t, ',') && std::getline(stream, s, ',') && std::getline(length, l, ',');) {
      frames[from + ">" + to] += t + " " + s + " " + l + ";";
    }
  }
  return frames;
}

TEST(InspectHttp2, FramesAsTsharkListsThem) {
  if (std::system("tshark --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "tshark is not installed";
  for (const char* name : {"suricata-http2-basic", "suricata-http2-continuation", "suricata-http2-deflate", "suricata-http2-range",
                           "suricata-dns-over-http2-progress", "suricata-http2-compression-bug"}) {
    const string capture = kData / "pcap" / name / "input.pcap";
    const Frames ours = Ours(capture);
    EXPECT_FALSE(ours.empty()) << name;
    EXPECT_EQ(ours, Tsharks(capture)) << name;
  }
}

}  // namespace
}  // namespace stillwatch
