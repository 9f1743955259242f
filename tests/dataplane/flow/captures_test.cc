// Every capture's TCP directions against what tshark's "follow" found: length and SHA-256 of the payload.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/clock.h"
#include "tests/dataplane/null_http.h"
#include "tests/dataplane/stream_capture.h"

namespace stillwatch::dataplane {
namespace {

namespace fs = std::filesystem;
using testing::StreamSeen;

const std::string kData = std::string(STILLWATCH_SOURCE_DIR) + "/tests/data/";

WorkerOptions SmallWorker(bool ignore_checksums) {
  WorkerOptions options;
  options.flows_max = 4096;
  options.parsers_max = 256;
  options.decoders_max = 16;
  options.window_bytes_max = 1u << 20;
  options.reassembly_bytes_max = 8u << 20;
  options.tls.connections_max = 256, options.tls.buffers_max = 32, options.tls.wait_bytes_max = 1u << 20;
  options.flow_idle_ns = 365 * kNsPerDay;  // tshark ends no stream by silence
  options.ignore_checksums = ignore_checksums;
  return options;
}

// Whether one end's bytes are what tshark shows: all of them, or those up to a hole at which tshark stops.
bool SameBytes(const StreamSeen& flow, int side, uint64_t bytes, const std::string& sha256) {
  if (flow.bytes[side] == bytes && (bytes == 0 || flow.sha256[side] == sha256)) return true;
  return flow.gaps[side] != 0 && flow.bytes_to_gap[side] == bytes && (bytes == 0 || flow.sha256_to_gap[side] == sha256);
}

struct Match {
  const StreamSeen* flow = nullptr;  // nullptr: no flow between these ends
  bool same[2] = {};                 // a's bytes, b's bytes
};

// Of the flows between a row's ends, in either orientation, the one that fits best. Ports may be used again, and
// tshark does not number such flows as we do.
Match FindFlow(const std::vector<StreamSeen>& flows, const std::map<std::string, std::string>& row) {
  const std::string a = row.at("a") + ":" + row.at("aport"), b = row.at("b") + ":" + row.at("bport");
  Match best;
  for (const StreamSeen& flow : flows) {
    const std::string client = testing::AddressText(flow.client) + ":" + std::to_string(flow.client_port);
    const std::string server = testing::AddressText(flow.server) + ":" + std::to_string(flow.server_port);
    const bool swapped = client == b && server == a && a != b;
    if (!swapped && !(client == a && server == b)) continue;
    Match match;
    match.flow = &flow;
    match.same[0] = SameBytes(flow, swapped ? 1 : 0, std::stoull(row.at("a_bytes")), row.at("a_sha256"));
    match.same[1] = SameBytes(flow, swapped ? 0 : 1, std::stoull(row.at("b_bytes")), row.at("b_sha256"));
    if (best.flow == nullptr || match.same[0] + match.same[1] > best.same[0] + best.same[1]) best = match;
  }
  return best;
}

std::set<std::string> ReadExceptions() {
  std::set<std::string> exceptions;
  std::ifstream file(kData + "flow/streams_exceptions.tsv");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.empty() && line[0] != '#') exceptions.insert(line.substr(0, line.find('\t', line.find('\t') + 1)));
  }
  return exceptions;
}

TEST(StreamCapturesTest, DirectionsEqualTsharksFollow) {
  const std::set<std::string> exceptions = ReadExceptions();
  std::set<std::string> unused = exceptions;
  size_t directions = 0, equal = 0, excused = 0;
  for (const auto& entry : fs::directory_iterator(kData + "pcap")) {
    const std::string expected = entry.path().string() + "/streams.csv";
    if (!fs::exists(expected)) continue;
    std::string input = entry.path().string() + "/input.pcap";
    if (!fs::exists(input)) input += "ng";
    Result<std::unique_ptr<CapturePort>> port = OpenCaptures(std::vector<std::string>{input});
    ASSERT_TRUE(port.ok()) << port.message();
    testing::StreamCollector streams;
    testing::NullHttp http;
    testing::NullOutput output;
    std::unique_ptr<Worker> worker = MakeWorker(SmallWorker(true), &http, &output, &streams);
    testing::ReplayInto(port.value().get(), worker.get());
    size_t number = 0;
    for (const auto& row : testing::ReadCsv(expected)) {
      ++number;
      const Match match = FindFlow(streams.flows(), row);
      for (int end = 0; end < 2; ++end) {
        const std::string letter = end == 0 ? "a" : "b";
        if (row.at(letter + "_bytes") == "0" && match.flow == nullptr) continue;
        ++directions;
        const std::string name = entry.path().filename().string() + "\t" + std::to_string(number) + letter;
        if (match.flow != nullptr && match.same[end]) {
          ++equal;
        } else if (exceptions.contains(name)) {
          unused.erase(name);
          ++excused;
        } else {
          ADD_FAILURE() << name << ": expected " << row.at(letter + "_bytes") << " bytes, "
                        << (match.flow == nullptr ? "no such flow" : "other bytes");
        }
      }
    }
  }
  std::printf("REPORT streams: %zu of %zu TCP directions equal tshark's, %zu explained\n", equal, directions, excused);
  EXPECT_GT(directions, 900u);
  for (const std::string& name : unused) ADD_FAILURE() << name << " is listed as an exception and is equal";
  EXPECT_LE(excused * 100, directions) << "over one in a hundred explained is a bug of ours";
}

TEST(MalformedCapturesTest, AreReadToTheirEndWithTheSameCountersTwice) {
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kData + "malformed")) {
    const std::string extension = entry.path().extension();
    if (!entry.is_regular_file() || extension == ".csv" || extension == ".json" || extension == ".md") continue;
    std::map<std::string, uint64_t> counters[2];
    for (auto& counted : counters) {
      Result<std::unique_ptr<CapturePort>> port = OpenCaptures(std::vector<std::string>{entry.path().string()});
      if (!port.ok()) continue;
      testing::NullHttp http;
      testing::NullOutput output;
      CounterRegistry registry;
      std::unique_ptr<Worker> worker = MakeWorker(SmallWorker(false), &http, &output);
      worker->RegisterCounters(&registry);
      port.value()->RegisterCounters(&registry);
      testing::ReplayInto(port.value().get(), worker.get());
      counted = registry.Snapshot();
    }
    EXPECT_EQ(counters[0], counters[1]) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 400u);
}

}  // namespace
}  // namespace stillwatch::dataplane
