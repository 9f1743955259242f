// Every Ethernet frame of every capture in tests/data, and control frames of layer 2, put in at one end and taken out
// at the other: the same bytes, once, and nothing else on either wire. The end hosts are mute, so that what is not a
// frame of ours comes from the appliance.
#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "dataplane/port/capture_reader.h"
#include "inline_lab.h"
#include "probe.h"

namespace stillwatch::e2e {
namespace {

constexpr size_t kFrameMin = 14, kFrameMax = 1514;

// In the order of their names, each frame once: what was sent before tells nothing new.
std::vector<std::string> FramesOfAllCaptures() {
  std::set<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(STILLWATCH_SOURCE_DIR "/tests/data")) {
    if (entry.is_regular_file()) paths.insert(entry.path());
  }
  std::set<std::string> known;
  std::vector<std::string> frames;
  for (const auto& path : paths) {
    auto reader = dataplane::CaptureReader::Open(path);
    if (!reader.ok()) continue;  // not a capture
    dataplane::CaptureRecord record;
    while (reader.value()->Next(&record) == dataplane::ReadResult::kRecord) {
      if (record.link_type != dataplane::kLinkEthernet || record.bytes.size() < kFrameMin || record.bytes.size() > kFrameMax) continue;
      std::string frame(record.bytes.begin(), record.bytes.end());
      if (known.insert(frame).second) frames.push_back(std::move(frame));
    }
  }
  return frames;
}

std::string Mac(const char* bytes) { return {bytes, 6}; }

// Link aggregation, link discovery, spanning tree (also per VLAN), pause, ARP, MPLS, PPPoE, PTP, one of no known type,
// and a length in the place of a type.
constexpr size_t kTunnels = 2;  // of them go through the process: MPLS and PPPoE may carry TCP
std::vector<std::string> ControlFrames() {
  const std::string from = Mac("\x02\0\0\0\0\xc0");
  std::vector<std::string> frames;
  for (const auto& [to, type, first] : std::vector<std::tuple<std::string, std::string, std::string>>{
           {Mac("\x01\x80\xc2\0\0\x02"), "\x88\x09", std::string("\x01\x01\x01\x14", 4)},
           {Mac("\x01\x80\xc2\0\0\x0e"), "\x88\xcc", std::string("\x02\x07\x04\x02", 4)},
           {Mac("\x01\x80\xc2\0\0\0"), std::string("\0\x26", 2), "\x42\x42\x03"},
           {Mac("\x01\0\x0c\xcc\xcc\xcd"), std::string("\x81\0\0\x07\0\x32", 6), std::string("\xaa\xaa\x03\0\0\x0c\x01\x0b", 8)},
           {Mac("\x01\x80\xc2\0\0\x01"), "\x88\x08", std::string("\0\x01\xff\xff", 4)},
           {Mac("\xff\xff\xff\xff\xff\xff"), "\x08\x06", std::string("\0\x01\x08\0\x06\x04\0\x01", 8)},
           {Mac("\x02\0\0\0\0\x50"), "\x88\x47", std::string("\0\x01\x01\x40", 4)},
           {Mac("\x02\0\0\0\0\x50"), "\x88\x64", std::string("\x11\0\0\x01", 4)},
           {Mac("\x02\0\0\0\0\x50"), "\x88\xf7", std::string("\0\x02\0\x2c", 4)},
           {Mac("\x02\0\0\0\0\x50"), "\x88\xb5", "experiment"},
           {Mac("\x02\0\0\0\0\x50"), std::string("\0\x10", 2), "novell"}}) {
    std::string frame = to + from + type + first;
    frame.resize(60, 'p');
    frames.push_back(frame);
  }
  return frames;
}

class ByteExactTest : public InlineLabTest {
 protected:
  // Neither end host says or answers anything of its own.
  void Mute() const {
    for (const auto& [host, name] : {std::pair(&lab_->client, "c0"), {&lab_->server, "s0"}}) {
      ASSERT_EQ(host->Run(std::string("ip address flush dev ") + name + " && ip link set " + name +
                          " addrgenmode none arp off && echo 1 > /proc/sys/net/ipv6/conf/" + name + "/disable_ipv6"), 0);
    }
  }
  // One frame on its way at a time: the receiving host would join segments of one burst to one.
  static size_t Send(RawSocket* from, RawSocket* to, const std::vector<std::string>& frames) {
    size_t arrived = 0;
    for (const std::string& frame : frames) {
      EXPECT_TRUE(from->Send(frame));
      const std::string got = to->Receive(2'000);
      if (got == frame) ++arrived;
      else ADD_FAILURE() << "sent " << testing::PrintToString(frame) << "\ngot  " << testing::PrintToString(got);
      if (testing::Test::HasFailure()) break;
    }
    return arrived;
  }
};

TEST_F(ByteExactTest, WhatGoesInComesOutAndNothingElse) {
  Mute();
  ASSERT_TRUE(process_->Start(Inline()));
  const std::vector<std::string> captured = FramesOfAllCaptures(), control = ControlFrames();
  ASSERT_GT(captured.size(), 5'000u);
  RawSocket client(lab_->client, "c0"), server(lab_->server, "s0");
  EXPECT_EQ(Send(&client, &server, captured), captured.size());
  EXPECT_EQ(Send(&client, &server, control), control.size());
  EXPECT_EQ(Send(&server, &client, control), control.size());
  // The other way a part: both ports run the same programme.
  std::vector<std::string> part;
  for (size_t i = 0; i < captured.size(); i += 8) part.push_back(captured[i]);
  EXPECT_EQ(Send(&server, &client, part), part.size());
  EXPECT_EQ(process_->Stop(), 0);
  EXPECT_EQ(client.Receive(500), "") << "the appliance said something";
  EXPECT_EQ(server.Receive(500), "") << "the appliance said something";
  // Both ways were gone: through the process and by the kernel.
  EXPECT_GT(process_->Counter("forward.sent_b"), 1'000u);
  EXPECT_GE(process_->Counter("bypass.not_ip"), 2 * (control.size() - kTunnels));
  // And when nobody is there.
  EXPECT_EQ(Send(&client, &server, control), control.size());
  EXPECT_EQ(Send(&client, &server, part), part.size());
  EXPECT_EQ(client.Receive(200), "");
  std::printf("MEASURED byte-exact: %zu frames of tests/data and %zu control frames\n", captured.size(), control.size());
}

}  // namespace
}  // namespace stillwatch::e2e
