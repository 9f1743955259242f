// Figures for docs/inline.md (tools/bench inline): Gbit/s of one TCP connection between two namespaces, through the
// process in each of its forms and, in the same rounds, by the kernel alone. Needs root.
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
      std::vector<std::string> words{"--a", "a0", "--b", "b0", "--bpffs", folder + "/bpf", "--timeout-ms", "20"};
      words.insert(words.end(), way.words.begin(), way.words.end());
      if (!process.Start(words)) return 1;
      if (way.killed) process.Kill();
      const double gbit = MeasureGbit(lab);
      if (!way.killed) {
        process.Stop();
        AddCounters(process, dataplane::kDelayCounterNames, &way.delay);
        AddCounters(process, dataplane::kWaitCounterNames, &way.wait);
      }
      if (Status gone = dataplane::FailOpen::Uninstall(folder + "/bpf"); !gone.ok()) std::fprintf(stderr, "%s\n", gone.message().c_str());
      if (gbit < 0) return 1;
      way.gbit.push_back(gbit);
    }
  }
  std::filesystem::remove_all(folder);
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
  return 0;
}

}  // namespace
}  // namespace stillwatch::e2e

int main() { return stillwatch::e2e::Run(); }
