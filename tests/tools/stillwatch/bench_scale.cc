// bench_scale: what a forwarder alone can do, and what many flows cost. Prints two tables.
//
// Forwarder: frames from memory through the real forwarder (fragment check, inner header decode and flow hash, reference,
// ring), two lanes whose worker does nothing. Only the forwarder's own time is counted, by the time stamp counter around each
// round; the rings are emptied by the same thread in between, so what other processors' cache lines cost is not in it. Beside it
// the same frames with one lane, where no hash is needed, and the port alone. Best of several rounds: a shared machine only adds.
//
// Flows: a worker with room for a million flows, each opened by a handshake, some of them in the middle of a body.
#include <sys/resource.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/endian.h"
#include "config/load.h"
#include "dataplane/engine/forwarder.h"
#include "dataplane/packet/flow_hash.h"
#include "dataplane/port/memory_port.h"
#include "tests/dataplane/frame_builder.h"
#include "tools/stillwatch/settings.h"

namespace stillwatch::benchmarks {
namespace {

using namespace dataplane;
using stillwatch::testing::BuildFrame;

class Nothing final : public Worker {
 public:
  LookResult Look(const Frame&) override { return LookResult::kDone; }
  LookResult Continue() override { return LookResult::kDone; }
  void Tick(uint64_t, int64_t) override {}
  void Finish(uint64_t, int64_t) override {}
  void RegisterCounters(CounterRegistry*) override {}
};

double TicksASecond() {
  const auto begin = std::chrono::steady_clock::now();
  const uint64_t ticks = __rdtsc();
  while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(100)) {
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(__rdtsc() - ticks) / passed.count();
}

// VXLAN around a frame, so that the hash needs the inner headers.
std::vector<uint8_t> Wrapped(const std::vector<uint8_t>& inner, uint32_t flow) {
  std::vector<uint8_t> udp;
  stillwatch::testing::Append(&udp, 49'152 + flow % 1'000, 2);
  stillwatch::testing::Append(&udp, 4789, 2);
  stillwatch::testing::Append(&udp, 8 + 8 + inner.size(), 2);
  stillwatch::testing::Append(&udp, 0, 2);
  stillwatch::testing::Append(&udp, 0x0800000000000100, 8);
  udp.insert(udp.end(), inner.begin(), inner.end());
  std::vector<uint8_t> ip;
  stillwatch::testing::Append(&ip, 0x4500, 2);
  stillwatch::testing::Append(&ip, 20 + udp.size(), 2);
  stillwatch::testing::Append(&ip, 0x12344000, 4);
  stillwatch::testing::Append(&ip, 0x40110000, 4);
  stillwatch::testing::Append(&ip, 0xc0a80001c0a80002, 8);
  StoreBe16(&ip[10], stillwatch::testing::PlainChecksum(ip));
  ip.insert(ip.end(), udp.begin(), udp.end());
  return stillwatch::testing::Ethernet(ip);
}

enum class Frames { kPlain, kTagged, kVxlan };

void Fill(MemoryPort* port, Frames kind) {
  constexpr uint32_t kFlows = 4'096;  // 4,096 frames of about 300 bytes: not all in the nearest cache
  const std::string payload(220, 'p');
  for (uint32_t i = 0; i < kFlows; ++i) {
    stillwatch::testing::TcpSegment segment{.src = 0x0a000000 + i * 77, .src_port = static_cast<uint16_t>(1'024 + i), .seq = i, .payload = payload};
    if (kind == Frames::kTagged) segment.vlan_types = {0x8100};
    const std::vector<uint8_t> frame = BuildFrame(segment);
    port->Add(kind == Frames::kVxlan ? Wrapped(frame, i) : frame, 1'000 * kNsPerSecond);
  }
}

// Frames a second, in millions; lanes 0: the port alone.
double Mpps(Frames kind, size_t lanes_count, double ticks_a_second) {
  constexpr uint64_t kRounds = 200, kTries = 7;
  double best = 0;
  for (uint64_t attempt = 0; attempt < kTries; ++attempt) {
    MemoryPort port(false, kRounds);
    Fill(&port, kind);
    SentUpTo sent[1];
    std::atomic<bool> abandoned{false};
    uint64_t ticks = 0;
    if (lanes_count == 0) {
      Frame frames[kBurstMax];
      uint64_t begin = __rdtsc();
      while (!port.at_end()) port.Release({frames, port.Receive(frames)});
      ticks = __rdtsc() - begin;
    } else {
      std::vector<std::unique_ptr<Lane>> lanes;
      for (size_t i = 0; i < lanes_count; ++i) {
        Lane::Options options;
        options.index = i;
        lanes.push_back(std::make_unique<Lane>(options, [](size_t, WorkerOutput*) { return std::make_unique<Nothing>(); }, sent, &abandoned));
      }
      Forwarder::Options options;
      options.flow_hash = &FlowHash;
      options.salt = Salt{7};
      SystemClock clock;
      Forwarder forwarder(options, &port, lanes, sent, &clock);
      while (!port.at_end()) {
        const uint64_t begin = __rdtsc();
        for (int i = 0; i < 16 && !port.at_end(); ++i) forwarder.Step();
        ticks += __rdtsc() - begin;
        for (const auto& lane : lanes) {
          while (lane->Step()) {
          }
        }
      }
      CHECK(forwarder.counters().Get(ForwarderCounter::kWorkerRingFull) == 0);
      forwarder.End();
      forwarder.Reclaim();
    }
    best = std::max(best, static_cast<double>(port.received()) * ticks_a_second / static_cast<double>(ticks) / 1e6);
  }
  return best;
}

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Several forwarders at once, each with a queue of its own, all with the same two workers: million frames that each handles in a
// second of its thread's processor time, so that a machine with fewer processors than threads tells what they cost one another
// and not how it shares them. All step together; what they hand over is taken between the steps.
double MppsOfEach(size_t forwarders_count) {
  constexpr uint64_t kRounds = 100;
  std::vector<std::unique_ptr<MemoryPort>> ports;
  std::vector<SentUpTo> sent(forwarders_count);
  std::atomic<bool> abandoned{false};
  std::vector<std::unique_ptr<Lane>> lanes;
  for (size_t i = 0; i < 2; ++i) {
    Lane::Options options;
    options.index = i;
    lanes.push_back(std::make_unique<Lane>(options, [](size_t, WorkerOutput*) { return std::make_unique<Nothing>(); }, sent, &abandoned));
  }
  SystemClock clock;
  std::vector<std::unique_ptr<Forwarder>> forwarders;
  for (size_t i = 0; i < forwarders_count; ++i) {
    ports.push_back(std::make_unique<MemoryPort>(false, kRounds));
    Fill(ports.back().get(), Frames::kPlain);
    Forwarder::Options options;
    options.flow_hash = &FlowHash;
    options.salt = Salt{7};
    options.index = i;
    options.forwarders = forwarders_count;
    forwarders.push_back(std::make_unique<Forwarder>(options, ports.back().get(), lanes, &sent[i], &clock));
  }
  std::barrier turn(static_cast<std::ptrdiff_t>(forwarders_count) + 1);
  std::atomic<bool> over{false};
  std::vector<double> seconds(forwarders_count);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < forwarders_count; ++i) {
    threads.emplace_back([&, i] {
      for (;;) {
        turn.arrive_and_wait();
        if (over.load()) return;
        const double begin = ThreadSeconds();
        for (int step = 0; step < 32 && !ports[i]->at_end(); ++step) forwarders[i]->Step();
        seconds[i] += ThreadSeconds() - begin;
        turn.arrive_and_wait();
      }
    });
  }
  while (!std::all_of(ports.begin(), ports.end(), [](const auto& port) { return port->at_end(); })) {
    turn.arrive_and_wait();
    turn.arrive_and_wait();
    for (const auto& lane : lanes) {
      for (int idle = 0; idle < 2;) idle = lane->Step() ? 0 : idle + 1;
    }
  }
  over.store(true);
  turn.arrive_and_wait();
  for (std::thread& thread : threads) thread.join();
  uint64_t frames = 0, dropped = 0;
  double all = 0;
  for (size_t i = 0; i < forwarders_count; ++i) {
    frames += ports[i]->received();
    all += seconds[i];
    dropped += forwarders[i]->counters().Get(ForwarderCounter::kWorkerRingFull);
  }
  CHECK(dropped == 0);
  return static_cast<double>(frames) / all / 1e6;
}

uint64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

class CountExchanges final : public WorkerOutput {
 public:
  void OnExchange(const ExchangeView&) override {}
  void OnFlowRecord(const FlowRecord&) override {}
};

void ManyFlows(uint32_t flows, uint32_t in_body) {
  const config::Config config = config::ParseConfig("", "(defaults)", std::vector<std::string>{"flow.flows_max=" + std::to_string(flows * 2)}).value();
  const Secrets secrets = ReadSecrets(config).value();
  const uint64_t before = ResidentBytes();
  CountExchanges output;
  const auto worker = DecoderFactory(WorkerOptionsOf(config, secrets), LlmOptionsOf(config, secrets))(0, &output);
  CounterRegistry registry;
  worker->RegisterCounters(&registry);
  const uint64_t empty = ResidentBytes();
  const std::string head = "POST /v1/chat/completions HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer sk-one\r\nContent-Type: application/json\r\n"
                           "Content-Length: 100000\r\n\r\n{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"" + std::string(1'000, 'q');
  uint64_t number = 0;
  const auto look = [&](const std::vector<uint8_t>& bytes) {
    const Frame frame{bytes, static_cast<uint32_t>(bytes.size()), 0, ++number, 1'700'000'000 * kNsPerSecond + static_cast<int64_t>(number) * 1'000};
    LookResult more = worker->Look(frame);
    while (more == LookResult::kMore) more = worker->Continue();
  };
  for (uint32_t i = 0; i < flows; ++i) {
    const uint32_t client = 0x0a000000 + i / 32'768;
    const auto port = static_cast<uint16_t>(1'024 + i % 32'768);
    look(BuildFrame({.src = client, .dst = 0xc0a80001, .src_port = port, .seq = 1'000, .flags = 2}));
    look(BuildFrame({.src = 0xc0a80001, .dst = client, .src_port = 80, .dst_port = port, .seq = 5'000, .ack = 1'001, .flags = 0x12}));
    look(BuildFrame({.src = client, .dst = 0xc0a80001, .src_port = port, .seq = 1'001, .ack = 5'001,
                     .payload = i < in_body ? std::string_view(head) : std::string_view()}));
  }
  const uint64_t full = ResidentBytes();
  const auto counters = registry.Snapshot();
  const auto mib = [](uint64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  std::printf("\n%u flows open, %llu of them in a request's body (%llu HTTP, %llu evicted, %llu without a parser)\n", flows,
              static_cast<unsigned long long>(in_body), static_cast<unsigned long long>(counters.at("flow.http")),
              static_cast<unsigned long long>(counters.at("flow.evicted")), static_cast<unsigned long long>(counters.at("flow.parser_pool_empty")));
  std::printf("  resident: %.0f MiB before the worker, %.0f MiB with its empty tables, %.0f MiB with all flows; %.0f bytes a flow\n",
              mib(before), mib(empty), mib(full), static_cast<double>(full - empty) / flows);
}

int Main() {
  const double ticks = TicksASecond();
  std::printf("a forwarder alone, frames of memory, million frames a second of one core\n%-28s%12s%12s%12s\n", "", "port alone", "1 worker", "2 workers");
  for (const auto& [name, kind] : {std::pair("TCP over IPv4", Frames::kPlain), {"the same, 802.1Q", Frames::kTagged}, {"the same in VXLAN", Frames::kVxlan}}) {
    std::printf("%-28s%12.1f%12.1f%12.1f\n", name, Mpps(kind, 0, ticks), Mpps(kind, 1, ticks), Mpps(kind, 2, ticks));
  }
  std::printf("\nforwarders at once, million frames a second of processor time of each, 2 workers\n");
  for (const size_t forwarders : {1, 2, 4}) std::printf("%-28zu%12.1f\n", forwarders, MppsOfEach(forwarders));
  ManyFlows(1'000'000, 10'000);
  return 0;
}

}  // namespace
}  // namespace stillwatch::benchmarks

int main() { return stillwatch::benchmarks::Main(); }
