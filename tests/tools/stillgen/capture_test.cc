// Captures: the same words give the same bytes; every frame is well formed by checks written anew here;
// every exchange is complete in the TCP streams; tshark agrees.
#include "tools/stillgen/capture.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/endian.h"
#include "tools/stillgen/http_reader.h"
#include "tools/stillgen/scenario.h"
#include "tools/stillgen/truth.h"

namespace stillwatch::stillgen {
namespace {

class CaptureTest : public testing::Test {
 protected:
  CaptureTest() : folder_(std::filesystem::temp_directory_path() / ("stillgen-test-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~CaptureTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, uint64_t seed, CaptureOptions options = {}) {
    world_ = std::make_unique<World>(WorldOptions{.seed = seed, .duration_ns = kNsPerHour, .scale = 0.3});
    BuildWorld(ParseMix("chat=40,backend=2,agent=15,classroom=1x10,harness=1,batch=1,t1=1x12,t4=1x12,t6=1x8").value(), world_.get());
    options.path = folder_ / name;
    const auto totals = WriteCapture(world_.get(), options);
    EXPECT_TRUE(totals.ok());
    totals_ = totals.value();
    std::ifstream file(options.path, std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    return bytes.str();
  }

  std::filesystem::path folder_;
  std::unique_ptr<World> world_;
  CaptureTotals totals_;
};

// The plain 16-bit loop of RFC 1071, section 4.1.
uint16_t PlainSum(std::string_view bytes, uint32_t sum = 0) {
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) sum += LoadBe16(bytes.data() + i);
  if (bytes.size() % 2 == 1) sum += static_cast<uint32_t>(static_cast<uint8_t>(bytes.back())) << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

struct Stream {
  std::map<uint32_t, std::string> segments;  // by offset from the SYN
  uint32_t start = 0;
  bool syn = false, fin = false;
};

// Checks every record and collects the streams by "client|side".
std::map<std::string, Stream> ReadFrames(const std::string& file) {
  std::map<std::string, Stream> streams;
  EXPECT_EQ(LoadLe<uint32_t>(file.data()), 0xa1b2c3d4u);
  uint64_t last = 0;
  for (size_t at = 24; at < file.size();) {
    const uint64_t time = LoadLe<uint32_t>(&file[at]) * 1000000ull + LoadLe<uint32_t>(&file[at + 4]);
    const uint32_t size = LoadLe<uint32_t>(&file[at + 8]);
    EXPECT_EQ(size, LoadLe<uint32_t>(&file[at + 12]));
    EXPECT_GE(time, last) << "timestamps step back";
    last = time;
    const std::string_view frame = std::string_view(file).substr(at + 16, size);
    at += 16 + size;
    const bool v6 = LoadBe16(&frame[12]) == 0x86dd;
    const std::string_view ip = frame.substr(14);
    const size_t ip_size = v6 ? 40 : 20;
    const std::string_view tcp = ip.substr(ip_size);
    const std::string_view addresses = v6 ? ip.substr(8, 32) : ip.substr(12, 8);
    if (v6) {
      EXPECT_EQ(LoadBe16(&ip[4]), tcp.size());
    } else {
      EXPECT_EQ(LoadBe16(&ip[2]), ip.size());
      EXPECT_EQ(PlainSum(ip.substr(0, 20)), 0xffff);
    }
    EXPECT_EQ(PlainSum(tcp, PlainSum(addresses) + 6u + static_cast<uint32_t>(tcp.size())), 0xffff);
    EXPECT_LE(frame.size(), 1514u);
    const bool from_server = LoadBe16(&tcp[0]) == 80;
    const size_t half = addresses.size() / 2;
    std::string key(from_server ? addresses.substr(half) : addresses.substr(0, half));
    key += std::string(from_server ? tcp.substr(2, 2) : tcp.substr(0, 2)) + (from_server ? "s" : "c");
    Stream& stream = streams[key];
    const uint8_t flags = static_cast<uint8_t>(tcp[13]);
    const uint32_t sequence = LoadBe32(&tcp[4]);
    if (flags & 2) {
      stream.syn = true;
      stream.start = sequence + 1;
    }
    if (flags & 1) stream.fin = true;
    const std::string_view payload = tcp.substr(static_cast<size_t>(static_cast<uint8_t>(tcp[12]) >> 4) * 4);
    if (!payload.empty()) stream.segments[sequence - stream.start] = payload;
  }
  return streams;
}

uint64_t CountMessages(const std::map<std::string, Stream>& streams, char side) {
  uint64_t count = 0;
  for (const auto& [key, stream] : streams) {
    if (key.back() != side) continue;
    EXPECT_TRUE(stream.syn && stream.fin);
    HttpReader reader;
    uint32_t at = 0;
    for (const auto& [offset, payload] : stream.segments) {
      EXPECT_EQ(offset, at) << "a hole in the stream";
      at = offset + static_cast<uint32_t>(payload.size());
      for (auto state = reader.Feed(payload); state == HttpReader::State::kDone; state = reader.Next()) ++count;
    }
    EXPECT_TRUE(reader.idle()) << "an unfinished message";
  }
  return count;
}

TEST_F(CaptureTest, SameWordsSameBytesOtherSeedOtherBytes) {
  const std::string first = Write("a.pcap", 11), second = Write("b.pcap", 11), other = Write("c.pcap", 12);
  EXPECT_TRUE(first == second);
  EXPECT_FALSE(first == other);
}

TEST_F(CaptureTest, FramesAreWellFormedAndEveryExchangeIsComplete) {
  const std::string file = Write("a.pcap", 21);
  const auto streams = ReadFrames(file);
  ASSERT_GT(totals_.exchanges, 300u);
  EXPECT_EQ(streams.size(), 2 * totals_.connections);
  EXPECT_EQ(CountMessages(streams, 'c'), totals_.exchanges);
  EXPECT_EQ(CountMessages(streams, 's'), totals_.exchanges);
}

TEST_F(CaptureTest, ReorderedRepeatedAndLateSegmentsStillMakeTheSameExchanges) {
  CaptureOptions rough;
  rough.reorder = 0.05;
  rough.dup = 0.05;
  rough.loss = 0.02;
  const std::string file = Write("a.pcap", 21, rough);
  const auto streams = ReadFrames(file);
  EXPECT_EQ(CountMessages(streams, 'c'), totals_.exchanges);
  EXPECT_EQ(CountMessages(streams, 's'), totals_.exchanges);
}

TEST_F(CaptureTest, TruthCountsWhatTheCaptureHolds) {
  Write("a.pcap", 31);
  const auto truth = TruthOf(*world_, "mix", "key");
  uint64_t requests = 0, harvest = 0;
  std::map<std::string, uint64_t> members;
  for (const auto& row : truth["accounts"]) {
    requests += row["requests"].get<uint64_t>();
    harvest += row["harvest"].get<uint64_t>();
    EXPECT_EQ(row["campaign"].is_null(), row["kind"] != "t1" && row["kind"] != "t4" && row["kind"] != "t6");
    if (row["campaign"].is_null()) {
      EXPECT_EQ(row["harvest"], 0);
    } else {
      ++members[row["campaign"]];
    }
  }
  EXPECT_EQ(requests, totals_.exchanges);
  EXPECT_EQ(truth["totals"]["requests"], requests);
  EXPECT_EQ(truth["totals"]["harvest"], harvest);
  for (const auto& campaign : truth["campaigns"]) EXPECT_EQ(campaign["accounts"].size(), members[campaign["campaign"]]);
}

TEST_F(CaptureTest, TsharkSeesNoFaultAndAllRequests) {
  if (std::system("command -v tshark >/dev/null 2>&1") != 0) GTEST_SKIP() << "tshark is not installed";
  Write("a.pcap", 41);
  const auto count = [&](const std::string& filter) {
    const std::string command = "tshark -r '" + (folder_ / "a.pcap").string() +
                                "' -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -Y '" + filter + "' 2>/dev/null | wc -l";
    std::FILE* pipe = popen(command.c_str(), "r");
    unsigned long lines = 0;
    EXPECT_EQ(std::fscanf(pipe, "%lu", &lines), 1);
    pclose(pipe);
    return lines;
  };
  EXPECT_EQ(count("tcp.checksum.status == 0 || ip.checksum.status == 0"), 0u);
  EXPECT_EQ(count("_ws.malformed || tcp.analysis.lost_segment || tcp.analysis.retransmission || tcp.analysis.out_of_order"), 0u);
  EXPECT_EQ(count("http.request"), totals_.exchanges);
  EXPECT_EQ(count("http.response"), totals_.exchanges);
}

TEST_F(CaptureTest, AFileThatCannotBeMadeIsSaid) {
  World world({.seed = 1});
  CaptureOptions options;
  options.path = folder_ / "no" / "such.pcap";
  const auto totals = WriteCapture(&world, options);
  ASSERT_FALSE(totals.ok());
  EXPECT_NE(totals.message().find("such.pcap: No such file"), std::string::npos);
}

}  // namespace
}  // namespace stillwatch::stillgen
