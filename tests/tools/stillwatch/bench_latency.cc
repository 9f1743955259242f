// bench_latency: what inline adds to a frame while workers have the worst work: gzip bodies that unpack to a thousand times their size,
// and prompts of 4,096 tokens. Two of DPDK's own devices in the place of network cards: one plays a capture round and round as
// fast as it is polled, the other takes what is sent. The real forwarder, the real decoders. Prints one table, from the same counters
// that a running box has (delay.*, wait.*): steps, not exact times.
//
// The devices always have a next burst, so the rings to the workers are full and what they cannot take is not looked at: this is the
// forwarder under overload.
#include <unistd.h>
#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "config/load.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/inline_pair.h"
#include "dataplane/engine/engine.h"
#include "dataplane/packet/flow_hash.h"
#include "tests/dataplane/frame_builder.h"
#include "tools/stillwatch/settings.h"

namespace stillwatch::benchmarks {
namespace {

using namespace dataplane;
using stillwatch::testing::BuildFrame;

std::string Gzip(const std::string& text) {
  z_stream stream{};
  CHECK(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  return packed;
}

std::string Chat(const std::string& text) {
  return R"({"model":"m","messages":[{"role":"user","content":")" + text + R"("}]})";
}

std::string Request(const std::string& body, bool packed) {
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer sk-one\r\nContent-Type: application/json\r\n" +
         std::string(packed ? "Content-Encoding: gzip\r\n" : "") + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// One capture of many connections: every second one a bomb.
class Capture {
 public:
  explicit Capture(const std::filesystem::path& path) : file_(path, std::ios::binary) {
    for (const uint32_t word : {0xa1b2c3d4u, 0x00040002u, 0u, 0u, 65535u, 1u}) Put(word);
  }
  void Connection(uint32_t number, const std::string& request) {
    const uint32_t client = 0x0a000000 + number;
    const auto port = static_cast<uint16_t>(20'000 + number);
    Frame({.src = client, .dst = 0xc0a80001, .src_port = port, .seq = 999, .flags = 2});
    Frame({.src = 0xc0a80001, .dst = client, .src_port = 80, .dst_port = port, .seq = 4'999, .ack = 1'000, .flags = 0x12});
    constexpr size_t kSegment = 1'400;
    for (size_t at = 0; at < request.size(); at += kSegment) {
      Frame({.src = client, .dst = 0xc0a80001, .src_port = port, .seq = static_cast<uint32_t>(1'000 + at), .ack = 5'000,
             .payload = std::string_view(request).substr(at, kSegment)});
    }
    const auto end = static_cast<uint32_t>(1'000 + request.size());
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    const auto answered = static_cast<uint32_t>(5'000 + answer.size());
    Frame({.src = 0xc0a80001, .dst = client, .src_port = 80, .dst_port = port, .seq = 5'000, .ack = end, .payload = answer});
    // Both sides end: the same connection may begin again when the capture comes round.
    Frame({.src = client, .dst = 0xc0a80001, .src_port = port, .seq = end, .ack = answered, .flags = 0x11});
    Frame({.src = 0xc0a80001, .dst = client, .src_port = 80, .dst_port = port, .seq = answered, .ack = end + 1, .flags = 0x11});
    Frame({.src = client, .dst = 0xc0a80001, .src_port = port, .seq = end + 1, .ack = answered + 1});
  }

 private:
  void Put(uint32_t word) { file_.write(reinterpret_cast<const char*>(&word), 4); }
  void Frame(const stillwatch::testing::TcpSegment& segment) {
    const std::vector<uint8_t> frame = BuildFrame(segment);
    const auto size = static_cast<uint32_t>(frame.size());
    for (const uint32_t word : {1u, 0u, size, size}) Put(word);
    file_.write(reinterpret_cast<const char*>(frame.data()), size);
  }
  std::ofstream file_;
};

class CountExchanges final : public ExchangeConsumer {
 public:
  void OnExchange(const ExchangeView&) override { ++exchanges; }
  void OnFlowRecord(const FlowRecord&) override {}
  void OnWatermark(uint64_t, int64_t) override {}
  unsigned long long exchanges = 0;
};

std::string Microseconds(std::optional<uint64_t> us) { return us.has_value() ? std::to_string(*us) : "over 10000"; }

void Measure(const std::filesystem::path& capture, size_t workers, const config::Config& config) {
  const Secrets secrets = ReadSecrets(config).value();
  InlinePairOptions options;
  options.driver = PortDriver::kVirtual;
  options.a = "net_pcap_a" + std::to_string(workers) + ",infinite_rx=1,rx_pcap=" + capture.string();
  options.b = "net_null_b" + std::to_string(workers) + ",no-rx=1";
  SystemClock clock;
  Heart heart;
  auto pair = InlinePair::Open(options, &heart, &clock);
  CHECK(pair.ok());
  CounterRegistry registry;
  CountExchanges consumer;
  {
    EngineOptions engine_options;
    engine_options.workers = workers;
    engine_options.flow_hash = &FlowHash;
    engine_options.salt = Salt{7};
    Engine engine(engine_options, pair.value()->ports(), DecoderFactory(WorkerOptionsOf(config, secrets), LlmOptionsOf(config, secrets)), &clock);
    engine.RegisterCounters(&registry);
    CHECK(engine.Start().ok());
    const int64_t end_ns = clock.MonotonicNs() + 4 * kNsPerSecond;
    while (clock.MonotonicNs() < end_ns) {
      engine.merger().Poll(&consumer);
      usleep(1'000);
    }
    engine.Stop();
    engine.Drain(&consumer);
    while (engine.running()) usleep(1'000);
  }
  const auto counters = registry.Snapshot();
  const auto delay = pair.value()->Delays(), wait = pair.value()->Waits();
  std::printf("%-26s%12llu%12llu%12llu", workers == 0 ? "one thread is both" : "forwarder and 1 worker",
              static_cast<unsigned long long>(pair.value()->Count(ForwardCounter::kSentB)),
              consumer.exchanges, static_cast<unsigned long long>(counters.at("http.decoded_ratio")));
  for (const auto& frames : {delay, wait}) {
    for (const uint64_t share : {500, 990, 999}) std::printf("%10s", Microseconds(LatencyQuantileUs(frames, share)).c_str());
  }
  std::printf("\n");
}

int Main() {
  EalOptions eal_options;
  eal_options.huge_pages = false;
  auto eal = Eal::Start(eal_options);
  CHECK(eal.ok());
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("stillwatch-latency-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const std::filesystem::path capture = folder / "worst.pcap";
  {
    Capture file(capture);
    const std::string bomb = Request(Gzip(Chat(std::string(4u << 20, ' '))), true);
    std::string words;
    for (int i = 0; i < 4'096; ++i) words += "word" + std::to_string(i * 7'919 % 4'096) + " ";
    const std::string prompt = Request(Chat(words), false);
    for (uint32_t i = 0; i < 64; ++i) file.Connection(i, i % 2 == 0 ? bomb : prompt);
  }
  const config::Config config = config::ParseConfig("", "(defaults)", std::vector<std::string>{}).value();
  std::printf("\nadded by inline while workers unpack bombs and read prompts of 4,096 tokens, in microseconds, at most (steps of a histogram)\n");
  std::printf("%-26s%12s%12s%12s%10s%10s%10s%10s%10s%10s\n", "", "frames", "exchanges", "bombs cut", "delay p50", "p99", "p99.9", "wait p50", "p99", "p99.9");
  for (const size_t workers : {1, 0}) Measure(capture, workers, config);
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace stillwatch::benchmarks

int main() { return stillwatch::benchmarks::Main(); }
