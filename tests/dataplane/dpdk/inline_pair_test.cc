#include "dataplane/dpdk/inline_pair.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <set>

#include "dataplane/dpdk/eal.h"
#include "dataplane/port/capture_reader.h"

namespace stillwatch::dataplane {
namespace {

class EalEnvironment : public testing::Environment {
 public:
  void SetUp() override {
    EalOptions options;
    options.huge_pages = false;
    options.memory_mib = 256;
    auto eal = Eal::Start(options);
    ASSERT_TRUE(eal.ok()) << eal.message();
    eal_ = std::move(eal).value();
  }
  void TearDown() override { eal_.reset(); }

 private:
  std::unique_ptr<Eal> eal_;
};
const auto* const kEnvironment = testing::AddGlobalTestEnvironment(new EalEnvironment);

// A pair of DPDK's own capture devices: what is in a.pcap "comes in" by a, what is sent by b lands
// in b-out.pcap.
class InlinePairTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("stillwatch-dpdk-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void WriteCapture(const std::string& name, const std::vector<std::string>& frames) {
    std::ofstream file(folder_ / name, std::ios::binary);
    const auto put32 = [&](uint32_t v) { file.write(reinterpret_cast<const char*>(&v), 4); };
    for (const uint32_t word : {0xa1b2c3d4u, 0x00040002u, 0u, 0u, 65535u, 1u}) put32(word);
    for (const std::string& frame : frames) {
      for (const auto word : {uint32_t{1}, uint32_t{0}, static_cast<uint32_t>(frame.size()),
                              static_cast<uint32_t>(frame.size())})
        put32(word);
      file << frame;
    }
  }
  std::vector<std::string> ReadCapture(const std::string& name) {
    auto reader = CaptureReader::Open(folder_ / name);
    EXPECT_TRUE(reader.ok()) << reader.message();
    std::vector<std::string> frames;
    CaptureRecord record;
    while (reader.ok() && reader.value()->Next(&record) == ReadResult::kRecord)
      frames.emplace_back(AsText(record.bytes));
    return frames;
  }
  static std::vector<std::string> RandomFrames(size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::string> frames(count);
    for (std::string& frame : frames) {
      frame.resize(60 + random() % 1454);
      for (char& c : frame) c = static_cast<char>(random());
    }
    return frames;
  }
  InlinePairOptions Options() const {
    InlinePairOptions options;
    options.driver = PortDriver::kVirtual;
    options.a = "net_pcap_a,rx_pcap=" + (folder_ / "a.pcap").string() +
                ",tx_pcap=" + (folder_ / "a-out.pcap").string();
    options.b = "net_pcap_b,rx_pcap=" + (folder_ / "b.pcap").string() +
                ",tx_pcap=" + (folder_ / "b-out.pcap").string();
    return options;
  }
  std::unique_ptr<InlinePair> Open(const InlinePairOptions& options, const Clock* clock = nullptr) {
    auto pair = InlinePair::Open(options, &heart_, clock == nullptr ? &clock_ : clock);
    EXPECT_TRUE(pair.ok()) << pair.message();
    return pair.ok() ? std::move(pair).value() : nullptr;
  }

  std::filesystem::path folder_;
  FakeClock clock_{1'000 * kNsPerSecond};
  uint64_t beat_ns_ = 0;
  const uint64_t timeout_ns_ = 20 * kNsPerMs;
  Heart heart_{&beat_ns_, &timeout_ns_};
};

TEST_F(InlinePairTest, EveryFrameGoesOutUnchangedByTheOtherPortAndIsLookedAtOnce) {
  const auto from_a = RandomFrames(300, 1), from_b = RandomFrames(200, 2);
  WriteCapture("a.pcap", from_a);
  WriteCapture("b.pcap", from_b);
  auto pair = Open(Options());
  ASSERT_NE(pair, nullptr);
  pair->port(0)->OnPollingThread();
  std::vector<std::string> seen[2];
  uint64_t number = 0;
  for (int polls = 0; polls < 100; ++polls) {
    Frame frames[kBurstMax];
    const size_t count = pair->port(0)->Receive(frames);
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(frames[i].number, ++number);
      EXPECT_EQ(frames[i].time_ns, clock_.UnixNs());
      seen[frames[i].port].emplace_back(AsText(frames[i].bytes));
    }
    pair->port(0)->Release(std::span(frames).first(count));
  }
  EXPECT_EQ(pair->Count(ForwardCounter::kReceivedA), 300u);
  EXPECT_EQ(pair->Count(ForwardCounter::kSentB), 300u);
  EXPECT_EQ(pair->Count(ForwardCounter::kSentA), 200u);
  // Each frame that was sent has a delay; those of a side's first poll have no wait.
  const auto delay = pair->Delays(), wait = pair->Waits();
  EXPECT_EQ(std::accumulate(delay.begin(), delay.end(), uint64_t{0}), 500u);
  EXPECT_EQ(std::accumulate(wait.begin(), wait.end(), uint64_t{0}), 500u - 2 * kBurstMax);
  pair.reset();
  EXPECT_EQ(seen[0], from_a);
  EXPECT_EQ(seen[1], from_b);
  EXPECT_EQ(ReadCapture("b-out.pcap"), from_a);
  EXPECT_EQ(ReadCapture("a-out.pcap"), from_b);
}

// Says one time when a round begins and a later one when asked again.
class ClockThatJumps final : public Clock {
 public:
  int64_t MonotonicNs() const override { return now_ns += jump_ns; }
  int64_t UnixNs() const override { return now_ns; }
  mutable int64_t now_ns = 1'000 * kNsPerSecond;
  int64_t jump_ns = 0;
};

TEST_F(InlinePairTest, WhatWasReceivedBeforeALongStopIsNotSentAfterIt) {
  const auto from_a = RandomFrames(96, 5);
  WriteCapture("a.pcap", from_a);
  WriteCapture("b.pcap", {});
  ClockThatJumps clock;
  auto pair = Open(Options(), &clock);
  ASSERT_NE(pair, nullptr);
  Frame frames[kBurstMax];
  ASSERT_EQ(pair->port(0)->Receive(frames), 32u);
  pair->port(0)->Release(frames);
  clock.jump_ns = 15 * kNsPerMs;  // each question: the second one of a round finds the heart stale
  EXPECT_EQ(pair->port(0)->Receive(frames), 0u);
  EXPECT_EQ(pair->Count(ForwardCounter::kStale), 32u);
  clock.jump_ns = 0;
  pair->port(0)->Receive(frames);  // beats again, and what waited meanwhile is late, too
  EXPECT_EQ(pair->Count(ForwardCounter::kStale), 64u);
  EXPECT_EQ(pair->Count(ForwardCounter::kSentB), 32u);
  pair.reset();
  EXPECT_EQ(ReadCapture("b-out.pcap"), std::vector<std::string>(from_a.begin(), from_a.begin() + 32));
}

// An operator or a time server sets the wall clock back: traffic time, and with it every timeout, goes on.
TEST_F(InlinePairTest, AWallClockThatIsSetBackDoesNotHoldTrafficTimeUp) {
  class TwoClocks final : public Clock {
   public:
    int64_t MonotonicNs() const override { return monotonic_ns; }
    int64_t UnixNs() const override { return unix_ns; }
    int64_t monotonic_ns = 1'000 * kNsPerSecond, unix_ns = 1'700'000'000 * kNsPerSecond;
  };
  WriteCapture("a.pcap", RandomFrames(96, 5));
  WriteCapture("b.pcap", {});
  TwoClocks clock;
  uint64_t beat_ns = 0;
  const uint64_t timeout_ns = kNsPerDay;
  Heart heart(&beat_ns, &timeout_ns);
  auto pair = InlinePair::Open(Options(), &heart, &clock);
  ASSERT_TRUE(pair.ok()) << pair.message();
  const auto poll_time = [&](int64_t monotonic_step_ns, int64_t unix_step_ns) {
    clock.monotonic_ns += monotonic_step_ns;
    clock.unix_ns += unix_step_ns;
    Frame frames[kBurstMax];
    const size_t count = pair.value()->port(0)->Receive(frames);
    EXPECT_EQ(count, kBurstMax);
    pair.value()->port(0)->Release(std::span(frames).first(count));
    return frames[0].time_ns;
  };
  const int64_t start_ns = poll_time(0, 0);
  EXPECT_EQ(start_ns, clock.unix_ns);
  EXPECT_EQ(poll_time(10 * kNsPerSecond, 10 * kNsPerSecond - kNsPerHour), start_ns + 10 * kNsPerSecond);
  EXPECT_EQ(poll_time(kNsPerSecond, kNsPerHour + kNsPerSecond), start_ns + 11 * kNsPerSecond);  // and is right again
}

// The kernel takes a flow over when nothing of it is here: only a poll that found every ring empty says so.
TEST_F(InlinePairTest, ARingThatMayHoldMoreIsNotDrained) {
  WriteCapture("a.pcap", RandomFrames(70, 5));
  WriteCapture("b.pcap", RandomFrames(10, 6));
  ClockThatJumps clock;
  uint64_t beat_ns = 0, drained_ns = 0;
  const uint64_t timeout_ns = kNsPerSecond;
  Heart heart(&beat_ns, &timeout_ns, &drained_ns);
  auto pair = InlinePair::Open(Options(), &heart, &clock);
  ASSERT_TRUE(pair.ok()) << pair.message();
  const auto poll = [&] {
    Frame frames[kBurstMax];
    const size_t count = pair.value()->port(0)->Receive(frames);
    pair.value()->port(0)->Release(std::span(frames).first(count));
    return count;
  };
  int64_t last_full_ns = 0;
  for (size_t left = 80; left != 0;) {
    const size_t count = poll();
    if (count == kBurstMax) last_full_ns = clock.now_ns;
    left -= count;
    clock.now_ns += 200 * kNsPerMs;
  }
  for (int i = 0; i < 3; ++i, clock.now_ns += 200 * kNsPerMs) EXPECT_EQ(poll(), 0u);
  EXPECT_GT(static_cast<int64_t>(drained_ns), last_full_ns);
}

TEST_F(InlinePairTest, AMirrorPortNeverSends) {
  WriteCapture("a.pcap", RandomFrames(100, 3));
  WriteCapture("b.pcap", RandomFrames(100, 4));
  InlinePairOptions options = Options();
  options.forward = false;
  auto pair = Open(options);
  ASSERT_NE(pair, nullptr);
  size_t seen = 0;
  for (int polls = 0; polls < 100; ++polls) {
    Frame frames[kBurstMax];
    const size_t count = pair->port(0)->Receive(frames);
    seen += count;
    pair->port(0)->Release(std::span(frames).first(count));
  }
  EXPECT_EQ(seen, 200u);
  pair.reset();
  EXPECT_TRUE(ReadCapture("a-out.pcap").empty());
  EXPECT_TRUE(ReadCapture("b-out.pcap").empty());
}

TEST_F(InlinePairTest, LendingMostBuffersIsNoticedWhileForwardingGoesOn) {
  WriteCapture("a.pcap", std::vector<std::string>(14'000, std::string(60, 'x')));
  WriteCapture("b.pcap", {});
  auto pair = Open(Options());
  ASSERT_NE(pair, nullptr);
  std::vector<Frame> held;
  bool scarce = false;
  for (int polls = 0; polls < 700; ++polls) {
    Frame frames[kBurstMax];
    const size_t count = pair->port(0)->Receive(frames);
    scarce |= pair->port(0)->buffers_scarce();
    held.insert(held.end(), frames, frames + count);
  }
  EXPECT_TRUE(scarce);
  EXPECT_EQ(pair->Count(ForwardCounter::kSentB), 14'000u);
  pair->port(0)->Release(held);
  for (int polls = 0; polls < 64; ++polls) {
    Frame frames[kBurstMax];
    EXPECT_EQ(pair->port(0)->Receive(frames), 0u);
  }
  EXPECT_FALSE(pair->port(0)->buffers_scarce());
}

TEST_F(InlinePairTest, WhatWaitedWhileTheProcessStoodStillIsDiscarded) {
  WriteCapture("a.pcap", RandomFrames(200, 5));
  WriteCapture("b.pcap", {});
  auto pair = Open(Options());
  ASSERT_NE(pair, nullptr);
  Frame frames[kBurstMax];
  EXPECT_EQ(beat_ns_, 0u);
  size_t count = pair->port(0)->Receive(frames);
  EXPECT_EQ(count, kBurstMax);
  EXPECT_EQ(beat_ns_, static_cast<uint64_t>(clock_.MonotonicNs()));
  pair->port(0)->Release(std::span(frames).first(count));
  clock_.Advance(kNsPerSecond);
  count = pair->port(0)->Receive(frames);
  EXPECT_EQ(count, 0u);
  EXPECT_EQ(pair->Count(ForwardCounter::kStale), 200u - kBurstMax);
  EXPECT_EQ(pair->Count(ForwardCounter::kSentB), kBurstMax);
}

TEST_F(InlinePairTest, AChainThatCannotBeSentIsCounted) {
  WriteCapture("a.pcap", {std::string(9'000, 'j'), std::string(100, 'n')});
  WriteCapture("b.pcap", {});
  auto pair = Open(Options());
  ASSERT_NE(pair, nullptr);
  Frame frames[kBurstMax];
  const size_t count = pair->port(0)->Receive(frames);
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(pair->Count(ForwardCounter::kLineariseFailed), 1u);
  EXPECT_EQ(pair->Count(ForwardCounter::kSentB), 1u);
  pair->port(0)->Release(std::span(frames).first(count));
}

// DPDK's capture devices have as many queues as files.
class TwoQueuesTest : public InlinePairTest {
 protected:
  InlinePairOptions TwoQueues() const {
    InlinePairOptions options = Options();
    options.queues = 2;
    options.mbufs = 32'767;
    const auto device = [&](const std::string& name) {
      std::string arguments = "net_pcap_" + name;
      for (const char* queue : {"0", "1"}) {
        arguments += ",rx_pcap=" + (folder_ / (name + queue + ".pcap")).string() + ",tx_pcap=" + (folder_ / (name + queue + "-out.pcap")).string();
      }
      return arguments;
    };
    options.a = device("a");
    options.b = device("b");
    return options;
  }
};

TEST_F(TwoQueuesTest, WhatComesInByAQueueGoesOutByTheSameQueueOfTheOtherPort) {
  std::vector<std::string> from_a[2], from_b[2];
  for (unsigned queue = 0; queue < 2; ++queue) {
    from_a[queue] = RandomFrames(100 + queue, 10 + queue);
    from_b[queue] = RandomFrames(50 + queue, 20 + queue);
    WriteCapture("a" + std::to_string(queue) + ".pcap", from_a[queue]);
    WriteCapture("b" + std::to_string(queue) + ".pcap", from_b[queue]);
  }
  auto pair = Open(TwoQueues());
  ASSERT_NE(pair, nullptr);
  ASSERT_EQ(pair->ports().size(), 2u);
  std::vector<std::string> seen[2][2];
  std::set<uint64_t> numbers;
  const auto poll = [&](size_t queue) {
    Frame frames[kBurstMax];
    const size_t count = pair->port(queue)->Receive(frames);
    for (size_t i = 0; i < count; ++i) {
      numbers.insert(frames[i].number);
      seen[queue][frames[i].port].emplace_back(AsText(frames[i].bytes));
    }
    pair->port(queue)->Release(std::span(frames).first(count));
  };
  poll(0);
  EXPECT_EQ(beat_ns_, 0u);  // the kernel keeps forwarding until both queues are polled
  poll(1);
  EXPECT_NE(beat_ns_, 0u);
  for (int polls = 0; polls < 40; ++polls) poll(static_cast<size_t>(polls % 2));
  EXPECT_EQ(pair->Count(ForwardCounter::kReceivedA), 201u);
  EXPECT_EQ(pair->Count(ForwardCounter::kSentB), 201u);
  EXPECT_EQ(pair->Count(ForwardCounter::kSentA), 101u);
  EXPECT_EQ(numbers.size(), 302u);
  const LatencyCounts delays = pair->Delays();
  EXPECT_EQ(std::accumulate(delays.begin(), delays.end(), uint64_t{0}), 302u);
  pair.reset();
  for (size_t queue = 0; queue < 2; ++queue) {
    EXPECT_EQ(seen[queue][0], from_a[queue]);
    EXPECT_EQ(seen[queue][1], from_b[queue]);
    EXPECT_EQ(ReadCapture("b" + std::to_string(queue) + "-out.pcap"), from_a[queue]);
    EXPECT_EQ(ReadCapture("a" + std::to_string(queue) + "-out.pcap"), from_b[queue]);
  }
}

TEST_F(TwoQueuesTest, AQueueThatStoodStillDiscardsItsOwnFramesOnly) {
  for (const char* name : {"a0.pcap", "a1.pcap"}) WriteCapture(name, RandomFrames(96, 5));
  for (const char* name : {"b0.pcap", "b1.pcap"}) WriteCapture(name, {});
  auto pair = Open(TwoQueues());
  ASSERT_NE(pair, nullptr);
  Frame frames[kBurstMax];
  const auto poll = [&](size_t queue) {
    const size_t count = pair->port(queue)->Receive(frames);
    pair->port(queue)->Release(std::span(frames).first(count));
    return count;
  };
  EXPECT_EQ(poll(0), 32u);
  EXPECT_EQ(poll(1), 32u);
  const uint64_t first_beat_ns = beat_ns_;
  for (int i = 0; i < 4; ++i) {
    clock_.Advance(10 * kNsPerMs);
    poll(0);
  }
  EXPECT_EQ(beat_ns_, first_beat_ns);  // one hangs: stale for the kernel, whatever the other does
  EXPECT_EQ(pair->Count(ForwardCounter::kStale), 0u);
  EXPECT_EQ(poll(1), 0u);
  EXPECT_EQ(pair->Count(ForwardCounter::kStale), 64u);
  EXPECT_EQ(pair->Count(ForwardCounter::kSentB), 96u + 32u);
  poll(1);
  poll(0);
  EXPECT_EQ(beat_ns_, static_cast<uint64_t>(clock_.MonotonicNs()));
}

TEST_F(TwoQueuesTest, DevicesAreOpenedAnewOnceAllQueuesStandAsideAndNoFrameIsOut) {
  for (const char* name : {"a0.pcap", "a1.pcap"}) WriteCapture(name, RandomFrames(40, 6));
  for (const char* name : {"b0.pcap", "b1.pcap"}) WriteCapture(name, {});
  const InlinePairOptions options = TwoQueues();
  auto pair = Open(options);
  ASSERT_NE(pair, nullptr);
  Frame frames[kBurstMax];
  for (int round = 0; round < 3; ++round) {
    const size_t count = pair->port(1)->Receive(frames);
    EXPECT_EQ(count, 32u);
    pair->Reopen(options.a, options.b);
    Frame none[kBurstMax];
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(pair->port(0)->Receive(none), 0u);
      EXPECT_EQ(pair->port(1)->Receive(none), 0u);
    }
    EXPECT_TRUE(pair->reopening());  // frames of the second queue are out
    pair->port(1)->Release(std::span(frames).first(count));
    EXPECT_EQ(pair->port(1)->Receive(none), 0u);
    EXPECT_TRUE(pair->reopening());
    EXPECT_EQ(pair->port(0)->Receive(none), 0u);
    EXPECT_FALSE(pair->reopening());
    EXPECT_TRUE(pair->open()) << pair->reopen_error();
    EXPECT_EQ(pair->port(0)->Receive(none), 32u);  // the file from its beginning: these are other devices
    pair->port(0)->Release(none);
  }
}

TEST_F(InlinePairTest, ErrorsNameTheKeyAndTheMend) {
  const auto error = [&](auto change) {
    InlinePairOptions options = Options();
    change(options);
    auto pair = InlinePair::Open(options, &heart_, &clock_);
    return pair.ok() ? std::string("opened") : pair.message();
  };
  EXPECT_NE(error([](auto& o) { o.mbufs = 4'095; }).find("set ports.mbufs = 16383"),
            std::string::npos);
  EXPECT_NE(error([](auto& o) { o.b.clear(); }).find("ports.b: is empty"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.queues = 2; }).find("set ports.mbufs = 32767"), std::string::npos);
  WriteCapture("a.pcap", {});
  WriteCapture("b.pcap", {});
  EXPECT_NE(error([](auto& o) { o.queues = 2, o.mbufs = 32'767; }).find("has 1 queues, fewer than 2"), std::string::npos);
  EXPECT_NE(error([](auto& o) { o.queues = 17, o.mbufs = 1'048'575; }).find("ports.queues: 17"), std::string::npos);
  EXPECT_NE(error([](auto& o) {
              o.driver = PortDriver::kAfPacket;
              o.a = "no-such-if";
            }).find("ports.a: no-such-if: no such interface"),
            std::string::npos);
  EXPECT_NE(error([](auto& o) {
              o.driver = PortDriver::kEthdev;
              o.a = "0000:99:00.0";
            }).find("dpdk-devbind.py"),
            std::string::npos);
  // The loopback interface has an MTU of 65,536.
  EXPECT_NE(error([](auto& o) {
              o.driver = PortDriver::kAfPacket;
              o.a = "lo";
            }).find("raise ports.mtu"),
            std::string::npos);
}

TEST(EalTest, StartsOnceInAProcess) {
  auto second = Eal::Start({});
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.message().find("once in a process"), std::string::npos) << second.message();
}

}  // namespace
}  // namespace stillwatch::dataplane
