// Every capture's TCP directions against what tshark's "follow" found: length and SHA-256 of the payload.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <set>

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
  options.ignore_checksums = ignore_checksums;
  return options;
}

// The k-th flow between these two ends, in either orientation; nullptr when there are fewer.
const StreamSeen* FindFlow(const std::vector<StreamSeen>& flows, const std::map<std::string, std::string>& row,
                           size_t k, bool* swapped) {
  const std::string a = row.at("a") + ":" + row.at("aport"), b = row.at("b") + ":" + row.at("bport");
  for (const StreamSeen& flow : flows) {
    const std::string client = testing::AddressText(flow.client) + ":" + std::to_string(flow.client_port);
    const std::string server = testing::AddressText(flow.server) + ":" + std::to_string(flow.server_port);
    *swapped = client == b && server == a && a != b;
    if (!*swapped && !(client == a && server == b)) continue;
    if (k == 0) return &flow;
    --k;
  }
  return nullptr;
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
    std::map<std::string, size_t> seen_before;
    size_t number = 0;
    for (const auto& row : testing::ReadCsv(expected)) {
      ++number;
      const std::string ends = std::min(row.at("a") + ":" + row.at("aport"), row.at("b") + ":" + row.at("bport")) +
                               std::max(row.at("a") + ":" + row.at("aport"), row.at("b") + ":" + row.at("bport"));
      bool swapped = false;
      const StreamSeen* flow = FindFlow(streams.flows(), row, seen_before[ends]++, &swapped);
      for (const char* end : {"a", "b"}) {
        const uint64_t bytes = std::stoull(row.at(std::string(end) + "_bytes"));
        if (bytes == 0 && flow == nullptr) continue;
        ++directions;
        const int side = (end[0] == 'a') == !swapped ? 0 : 1;
        const bool same = flow != nullptr && flow->bytes[side] == bytes &&
                          (bytes == 0 || flow->sha256[side] == row.at(std::string(end) + "_sha256"));
        if (same) {
          ++equal;
          continue;
        }
        const std::string name = entry.path().filename().string() + "\t" + std::to_string(number) + end;
        if (exceptions.contains(name)) {
          unused.erase(name);
          ++excused;
          continue;
        }
        ADD_FAILURE() << name << ": expected " << bytes << " bytes, "
                      << (flow == nullptr ? "no such flow" : "got " + std::to_string(flow->bytes[side]) + ", gaps " +
                                                                std::to_string(flow->gaps[side]));
      }
    }
  }
  std::printf("REPORT streams: %zu of %zu TCP directions equal tshark's, %zu explained\n", equal, directions, excused);
  EXPECT_GT(directions, 1000u);
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
