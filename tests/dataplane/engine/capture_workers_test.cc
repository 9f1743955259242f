// The whole decoder behind the engine: captures of other projects, merged into one stream, give the
// same records in the same order with one, two and three workers.
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "base/endian.h"
#include "base/hash.h"
#include "dataplane/engine/engine.h"
#include "dataplane/packet/flow_hash.h"
#include "dataplane/port/capture_file.h"
#include "dataplane/port/memory_port.h"
#include "tests/dataplane/engine/decoder.h"

namespace stillwatch::dataplane {
namespace {

// One line a record: its kind, order and a hash of all its bytes.
class Lines final : public ExchangeConsumer {
 public:
  void OnExchange(const ExchangeView& exchange) override {
    Add("exchange", exchange.header().order, exchange.block());
    ++exchanges;
  }
  void OnFlowRecord(const FlowRecord& record) override {
    Add("flow", record.order, {reinterpret_cast<const uint8_t*>(&record), sizeof record});
    ++flow_records;
    bytes += record.bytes_from_client + record.bytes_from_server;
  }
  void OnWatermark(uint64_t packet, int64_t time_ns) override {
    text_ << "watermark " << packet << ' ' << time_ns << '\n';
  }
  std::string text() const { return text_.str(); }

  size_t exchanges = 0, flow_records = 0;
  uint64_t bytes = 0;

 private:
  void Add(const char* kind, const OrderKey& order, Bytes record) {
    text_ << kind << ' ' << order.packet << ' ' << order.flow_hash << ' ' << order.index << ' '
          << KeyedHash64(record, Salt{}) << '\n';
  }
  std::ostringstream text_;
};

std::vector<std::string> Captures() {
  std::vector<std::string> paths;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(STILLWATCH_SOURCE_DIR "/tests/data/pcap")) {
    if (entry.path().stem() == "input") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

Lines Replay(const std::vector<std::string>& paths, size_t workers) {
  auto port = OpenCaptures(paths);
  EXPECT_TRUE(port.ok()) << port.message();
  EngineOptions options;
  options.workers = workers;
  options.flow_hash = &FlowHash;
  Engine engine(options, port.value().get(),
                [](size_t, WorkerOutput* output) { return std::make_unique<Decoder>(output); });
  EXPECT_TRUE(engine.Start().ok());
  Lines lines;
  engine.Drain(&lines);
  while (engine.running()) std::this_thread::yield();
  for (const auto& lane : engine.lanes())
    EXPECT_EQ(lane->output().counters().Get(LaneCounter::kOutOfOrder), 0u);
  return lines;
}

TEST(CaptureWorkersTest, OneTwoAndThreeWorkersGiveTheSameRecords) {
  const std::vector<std::string> paths = Captures();
  ASSERT_GT(paths.size(), 20u);
  const Lines one = Replay(paths, 1);
  EXPECT_GT(one.flow_records, paths.size() / 2);
  for (const size_t workers : {0, 2, 3}) {
    const Lines other = Replay(paths, workers);
    std::istringstream expected(one.text()), actual(other.text());
    std::string left, right;
    for (size_t line = 1; std::getline(expected, left); ++line) {
      ASSERT_TRUE(std::getline(actual, right)) << workers << " workers end at line " << line;
      ASSERT_EQ(left, right) << workers << " workers, line " << line;
    }
    EXPECT_FALSE(std::getline(actual, right)) << workers << " workers add " << right;
  }
}

// Cuts the IPv4 datagram of an Ethernet frame into fragments of at most `piece` payload bytes (a
// multiple of 8).
std::vector<std::string> Fragments(Bytes frame, size_t piece) {
  const size_t header = 14 + (frame[14] & 15u) * 4u;
  const size_t end = 14 + LoadBe16(&frame[16]);
  std::vector<std::string> out;
  for (size_t at = header; at < end; at += piece) {
    const size_t size = std::min(piece, end - at);
    std::string part(AsText(frame.first(header)));
    part += AsText(frame.subspan(at, size));
    StoreBe16(part.data() + 16, static_cast<uint16_t>(header - 14 + size));
    StoreBe16(part.data() + 20,
              static_cast<uint16_t>((at - header) / 8 | (at + size < end ? 0x2000 : 0)));
    out.push_back(part);
  }
  return out;
}

// The same in an IPv4 packet between other hosts (IP in IP).
std::string Tunnelled(Bytes frame) {
  std::string outer(AsText(frame.first(14)));
  outer += std::string("\x45\0\0\0\0\0\0\0\x40\x04\0\0\xc0\0\2\1\xc0\0\2\2", 20);
  StoreBe16(outer.data() + 16, static_cast<uint16_t>(20 + frame.size() - 14));
  return outer + std::string(AsText(frame.subspan(14)));
}

// A flow of which some packets came in fragments is one flow, whichever worker has it, also where a tunnel carries them.
TEST(CaptureWorkersTest, FragmentsReachTheWorkerOfTheirFlow) {
  const auto replay = [](size_t workers, uint64_t salt, bool fragments, bool tunnel) {
    auto source = OpenCaptures(std::vector<std::string>{
        STILLWATCH_SOURCE_DIR "/tests/data/pcap/pcapplusplus-one_http_stream_fin/input.pcap"});
    EXPECT_TRUE(source.ok());
    MemoryPort port;
    Frame frame;
    size_t cut = 0;
    const auto add = [&](Bytes bytes) { port.Add(tunnel ? AsBytes(Tunnelled(bytes)) : bytes, frame.time_ns); };
    while (source.value()->Receive({&frame, 1}) == 1) {
      if (fragments && frame.bytes.size() > 400) {
        // The last fragment first: order must not matter.
        std::vector<std::string> parts = Fragments(frame.bytes, 200);
        std::rotate(parts.begin(), parts.end() - 1, parts.end());
        for (const std::string& part : parts) add(AsBytes(part));
        ++cut;
      } else {
        add(frame.bytes);
      }
      source.value()->Release({&frame, 1});
    }
    EXPECT_EQ(cut > 3, fragments);
    EngineOptions options;
    options.workers = workers;
    options.flow_hash = &FlowHash;
    options.salt = Salt{salt};
    Engine engine(options, &port, [](size_t, WorkerOutput* output) {
      WorkerOptions worker;
      worker.ignore_checksums = true;
      return std::make_unique<Decoder>(output, worker);
    });
    EXPECT_TRUE(engine.Start().ok());
    Lines lines;
    engine.Drain(&lines);
    while (engine.running()) std::this_thread::yield();
    EXPECT_EQ(port.released(), port.received());
    return lines;
  };
  const Lines whole = replay(1, 0, false, false);
  ASSERT_EQ(whole.flow_records, 1u);
  // Another salt puts the flow, and what a bare address would hash to, on other workers.
  for (uint64_t salt = 0; salt < 8; ++salt) {
    for (const bool tunnel : {false, true}) {
      const Lines cut = replay(3, salt, true, tunnel);
      EXPECT_EQ(cut.flow_records, 1u) << salt << tunnel;
      EXPECT_EQ(cut.bytes, whole.bytes) << salt << tunnel;
    }
  }
  const Lines alone = replay(1, 0, true, true);
  EXPECT_EQ(alone.flow_records, 1u);
  EXPECT_EQ(alone.bytes, whole.bytes);
}

}  // namespace
}  // namespace stillwatch::dataplane
