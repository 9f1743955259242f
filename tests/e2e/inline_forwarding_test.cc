// The packet path between two hosts, seen from those hosts: what they send arrives, whatever
// happens to the process.
#include <array>
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "base/clock.h"
#include "dataplane/bypass/fail_open.h"
#include "inline_lab.h"
#include "probe.h"
#include "tcp_load.h"

namespace stillwatch::e2e {
namespace {

using dataplane::FailOpen;

// More than all packet buffers of the process together: each has been through the ports' rings.
constexpr uint64_t kPassOfAllBuffers = 60'000'000;

class InlineForwardingTest : public InlineLabTest {};

TEST_F(InlineForwardingTest, TcpGoesThroughTheProcessAndTheCountsAgree) {
  ASSERT_TRUE(process_->Start(Inline()));
  TcpLoad load(*lab_);
  ASSERT_TRUE(Await([&] { return load.received() > kPassOfAllBuffers; })) << load.received();
  EXPECT_EQ(load.Finish(), "");
  EXPECT_EQ(process_->Stop(), 0);
  const uint64_t received =
      process_->Counter("forward.received_a") + process_->Counter("forward.received_b");
  EXPECT_GT(received, kPassOfAllBuffers / 1'460);
  // What came in went out or has a name, and was looked at or has a name.
  EXPECT_EQ(process_->Counter("forward.sent_a") + process_->Counter("forward.sent_b") +
                process_->Counter("forward.tx_full"),
            received);
  EXPECT_EQ(process_->Counter("engine.frames"), received);
  EXPECT_EQ(process_->Counter("engine.looked") + process_->Counter("engine.worker_ring_full") +
                process_->Counter("engine.buffers_scarce"),
            received);
  // What the kernel gave to the process, the process received or discarded as late, or its ring was
  // full.
  EXPECT_EQ(process_->Counter("bypass.to_process"),
            received + process_->Counter("forward.stale") + process_->Counter("device.missed"));
}

TEST_F(InlineForwardingTest, EveryKindOfFrameArrivesUnchanged) {
  ASSERT_TRUE(process_->Start(Inline()));
  RawSocket client(lab_->client, "c0"), server(lab_->server, "s0");
  const std::string to_server("\x02\0\0\0\0\x50\x02\0\0\0\0\xc0", 12);
  std::vector<std::string> frames{
      TcpFrame(443, "to the process"),
      TcpFrame(443, "tagged", 0x0123),
      std::string("\x01\x80\xc2\0\0\0\x02\0\0\0\0\xc0\0\x26\x42\x42\x03", 17) +
          std::string(43, 's'),  // spanning tree
      std::string("\x01\x80\xc2\0\0\x02\x02\0\0\0\0\xc0\x88\x09\x01", 15) +
          std::string(45, 'l'),                                            // link aggregation
      to_server + "\x88\xb5" + std::string(60, 'x'),                       // experimental EtherType
      to_server + std::string("\x08\0\x45\0", 4) + std::string(42, '\0'),  // IPv4 that ends nowhere
      to_server + std::string("\x88\xa8\0\x05\x81\0\0\x06", 8) +
          TcpFrame(80, "two tags").substr(12),
  };
  for (const std::string& frame : frames) {
    ASSERT_TRUE(client.Send(frame));
    std::string got;
    ASSERT_TRUE(Await([&] { return (got = server.Receive(50)) == frame; }))
        << testing::PrintToString(frame);
  }
  EXPECT_EQ(process_->Stop(), 0);
  EXPECT_GE(process_->Counter("bypass.not_ip"), 3u);
  EXPECT_GE(process_->Counter("forward.sent_b"), 3u);
}

TEST_F(InlineForwardingTest, AConnectionUnderLoadLivesThroughKillAndRestart) {
  ASSERT_TRUE(process_->Start(Inline()));
  TcpLoad load(*lab_);
  ASSERT_TRUE(Await([&] { return load.received() > 5'000'000; }));
  for (int round = 0; round < 2; ++round) {
    process_->Kill();
    const uint64_t at_kill = load.received();
    ASSERT_TRUE(Await([&] { return load.received() > at_kill + 20'000'000; }))
        << "no traffic while the process is dead";
    ASSERT_TRUE(process_->Start(Inline()));
    EXPECT_EQ(process_->line(), "ready adopted");
    const uint64_t at_start = load.received();
    ASSERT_TRUE(Await([&] { return load.received() > at_start + 20'000'000; }))
        << "no traffic after the restart";
  }
  EXPECT_EQ(load.Finish(), "");
  EXPECT_EQ(process_->Stop(), 0);
  EXPECT_GT(process_->Counter("forward.received_a"), 0u);
}

TEST_F(InlineForwardingTest, BypassCanBeSwitchedWhileNoProcessRuns) {
  ASSERT_TRUE(process_->Start(Inline()));
  process_->Kill();
  auto fail_open = FailOpen::Open(bpffs_);
  ASSERT_TRUE(fail_open.ok()) << fail_open.message();
  fail_open.value()->SetBypass(FailOpen::kUntilSwitchedOff, "a new switch");
  ASSERT_TRUE(process_->Start(Inline()));
  // The operator's switch outlives the process, and why.
  EXPECT_EQ(fail_open.value()->bypass_until_ns(), FailOpen::kUntilSwitchedOff);
  EXPECT_EQ(fail_open.value()->bypass_reason(), "a new switch");
  RawSocket client(lab_->client, "c0"), server(lab_->server, "s0");
  // Several, since on a busy machine the kernel sends one at which the process's heart beats late.
  constexpr uint64_t kFrames = 20;
  const auto send = [&](const std::string& payload) {
    for (uint64_t i = 0; i < kFrames; ++i) {
      const std::string frame = TcpFrame(443, payload + std::to_string(i));
      ASSERT_TRUE(client.Send(frame));
      ASSERT_TRUE(Await([&] { return server.Receive(50) == frame; }));
    }
  };
  ASSERT_NO_FATAL_FAILURE(send("bypassed"));
  fail_open.value()->SetBypass(0);
  ASSERT_NO_FATAL_FAILURE(send("through the process"));
  EXPECT_EQ(process_->Stop(), 0);
  EXPECT_EQ(process_->Counter("bypass.switched_on"), kFrames);
  EXPECT_GE(process_->Counter("forward.sent_b"), 1u);
  EXPECT_EQ(process_->Counter("bypass.to_process") + process_->Counter("bypass.heart_stale"), kFrames);
}

TEST_F(InlineForwardingTest, ABypassForATimeEndsByItself) {
  ASSERT_TRUE(process_->Start(Inline()));
  auto fail_open = FailOpen::Open(bpffs_);
  ASSERT_TRUE(fail_open.ok()) << fail_open.message();
  const int64_t until_ns = SystemClock().MonotonicNs() + 500 * kNsPerMs;
  fail_open.value()->SetBypass(until_ns, "half a second");
  RawSocket client(lab_->client, "c0"), server(lab_->server, "s0");
  const auto counted = [&](dataplane::BypassCounter counter) {
    fail_open.value()->RefreshCounters();
    return fail_open.value()->counters().Get(counter);
  };
  ASSERT_TRUE(client.Send(TcpFrame(443, "bypassed")));
  ASSERT_TRUE(Await([&] { return counted(dataplane::BypassCounter::kBypassOn) == 1; }));
  // Nobody ends it: frames go to the process again.
  ASSERT_TRUE(Await([&] {
    client.Send(TcpFrame(443, "and again"));
    return counted(dataplane::BypassCounter::kToProcess) != 0;
  }));
  EXPECT_GE(SystemClock().MonotonicNs(), until_ns);
  EXPECT_FALSE(fail_open.value()->bypassed());
  EXPECT_EQ(process_->Stop(), 0);
}

// Frames whose way out is gone are dropped and counted; the appliance's own stack never sees one.
TEST_F(InlineForwardingTest, AMissingPeerPortIsNoLeakIntoTheHost) {
  RawSocket client(lab_->client, "c0"), host(lab_->appliance, "a0");
  const std::string frame = TcpFrame(443, "for the other side"), odd = std::string("\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\xc0\x88\xb5", 14) + std::string(60, 'x');
  ASSERT_TRUE(client.Send(frame));
  ASSERT_EQ(host.Receive(2'000), frame) << "without the programme the host's stack is where frames go";
  ASSERT_TRUE(process_->Start(Inline()));
  process_->Kill();
  auto fail_open = FailOpen::Open(bpffs_);
  ASSERT_TRUE(fail_open.ok()) << fail_open.message();
  ASSERT_EQ(lab_->appliance.Run("ip link delete b0"), 0);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(client.Send(frame));
    ASSERT_TRUE(client.Send(odd));
  }
  EXPECT_TRUE(Await([&] {
    fail_open.value()->RefreshCounters();
    return fail_open.value()->counters().Get(dataplane::BypassCounter::kNoPeer) == 100;
  })) << fail_open.value()->counters().Get(dataplane::BypassCounter::kNoPeer);
  EXPECT_EQ(host.Receive(100), "");
}

TEST_F(InlineForwardingTest, TrafficOfNoInterestStaysInTheKernel) {
  ASSERT_TRUE(process_->Start(Inline({"--interest-port", "8000-8100"})));
  RawSocket client(lab_->client, "c0"), server(lab_->server, "s0");
  for (const uint16_t port :
       {uint16_t{443}, uint16_t{8080}, uint16_t{7999}, uint16_t{8100}, uint16_t{8101}}) {
    const std::string frame = TcpFrame(port, "port " + std::to_string(port));
    ASSERT_TRUE(client.Send(frame));
    std::string got;
    ASSERT_TRUE(Await([&] { return (got = server.Receive(50)) == frame; }));
  }
  // Prefixes beside the ports: neither 10.77.0.1 nor 10.77.0.99 is in the first list, one is in the
  // second.
  auto fail_open = FailOpen::Open(bpffs_);
  ASSERT_TRUE(fail_open.ok()) << fail_open.message();
  for (const auto& prefixes : {std::vector<std::string>{"10.78.0.0/16", "2001:db8::/32"},
                               {"10.77.0.96/30", "2001:db8::/32"}}) {
    const auto interest = dataplane::ParseInterest(prefixes, std::vector<std::string>{"8080"});
    ASSERT_TRUE(interest.ok()) << interest.message();
    ASSERT_TRUE(fail_open.value()->SetInterest(interest.value()).ok());
    const std::string frame = TcpFrame(8080, "by prefix");
    ASSERT_TRUE(client.Send(frame));
    std::string got;
    ASSERT_TRUE(Await([&] { return (got = server.Receive(50)) == frame; }));
  }
  EXPECT_EQ(process_->Stop(), 0);
  EXPECT_EQ(process_->Counter("bypass.to_process"), 3u);
  EXPECT_EQ(process_->Counter("bypass.not_of_interest"), 4u);
}

// A reload sets the lists while frames pass. What is of no interest before and after never leaves the kernel: frames that went
// to the process for a moment would be overtaken by those behind them.
TEST_F(InlineForwardingTest, SettingTheListsMovesNothingThatTheyLeaveInPlace) {
  ASSERT_TRUE(process_->Start(Inline({"--interest-port", "8000-8100"})));
  auto fail_open = FailOpen::Open(bpffs_);
  ASSERT_TRUE(fail_open.ok()) << fail_open.message();
  const auto count = [&](dataplane::BypassCounter counter) {
    fail_open.value()->RefreshCounters();
    return fail_open.value()->counters().Get(counter);
  };
  // Ports change, prefixes change, or one list takes the place of the other: none of them names port 443 or 10.77.0.0.
  struct Lists {
    std::vector<std::string> prefixes, ports;
  };
  const std::array<Lists, 2> cases[] = {{{{{}, {"8080"}}, {{}, {"8000-8100"}}}},
                                        {{{{"10.78.0.0/16"}, {"443"}}, {{"10.79.0.0/16", "10.78.0.0/16"}, {"443"}}}},
                                        {{{{"10.78.0.0/16"}, {}}, {{}, {"8080"}}}}};
  for (const auto& lists : cases) {
    const auto set = [&](size_t i) {
      const auto interest = dataplane::ParseInterest(lists[i % 2].prefixes, lists[i % 2].ports);
      return interest.ok() && fail_open.value()->SetInterest(interest.value()).ok();
    };
    ASSERT_TRUE(set(0));
    RawSocket client(lab_->client, "c0");
    const uint64_t before = count(dataplane::BypassCounter::kNotOfInterest);
    uint64_t sent = 0;
    std::atomic<bool> all_sent = false;
    std::jthread sender([&] {
      for (int i = 0; i < 20'000; ++i) sent += client.Send(TcpFrame(443, "stays"));
      all_sent = true;
    });
    size_t rounds = 0;
    while (!all_sent) ASSERT_TRUE(set(++rounds));
    EXPECT_GT(rounds, 3u);
    ASSERT_TRUE(Await([&] { return count(dataplane::BypassCounter::kNotOfInterest) - before == sent; }))
        << count(dataplane::BypassCounter::kNotOfInterest) - before << " of " << sent;
  }
  // The lists say what was set last, and nothing of what was set before.
  const auto last = dataplane::ParseInterest(std::vector<std::string>{"10.77.0.0/16"}, {});
  ASSERT_TRUE(fail_open.value()->SetInterest(last.value()).ok());
  RawSocket client(lab_->client, "c0");
  ASSERT_TRUE(Await([&] {
    client.Send(TcpFrame(443, "looked at"));
    return count(dataplane::BypassCounter::kToProcess) != 0;
  }));
  const auto other = dataplane::ParseInterest(std::vector<std::string>{"10.80.0.0/16"}, {});
  ASSERT_TRUE(fail_open.value()->SetInterest(other.value()).ok());
  const uint64_t taken = count(dataplane::BypassCounter::kToProcess), left = count(dataplane::BypassCounter::kNotOfInterest);
  client.Send(TcpFrame(443, "not any more"));
  ASSERT_TRUE(Await([&] { return count(dataplane::BypassCounter::kNotOfInterest) != left; }));
  EXPECT_EQ(count(dataplane::BypassCounter::kToProcess), taken);
  EXPECT_EQ(process_->Stop(), 0);
}

// An IPv4 packet of `protocol` to a host that is not there.
std::string Ipv4Frame(uint8_t protocol, const std::string& payload, const std::string& fragment = std::string(2, '\0')) {
  std::string ip("\x45\0\0\0\0\x07", 6);
  ip += fragment + std::string("\x40", 1) + static_cast<char>(protocol) + std::string("\0\0\x0a\x4d\0\x01\x0a\x4d\0\x63", 10);
  ip[3] = static_cast<char>(20 + payload.size());
  uint32_t sum = 0;
  for (size_t i = 0; i < 20; i += 2) sum += static_cast<uint32_t>(static_cast<uint8_t>(ip[i]) << 8 | static_cast<uint8_t>(ip[i + 1]));
  sum = ~((sum & 0xffff) + (sum >> 16));
  ip[10] = static_cast<char>(sum >> 8);
  ip[11] = static_cast<char>(sum);
  return std::string("\x02\0\0\0\0\x50\x02\0\0\0\0\xc0\x08\0", 14) + ip + payload;
}

std::string Udp(uint16_t source, uint16_t destination) {
  std::string out;
  for (const uint16_t field : {source, destination, uint16_t{8 + 26}, uint16_t{0}}) {
    out += static_cast<char>(field >> 8);
    out += static_cast<char>(field);
  }
  return out + std::string(26, 'u');
}

// An IPv6 packet between hosts that are not there.
std::string Ipv6Frame(uint8_t next, const std::string& payload) {
  std::string frame("\x02\0\0\0\0\x50\x02\0\0\0\0\xc0\x86\xdd\x60\0\0\0\0", 19);
  frame += static_cast<char>(payload.size());
  frame += static_cast<char>(next);
  frame += '\x40';
  for (const char* end : {"\1", "\2"}) frame += std::string("\x20\1\x0d\xb8", 4) + std::string(11, '\0') + end;
  return frame + payload;
}

// What may carry TCP inside leaves the kernel; prefixes of TCP say nothing of what is inside. UDP by its list. All arrive unchanged.
TEST_F(InlineForwardingTest, TunnelsAndListedUdpReachTheProcess) {
  const std::string inner(30, 'i'), macs("\x02\0\0\0\0\x50\x02\0\0\0\0\xc0", 12);
  // Of which AF_PACKET would make whole datagrams: there the kernel's.
  const std::vector<std::string> fragments{Ipv4Frame(17, inner, std::string("\0\x05", 2)),
                                           Ipv4Frame(6, inner + inner.substr(6), std::string("\x20\0", 2))};
  const std::vector<std::string> to_process{
      Ipv4Frame(17, Udp(50'000, 4789)),
      Ipv4Frame(17, Udp(443, 50'000)),
      Ipv4Frame(47, inner),
      Ipv4Frame(4, inner),
      Ipv4Frame(41, inner),
      macs + std::string("\x88\x47\0\x01\x01\x40", 6) + inner + inner,
      macs + std::string("\x88\x64\x11\0\0\x01\0\x10", 8) + inner + inner,
      macs + std::string("\x88\xe7\0\0\0\x01", 6) + inner + inner,
      macs + std::string("\x89\x26\0\0\0\x01", 6) + TcpFrame(443, "behind a VN-Tag").substr(12),
      Ipv6Frame(51, std::string("\x06\x04", 2) + inner.substr(8) + TcpFrame(443, "behind an authentication header").substr(34)),
      // A later fragment: what it says of what follows does not count (RFC 8200, 4.5).
      Ipv6Frame(44, std::string("\x3b\0\0\x08\0\0\0\1", 8) + inner),
      macs + std::string("\x81\0\0\x05\x81\0\0\x06\x81\0\0\x07", 12) + Ipv4Frame(17, Udp(1, 4789)).substr(12)};
  const std::vector<std::string> to_peer{Ipv4Frame(17, Udp(50'000, 53)), Ipv4Frame(17, Udp(4788, 444)), Ipv4Frame(1, inner),
                                         Ipv4Frame(132, inner)};
  for (const bool traffic_control : {false, true}) {
    SCOPED_TRACE(traffic_control ? "tc" : "xdp");
    // What the kernel makes of a frame is asked here, and not how long it waits for a heart.
    std::vector<std::string> words{"--interest-udp-port", "4789-4790", "--interest-udp-port", "443", "--timeout-ms", "1000"};
    if (traffic_control) words.push_back("--tc");
    ASSERT_TRUE(process_->Start(Inline(words)));
    RawSocket client(lab_->client, "c0"), server(lab_->server, "s0");
    const auto pass = [&](const std::string& frame) {
      EXPECT_TRUE(client.Send(frame));
      std::string got;
      do got = server.Receive(2'000);
      while (!got.empty() && got != frame);
      return got == frame;
    };
    auto kernel = FailOpen::Open(bpffs_);
    ASSERT_TRUE(kernel.ok()) << kernel.message();
    const auto count = [&](dataplane::BypassCounter counter) {
      kernel.value()->RefreshCounters();
      return kernel.value()->counters().Get(counter);
    };
    using enum dataplane::BypassCounter;
    // From the heart's first beat on.
    ASSERT_TRUE(Await([&] { return pass(TcpFrame(443, "first")) && count(kToProcess) != 0; }));
    const uint64_t taken = count(kToProcess), left = count(kNotOfInterest);
    for (const auto* frames : {&to_process, &fragments, &to_peer}) {
      for (const std::string& frame : *frames) ASSERT_TRUE(pass(frame)) << testing::PrintToString(frame);
    }
    EXPECT_EQ(count(kToProcess) - taken, to_process.size() + (traffic_control ? 0 : fragments.size()));
    EXPECT_EQ(count(kNotOfInterest) - left, to_peer.size() + (traffic_control ? fragments.size() : 0));
    kernel.value().reset();
    EXPECT_EQ(process_->Stop(), 0);
    EXPECT_TRUE(FailOpen::Uninstall(bpffs_).ok());
  }
}

TEST_F(InlineForwardingTest, ASecondProcessIsRefused) {
  ASSERT_TRUE(process_->Start(Inline()));
  ForwarderProcess second(*lab_);
  EXPECT_FALSE(second.Start(Inline()));
  EXPECT_EQ(second.Stop(), 1);
  EXPECT_EQ(process_->Stop(), 0);
}

TEST_F(InlineForwardingTest, AMirrorNeverSends) {
  for (const char* driver : {"af_packet", "af_xdp"}) {
    SCOPED_TRACE(driver);
    ASSERT_TRUE(process_->Start(Inline({"--mirror", "--driver", driver})));
    RawSocket client(lab_->client, "c0"), server(lab_->server, "s0");
    for (int i = 0; i < 500; ++i) {
      ASSERT_TRUE(client.Send(TcpFrame(443, "mirrored " + std::to_string(i))));
      ASSERT_TRUE(server.Send(TcpFrame(443, "mirrored " + std::to_string(i))));
    }
    EXPECT_EQ(client.Receive(300), "");
    EXPECT_EQ(server.Receive(300), "");
    EXPECT_EQ(process_->Stop(), 0);
    EXPECT_EQ(process_->Counter("engine.frames"), 1'000u);
    EXPECT_EQ(process_->Counter("forward.sent_a") + process_->Counter("forward.sent_b"), 0u);
    EXPECT_TRUE(FailOpen::Uninstall(bpffs_).ok());
  }
}

TEST_F(InlineForwardingTest, AfPacketForwardsAndPutsTheVlanTagBack) {
  ASSERT_TRUE(process_->Start(Inline({"--driver", "af_packet"})));
  RawSocket client(lab_->client, "c0"), server(lab_->server, "s0");
  const std::string tagged = TcpFrame(443, "tagged", 0x0fff);
  ASSERT_TRUE(client.Send(tagged));
  std::string got;
  ASSERT_TRUE(Await([&] { return (got = server.Receive(50)) == tagged; }));
  {
    TcpLoad load(*lab_);
    ASSERT_TRUE(Await([&] { return load.received() > 10'000'000; }));
    EXPECT_EQ(load.Finish(), "");
  }
  EXPECT_EQ(process_->Stop(), 0);
}

}  // namespace
}  // namespace stillwatch::e2e
