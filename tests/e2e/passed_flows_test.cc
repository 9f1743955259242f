// Flows that the process finds to be of no interest stay in the kernel: seen from the hosts (every byte, once, in order) and from
// the counters of both ends. On XDP and on traffic control.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "base/clock.h"
#include "inline_lab.h"
#include "probe.h"
#include "tcp_load.h"

namespace stillwatch::e2e {
namespace {

using dataplane::BypassCounter;
using dataplane::FailOpen;

constexpr int kPatientMs = 200;  // what the kernel makes of single frames is asked, and not how long it waits for a heart

class PassedFlowsTest : public InlineLabTest, public ::testing::WithParamInterface<bool> {
 protected:
  // A flow moves after a silence of a quarter to three eighths of the heart's timeout.
  bool Start(size_t flows, int timeout_ms = kTimeoutMs) {
    std::vector<std::string> words{"--pass", std::to_string(flows), "--timeout-ms", std::to_string(timeout_ms)};
    if (GetParam()) words.push_back("--tc");
    if (!process_->Start(Inline(words))) return false;
    auto kernel = FailOpen::Open(bpffs_);
    if (!kernel.ok()) return false;
    kernel_ = std::move(kernel).value();
    return true;
  }
  uint64_t Count(BypassCounter counter) {
    kernel_->RefreshCounters();
    return kernel_->counters().Get(counter);
  }
  // Frames that the kernel's programme decided on, of both ports.
  uint64_t Decided() {
    uint64_t sum = 0;
    for (int i = 0; i < static_cast<int>(BypassCounter::kCount); ++i) {
      if (static_cast<BypassCounter>(i) != BypassCounter::kPassEnded) sum += Count(static_cast<BypassCounter>(i));
    }
    return sum;
  }
  // Frames that the interfaces of the appliance received.
  uint64_t Received() const {
    uint64_t sum = 0;
    lab_->appliance.Call([&] {
      std::ifstream file("/proc/thread-self/net/dev");
      for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string name;
        uint64_t bytes = 0, packets = 0;
        if (words >> name >> bytes >> packets && (name == "a0:" || name == "b0:")) sum += packets;
      }
    });
    return sum;
  }
  size_t Entries() const {
    const int map = bpf_obj_get((bpffs_ + "/passed_map").c_str());
    size_t count = 0;
    sw_flow_key key, next;
    for (const sw_flow_key* at = nullptr; bpf_map_get_next_key(map, at, &next) == 0; at = &key) {
      key = next;
      ++count;
    }
    close(map);
    return count;
  }
  // The kernel sends on at least `more` further frames of passed flows.
  bool Passes(uint64_t more) {
    const uint64_t before = Count(BypassCounter::kPassed);
    return Await([&] { return Count(BypassCounter::kPassed) >= before + more; });
  }
  // Traffic made by `make`, once the kernel has sent on 500 frames of it by itself; null: it does not. What begins while a starved
  // process is bypassed is never passed: then anew.
  template <typename Make>
  auto Moved(Make make) -> decltype(make()) {
    for (int attempt = 0; attempt < 5; ++attempt) {
      const uint64_t before = Count(BypassCounter::kPassed), stale = Count(BypassCounter::kHeartStale);
      auto traffic = make();
      for (int i = 0; i < 1'500 && Count(BypassCounter::kPassed) < before + 500; ++i) SleepMs(10);
      if (Count(BypassCounter::kPassed) >= before + 500) return traffic;
      if (Count(BypassCounter::kHeartStale) == stale) break;
    }
    return nullptr;
  }

  std::unique_ptr<FailOpen> kernel_;
};

// A frame of a connection of its own, by its source port: `number` and the flow stand in its payload.
std::string FlowFrame(uint16_t port, uint32_t number, uint8_t flags = 0x10) {
  std::string frame = TcpFrame(7, std::string(64, 'u'));
  const auto put = [&](size_t at, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) frame[at + static_cast<size_t>(i)] = static_cast<char>(value >> 8 * (bytes - 1 - i));
  };
  put(34, port, 2);
  put(38, flags == 2 ? 0 : 1 + number * 64, 4);
  put(47, flags, 1);
  put(54, port, 2);
  put(56, number, 4);
  return frame;
}
struct Place {
  uint16_t port;
  uint32_t number;
};
Place PlaceOf(const std::string& frame) {
  const auto get = [&](size_t at, int bytes) {
    uint32_t value = 0;
    for (int i = 0; i < bytes; ++i) value = value << 8 | static_cast<uint8_t>(frame[at + static_cast<size_t>(i)]);
    return value;
  };
  return {static_cast<uint16_t>(get(54, 2)), get(56, 4)};
}

TEST_P(PassedFlowsTest, AConnectionMovesToTheKernelByteByByte) {
  ASSERT_TRUE(Start(1'024));
  const uint64_t received = Received(), decided = Decided();
  const auto load = Moved([&] { return std::make_unique<TcpLoad>(*lab_, 15); });
  ASSERT_NE(load, nullptr) << "a connection of no interest stays with the process";
  // The data, and the acknowledgements of the other way.
  const uint64_t to_process = Count(BypassCounter::kToProcess), at = load->received();
  ASSERT_TRUE(Await([&] { return load->received() > at + 1'000'000; }));
  EXPECT_LT(Count(BypassCounter::kToProcess) - to_process, 20u) << "frames still go through the process";
  EXPECT_EQ(load->Finish(), "");
  EXPECT_EQ(TcpResets(lab_->client) + TcpResets(lab_->server), 0u);
  // Every frame that came in is counted once, wherever it went.
  EXPECT_TRUE(Await([&] { return Received() - received == Decided() - decided; })) << Received() - received << " and " << Decided() - decided;
  EXPECT_EQ(process_->Stop(), 0);
  EXPECT_GE(process_->Counter("flow.passed"), 1u);
  EXPECT_EQ(process_->Counter("bypass.to_process"), process_->Counter("forward.received_a") + process_->Counter("forward.received_b") +
                                                        process_->Counter("forward.stale") + process_->Counter("device.missed"));
}

TEST_P(PassedFlowsTest, NoFrameIsLostOrOvertakenWhenAFlowMovesAndWhenTheProcessIsKilled) {
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(Start(1'024));
    const auto probe = Moved([&] { return std::make_unique<Probe>(*lab_, 16, Probe::Way::kToServer, Probe::Sequence::kAdvances, 12); });
    ASSERT_NE(probe, nullptr) << "a flow of no interest stays with the process";
    const uint64_t stale = Count(BypassCounter::kHeartStale);
    process_->Kill();
    ASSERT_TRUE(Passes(500)) << "a passed flow stopped with the process";
    const ProbeResult seen = probe->Finish();
    std::printf("MEASURED %s: passed flow, kill -9: %lu frames, lost %lu, reordered %lu, doubled %lu\n", GetParam() ? "traffic control" : "XDP",
                seen.sent, seen.lost, seen.reordered, seen.doubled);
    EXPECT_EQ(seen.lost, 0u);
    EXPECT_EQ(seen.reordered, 0u);
    EXPECT_EQ(seen.doubled, 0u);
    EXPECT_EQ(Count(BypassCounter::kHeartStale), stale);
  }
}

// What a process found is not the next one's: it gets every flow.
TEST_P(PassedFlowsTest, AProcessThatStartsIsGivenEveryFlow) {
  ASSERT_TRUE(Start(1'024));
  const auto probe = Moved([&] { return std::make_unique<Probe>(*lab_, 8, Probe::Way::kToServer, Probe::Sequence::kAdvances, 30); });
  ASSERT_NE(probe, nullptr);
  process_->Kill();
  ASSERT_TRUE(Start(1'024));
  EXPECT_EQ(process_->line(), "ready adopted");
  EXPECT_EQ(Entries(), 0u);
  const uint64_t to_process = Count(BypassCounter::kToProcess), passed = Count(BypassCounter::kPassed);
  EXPECT_TRUE(Await([&] { return Count(BypassCounter::kToProcess) >= to_process + 200; }));
  EXPECT_EQ(Count(BypassCounter::kPassed), passed);
  EXPECT_EQ(probe->Finish().doubled, 0u);
  EXPECT_EQ(process_->Stop(), 0);
}

TEST_P(PassedFlowsTest, ASynBringsAFlowBack) {
  ASSERT_TRUE(Start(1'024, kPatientMs));
  RawSocket client(lab_->client, "c0"), server(lab_->server, "s0");
  uint32_t number = 0;
  const auto send = [&](uint8_t flags = 0x10) {
    const std::string frame = FlowFrame(5'000, number++, flags);
    EXPECT_TRUE(client.Send(frame));
    std::string got;
    do got = server.Receive(2'000);
    while (!got.empty() && got != frame);
    EXPECT_EQ(got, frame);
  };
  send(0x02);
  for (number = 0; number < 64;) send();
  SleepMs(1'000);
  for (int i = 0; i < 100 && Count(BypassCounter::kPassed) == 0; ++i, SleepMs(kPatientMs / 2)) send();
  ASSERT_EQ(Count(BypassCounter::kPassed), 1u);
  send();
  EXPECT_EQ(Count(BypassCounter::kPassed), 2u);
  EXPECT_EQ(Count(BypassCounter::kPassEnded), 0u);
  const uint64_t to_process = Count(BypassCounter::kToProcess);
  for (const uint8_t flags : {0x02, 0x10, 0x10, 0x10}) send(flags);
  EXPECT_EQ(Count(BypassCounter::kPassEnded), 1u);
  EXPECT_EQ(Count(BypassCounter::kPassed), 2u);
  EXPECT_EQ(Count(BypassCounter::kToProcess), to_process + 4);
  EXPECT_EQ(process_->Stop(), 0);
}

// The kernel hears of a flow a little after it was judged: a connection that began between the same ends meanwhile is another one.
TEST_P(PassedFlowsTest, WhatBeganMeanwhileIsNotPassed) {
  ASSERT_TRUE(Start(1'024, kPatientMs));
  RawSocket client(lab_->client, "c0");
  dataplane::FlowEnds ends;
  const uint8_t source[] = {10, 77, 0, 1}, destination[] = {10, 77, 0, 99};
  for (const auto& [to, from] : {std::pair(ends.source, source), {ends.destination, destination}}) {
    to[10] = to[11] = 0xff;
    std::copy(from, from + 4, to + 12);
  }
  ends.destination_port = 7;
  ends.protocol = 6;
  const auto send = [&](uint8_t flags) {
    const uint64_t decided = Decided();
    ASSERT_TRUE(client.Send(FlowFrame(ends.source_port, 0, flags)));
    ASSERT_TRUE(Await([&] { return Decided() > decided; }));
    SleepMs(kPatientMs / 2);
  };
  // Judged before the SYN, then after it.
  for (const bool before : {true, false}) {
    SCOPED_TRACE(before);
    ends.source_port = before ? 6'000 : 6'001;
    const int64_t judged_ns = SystemClock().MonotonicNs();
    send(0x02);
    SleepMs(500);  // longer than the slack that is given to clocks
    const uint64_t passed = Count(BypassCounter::kPassed), ended = Count(BypassCounter::kPassEnded);
    ASSERT_TRUE(kernel_->Pass(ends, before ? judged_ns : SystemClock().MonotonicNs()));
    for (int i = 0; i < 3; ++i) send(0x10);
    EXPECT_EQ(Count(BypassCounter::kPassEnded) - ended, before ? 1u : 0u);
    EXPECT_EQ(Count(BypassCounter::kPassed) - passed, before ? 0u : 2u);
  }
  // And nothing that was judged under another configuration.
  kernel_->ForgetPassed();
  const uint64_t passed = Count(BypassCounter::kPassed);
  for (int i = 0; i < 3; ++i) send(0x10);
  EXPECT_EQ(Count(BypassCounter::kPassed), passed);
  EXPECT_EQ(process_->Stop(), 0);
}

// More flows than places: what has none goes through the process, and nothing is lost or overtaken.
TEST_P(PassedFlowsTest, TheMapIsBounded) {
  constexpr size_t kPlaces = 64, kFlows = 200, kRounds = 120;
  ASSERT_TRUE(Start(kPlaces));
  RawSocket client(lab_->client, "c0"), server(lab_->server, "s0");
  std::map<uint16_t, uint32_t> next;
  size_t arrived = 0;
  for (size_t flow = 0; flow < kFlows; ++flow) {
    std::string syn = FlowFrame(static_cast<uint16_t>(20'000 + flow), 0, 0x02);
    syn[60] = 's';  // not one of those that are counted
    ASSERT_TRUE(client.Send(syn));
  }
  const auto receive = [&](int wait_ms) {
    for (std::string frame; !(frame = server.Receive(wait_ms)).empty();) {
      if (frame.size() != 54 + 64 || frame[60] != 'u') continue;
      const Place place = PlaceOf(frame);
      ASSERT_EQ(next[place.port], place.number) << "flow " << place.port;
      ++next[place.port];
      ++arrived;
    }
  };
  for (uint32_t number = 0; number < kRounds; ++number) {
    for (size_t flow = 0; flow < kFlows; ++flow) {
      ASSERT_TRUE(client.Send(FlowFrame(static_cast<uint16_t>(20'000 + flow), number)));
      if (flow % 16 == 15) receive(0);
    }
    receive(10);
    if (HasFatalFailure()) return;
  }
  ASSERT_TRUE(Await([&] {
    receive(50);
    return arrived == kFlows * kRounds;
  })) << arrived;
  EXPECT_GT(Entries(), 0u);
  EXPECT_LE(Entries(), kPlaces);
  EXPECT_GT(Count(BypassCounter::kPassed), 0u);
  EXPECT_EQ(process_->Stop(), 0);
  EXPECT_GT(process_->Counter("flow.passed"), kPlaces);
  std::printf("MEASURED %s: %zu flows on %zu places: %lu frames passed, %lu through the process\n", GetParam() ? "traffic control" : "XDP", kFlows,
              kPlaces, process_->Counter("bypass.passed"), process_->Counter("bypass.to_process"));
}

INSTANTIATE_TEST_SUITE_P(Hooks, PassedFlowsTest, ::testing::Bool(),
                         [](const auto& way) { return way.param ? "TrafficControl" : "Xdp"; });

}  // namespace
}  // namespace stillwatch::e2e
