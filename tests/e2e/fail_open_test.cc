// Fail-open under load, judged by the hosts: numbered frames both ways and a TCP connection of known bytes, while the
// process is killed, stopped, hung, upgraded. Lost at most what was sent in (timeout + 20 ms) an event, at the rate
// that was measured meanwhile; no frame more than 100 ms late, none twice; no TCP reset. One line MEASURED a case.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <functional>
#include <thread>

#include "held_thread.h"
#include "inline_lab.h"
#include "probe.h"
#include "tcp_load.h"

namespace stillwatch::e2e {
namespace {

constexpr int kFramesAMs = 5;  // each way
constexpr double kLateMs = 100;

// Param: whether the kernel's programme runs on traffic control; else on XDP.
class FailOpenTest : public InlineLabTest, public ::testing::WithParamInterface<bool> {
 protected:
  // What traffic both ways saw while `event` went on.
  struct Seen {
    ProbeResult ways[2];
    uint64_t resets = 0;
    std::string tcp;  // empty: every byte arrived
  };

  std::vector<std::string> Way() const { return GetParam() ? Inline({"--tc"}) : Inline(); }

  // Both ways go on: `more` further frames arrived.
  bool Passes(uint64_t more) const {
    const uint64_t before[] = {probes_[0]->received(), probes_[1]->received()};
    return Await([&] {
      return probes_[0]->received() > before[0] + more && probes_[1]->received() > before[1] + more;
    });
  }

  Seen Watch(const std::function<void()>& event) {
    TcpLoad load(*lab_, 5);
    EXPECT_TRUE(Await([&] { return load.received() > 100'000; })) << "no TCP";
    probes_[0] = std::make_unique<Probe>(*lab_, kFramesAMs, Probe::Way::kToServer);
    probes_[1] = std::make_unique<Probe>(*lab_, kFramesAMs, Probe::Way::kToClient);
    EXPECT_TRUE(Passes(1'500));
    event();
    const bool goes_on = Passes(1'500);
    EXPECT_TRUE(goes_on) << "frames no longer arrive";
    const uint64_t tcp_before = load.received();
    EXPECT_TRUE(goes_on && Await([&] { return load.received() > tcp_before + 100'000; })) << "TCP stands still";
    Seen seen;
    for (int way = 0; way < 2; ++way) seen.ways[way] = probes_[way]->Finish();
    seen.tcp = load.Finish();
    seen.resets = TcpResets(lab_->client) + TcpResets(lab_->server);
    return seen;
  }

  static double LostMax(const ProbeResult& way, int events) {
    return way.rate * events * (kTimeoutMs + 20) / 1000;
  }
  // `events`: how many times the process went away without a word.
  void Judge(const char* what, const Seen& seen, int events) {
    static constexpr const char* kWays[] = {"to the server", "to the client"};
    for (int way = 0; way < 2; ++way) {
      const ProbeResult& r = seen.ways[way];
      std::printf("MEASURED %s: %s, %s: %lu frames at %.0f/s, lost %lu (bound %.0f), reordered %lu, doubled %lu, "
                  "latest %.1f ms, resets %lu\n",
                  GetParam() ? "traffic control" : "XDP", what, kWays[way], r.sent, r.rate, r.lost, LostMax(r, events), r.reordered, r.doubled, r.latest_ms,
                  seen.resets);
      EXPECT_LE(static_cast<double>(r.lost), LostMax(r, events)) << kWays[way];
      EXPECT_EQ(r.doubled, 0u) << kWays[way];
      EXPECT_LE(r.latest_ms, kLateMs) << kWays[way];
    }
    EXPECT_EQ(seen.tcp, "");
    EXPECT_EQ(seen.resets, 0u);
  }
  uint64_t Excused() const { return process_->Counter("forward.stale") + process_->Counter("device.missed"); }

  std::unique_ptr<Probe> probes_[2];
};

TEST_P(FailOpenTest, Killed) {
  ASSERT_TRUE(process_->Start(Way()));
  const Seen seen = Watch([&] { process_->Kill(); });
  Judge("kill -9", seen, 1);
}

TEST_P(FailOpenTest, KilledAndStartedAgain) {
  ASSERT_TRUE(process_->Start(Way()));
  const Seen seen = Watch([&] {
    process_->Kill();
    ASSERT_TRUE(process_->Start(Way()));
    EXPECT_EQ(process_->line(), "ready adopted");
  });
  EXPECT_EQ(process_->Stop(), 0);
  EXPECT_GT(process_->Counter("forward.sent_b"), 0u);
  Judge("kill -9 and start", seen, 1);
}

TEST_P(FailOpenTest, StoppedAndContinued) {
  ASSERT_TRUE(process_->Start(Way()));
  const Seen seen = Watch([&] {
    process_->Signal(SIGSTOP);
    EXPECT_TRUE(Passes(2'500));  // frames arrive while nobody is there to forward them
    process_->Signal(SIGCONT);
  });
  EXPECT_EQ(process_->Stop(), 0);
  Judge("SIGSTOP, SIGCONT", seen, 1);
  // Late frames are not sent after newer ones: they are discarded and counted.
  EXPECT_GE(Excused(), seen.ways[0].lost + seen.ways[1].lost);
}

// The same many times in a short while, wherever in its round the process is: a frame is the kernel's or the process's,
// never both's.
TEST_P(FailOpenTest, StoppedAgainAndAgain) {
  constexpr int kTimes = 40;
  ASSERT_TRUE(process_->Start(Way()));
  const Seen seen = Watch([&] {
    for (int i = 0; i < kTimes; ++i) {
      process_->Signal(SIGSTOP);
      SleepMs(i % 4 * 15);  // some shorter than the heart's timeout, some longer
      process_->Signal(SIGCONT);
      EXPECT_TRUE(Passes(100));
    }
  });
  EXPECT_EQ(process_->Stop(), 0);
  Judge("SIGSTOP, SIGCONT 40 times", seen, kTimes);
  EXPECT_GE(Excused(), seen.ways[0].lost + seen.ways[1].lost);
}

// The instrument itself: what a host sends is not taken for what it receives, however the two begin together.
using ProbeTest = InlineLabTest;
TEST_F(ProbeTest, AProbesSocketHearsNothingOfItsOwnHost) {
  std::atomic<bool> stop{false};
  RawSocket out(lab_->client, "c0");
  std::thread sender([&] {
    const std::string frame = TcpFrame(Probe::kPort, "of this host");
    while (!stop) out.Send(frame);
  });
  int heard = 0;
  for (int i = 0; i < 300; ++i) heard += RawSocket(lab_->client, "c0").Receive(0).empty() ? 0 : 1;
  stop = true;
  sender.join();
  EXPECT_EQ(heard, 0);
}

TEST_P(FailOpenTest, ForwarderHangs) {
  ASSERT_TRUE(process_->Start(Way()));
  const Seen seen = Watch([&] {
    const HeldThread held(process_->pid(), "sw-forward");
    EXPECT_TRUE(Passes(2'500));
  });
  EXPECT_EQ(process_->Stop(), 0);
  Judge("forwarder hangs", seen, 1);
}

TEST_P(FailOpenTest, WorkerHangs) {
  ASSERT_TRUE(process_->Start(Way()));
  auto fail_open = dataplane::FailOpen::Open(bpffs_);
  ASSERT_TRUE(fail_open.ok()) << fail_open.message();
  const auto by_kernel = [&] {
    fail_open.value()->RefreshCounters();
    return fail_open.value()->counters().Get(dataplane::BypassCounter::kHeartStale);
  };
  uint64_t passed_by_kernel = 0;
  const Seen seen = Watch([&] {
    const HeldThread held(process_->pid(), "sw-worker-0");
    EXPECT_TRUE(Passes(5'000));  // more than its ring and the ports' rings hold
    passed_by_kernel = by_kernel();
    EXPECT_TRUE(Passes(2'500));
    passed_by_kernel = by_kernel() - passed_by_kernel;
  });
  EXPECT_EQ(process_->Stop(), 0);
  Judge("worker hangs", seen, 1);
  EXPECT_GT(process_->Counter("engine.worker_ring_full"), 0u);
  // It costs looking: the process goes on forwarding, and nothing is lost but what a taken-away processor excuses.
  EXPECT_LT(passed_by_kernel, 2'500u);
  EXPECT_LE(seen.ways[0].lost + seen.ways[1].lost, Excused());
}

TEST_P(FailOpenTest, UpgradedByRestart) {
  ASSERT_TRUE(process_->Start(Way()));
  uint64_t excused = 0;
  const Seen seen = Watch([&] {
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(process_->Stop(), 0);
      excused += Excused();
      EXPECT_TRUE(Passes(500));
      ASSERT_TRUE(process_->Start(Way()));
    }
  });
  EXPECT_EQ(process_->Stop(), 0);
  excused += Excused();
  Judge("upgrade by restart, twice", seen, 2);
  // Nothing, but for a processor that was taken away longer than the timeout, which is counted.
  EXPECT_LE(seen.ways[0].lost + seen.ways[1].lost, excused);
}

INSTANTIATE_TEST_SUITE_P(Hooks, FailOpenTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "TrafficControl" : "Xdp"; });

}  // namespace
}  // namespace stillwatch::e2e
