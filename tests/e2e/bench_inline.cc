// Figures for docs/inline.md (tools/bench inline): Gbit/s of one TCP connection between two namespaces, through the
// process in each of its forms and, in the same rounds, by the kernel alone; and a QUIC connection where UDP 443 stays in the kernel,
// leaves it, and comes back behind its hello. Needs root.
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>

#include "dataplane/bypass/fail_open.h"
#include "dataplane/dpdk/latency.h"
#include "forwarder_process.h"
#include "net_lab.h"
#include "tcp_load.h"
#include "udp_load.h"

namespace stillwatch::e2e {
namespace {

constexpr int kRounds = 3;
constexpr time_t kWarmSeconds = 1, kSeconds = 4;

struct Way {
  const char* name;
  std::vector<std::string> words;
  bool killed;  // the process is killed first: the kernel forwards
  std::vector<double> gbit;
  std::array<uint64_t, dataplane::kLatencySteps> delay{}, wait{};  // frames of all rounds
};

void Sleep(time_t seconds) {
  const timespec nap{seconds, 0};
  nanosleep(&nap, nullptr);
}

template <size_t kSize>
void AddCounters(const ForwarderProcess& process, const std::array<std::string_view, kSize>& names, std::array<uint64_t, kSize>* sums) {
  for (size_t i = 0; i < kSize; ++i) (*sums)[i] += process.Counter(std::string(names[i]));
}

std::string Microseconds(const std::array<uint64_t, dataplane::kLatencySteps>& frames, uint64_t per_mille) {
  const std::optional<uint64_t> us = dataplane::LatencyQuantileUs(frames, per_mille);
  return us.has_value() ? std::to_string(*us) : "longer";
}

// Below zero: the connection failed.
double MeasureGbit(const NetLab& lab) {
  TcpLoad load(lab);
  Sleep(kWarmSeconds);
  const uint64_t begin = load.received();
  Sleep(kSeconds);
  const double gbit = static_cast<double>(load.received() - begin) * 8 / (kSeconds * 1e9);
  const std::string wrong = load.Finish();
  if (wrong.empty()) return gbit;
  std::fprintf(stderr, "bench_inline: %s\n", wrong.c_str());
  return -1;
}

std::vector<std::string> Words(const std::string& folder, const std::vector<std::string>& more) {
  std::vector<std::string> words{"--a", "a0", "--b", "b0", "--bpffs", folder + "/bpf", "--timeout-ms", "20"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

void Uninstall(const std::string& folder) {
  if (Status gone = dataplane::FailOpen::Uninstall(folder + "/bpf"); !gone.ok()) std::fprintf(stderr, "%s\n", gone.message().c_str());
}

struct UdpWay {
  const char* name;
  std::vector<std::string> words;
  std::vector<double> p50_us, p99_us;
  uint64_t sent = 0, lost = 0, reordered = 0, by_process = 0, by_kernel = 0;
};

// Paced: at full speed the sending host's own processor is what is measured, and the more so the more of the way its call runs.
int RunUdp(const std::string& folder, bool traffic_control) {
  constexpr int kUdpSeconds = 3, kDatagramsAMs = 5;
  UdpWay ways[] = {{"443 not listed: the kernel's", {}, {}, {}},
                   {"listed: through the process", {"--interest-udp-port", "443"}, {}, {}},
                   {"listed, and passed behind its hello", {"--interest-udp-port", "443", "--pass", "1024"}, {}, {}}};
  for (int round = 0; round < kRounds; ++round) {
    for (UdpWay& way : ways) {
      std::vector<std::string> words = way.words;
      if (traffic_control) words.push_back("--tc");
      const NetLab lab;
      ForwarderProcess process(lab);
      if (!process.Start(Words(folder, words))) return 1;
      const UdpSeen seen = LoadUdp(lab, kDatagramsAMs, kUdpSeconds);
      process.Stop();
      Uninstall(folder);
      way.p50_us.push_back(seen.p50_us);
      way.p99_us.push_back(seen.p99_us);
      way.sent += seen.sent;
      way.lost += seen.sent - seen.received;
      way.reordered += seen.reordered;
      way.by_process += process.Counter("bypass.to_process");
      way.by_kernel += process.Counter("bypass.passed") + process.Counter("bypass.not_of_interest");
    }
  }
  std::printf("\n| one QUIC connection, %s | on its way, us: p50, median of %d | p99 | sent | lost | reordered | frames through the process | by the kernel |\n"
              "|---|---|---|---|---|---|---|---|\n", traffic_control ? "traffic control" : "XDP", kRounds);
  const auto median = [](std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  };
  for (const UdpWay& way : ways) {
    std::printf("| %s | %.0f | %.0f | %lu | %lu | %lu | %lu | %lu |\n", way.name, median(way.p50_us), median(way.p99_us), way.sent, way.lost,
                way.reordered, way.by_process, way.by_kernel);
  }
  return 0;
}

int Run() {
  if (const std::string why = WhyNoNamespaces(); !why.empty()) {
    std::fprintf(stderr, "bench_inline: %s\n", why.c_str());
    return 1;
  }
  KeepMountsToOurselves();
  const std::string folder = "/tmp/stillwatch-bench-" + std::to_string(getpid());
  Way ways[] = {{"by the kernel alone (bypass)", {}, true, {}, {}, {}},
                {"AF_XDP, one forwarder and one worker", {}, false, {}, {}, {}},
                {"AF_XDP, one thread", {"--workers", "0"}, false, {}, {}, {}},
                {"AF_PACKET, one forwarder and one worker", {"--driver", "af_packet"}, false, {}, {}, {}}};
  for (int round = 0; round < kRounds; ++round) {
    for (Way& way : ways) {
      const NetLab lab;
      ForwarderProcess process(lab);
      if (!process.Start(Words(folder, way.words))) return 1;
      if (way.killed) process.Kill();
      const double gbit = MeasureGbit(lab);
      if (!way.killed) {
        process.Stop();
        AddCounters(process, dataplane::kDelayCounterNames, &way.delay);
        AddCounters(process, dataplane::kWaitCounterNames, &way.wait);
      }
      Uninstall(folder);
      if (gbit < 0) return 1;
      way.gbit.push_back(gbit);
    }
  }
  std::printf("| one TCP connection | Gbit/s, median of %d | to the kernel alone | delay, us: p50 | p99 | wait, us: p50 | p99 |\n|---|---|---|---|---|---|---|\n", kRounds);
  double kernel = 0;
  for (Way& way : ways) {
    std::sort(way.gbit.begin(), way.gbit.end());
    const double median = way.gbit[kRounds / 2];
    if (way.killed) kernel = median;
    std::printf("| %s | %.2f (%.2f to %.2f) | %.2f |", way.name, median, way.gbit.front(), way.gbit.back(), median / kernel);
    for (const auto& frames : {way.delay, way.wait}) {
      for (const uint64_t share : {500, 990}) std::printf(" %s |", way.killed ? "" : Microseconds(frames, share).c_str());
    }
    std::printf("\n");
  }
  const int failed = RunUdp(folder, false) + RunUdp(folder, true);
  std::filesystem::remove_all(folder);
  return failed;
}

}  // namespace
}  // namespace stillwatch::e2e

int main() { return stillwatch::e2e::Run(); }
