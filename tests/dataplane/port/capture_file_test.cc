#include "dataplane/port/capture_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "capture_bytes.h"
#include "dataplane/port/memory_port.h"

namespace stillwatch::dataplane {
namespace {

struct Packet {
  std::string bytes;
  int64_t time_ns;
  uint32_t wire_length;
  uint16_t port;
  bool operator==(const Packet&) const = default;
};

std::vector<Packet> ReadAll(CapturePort& port, size_t burst = kBurstMax) {
  std::vector<Packet> packets;
  std::vector<Frame> frames(burst);
  while (const size_t count = port.Receive(frames)) {
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(frames[i].number, packets.size() + 1);
      packets.push_back({std::string(AsText(frames[i].bytes)), frames[i].time_ns,
                         frames[i].wire_length, frames[i].port});
    }
    port.Release(std::span(frames).first(count));
  }
  EXPECT_TRUE(port.at_end());
  return packets;
}

std::unique_ptr<CapturePort> Open(std::vector<std::string> paths) {
  auto port = OpenCaptures(paths);
  EXPECT_TRUE(port.ok()) << port.message();
  return port.ok() ? std::move(port).value() : nullptr;
}

std::vector<Packet> ReadBytes(const CaptureBytes& bytes) {
  TempFile file(bytes.text());
  return ReadAll(*Open({file.path()}));
}

class BothOrders : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Capture, BothOrders, testing::Values(false, true));

TEST_P(BothOrders, PcapMicroAndNanoseconds) {
  for (const auto& [magic, unit] : {std::pair{0xa1b2c3d4u, 1000}, {0xa1b23c4du, 1}}) {
    CaptureBytes bytes(GetParam());
    bytes.PcapHeader(magic, 1).PcapRecord(7, 5, "first frame", 1500).PcapRecord(8, 999, "second");
    EXPECT_EQ(ReadBytes(bytes),
              (std::vector<Packet>{{"first frame", 7 * kNsPerSecond + 5 * unit, 1500, 0},
                                   {"second", 8 * kNsPerSecond + 999 * unit, 6, 0}}));
  }
}

TEST_P(BothOrders, PcapngResolutionsOffsetsInterfacesAndSections) {
  CaptureBytes bytes(GetParam());
  bytes.Section().Interface(1).Interface(1, 9).Interface(1, 0x80 | 10, 100);
  bytes.Enhanced(0, 1'000'001, "microseconds").Enhanced(1, 2'000'000'001, "nanoseconds");
  bytes.Block(0xbad, CaptureBytes(GetParam()).Raw("an unknown block"));
  bytes.Enhanced(2, 3 * 1024 + 512, "binary, offset", 9000);
  bytes.Section().Interface(1, 3);  // numbers start again
  bytes.Enhanced(0, 200'000, "milliseconds");
  EXPECT_EQ(ReadBytes(bytes), (std::vector<Packet>{{"microseconds", 1'000'001'000, 12, 0},
                                                   {"nanoseconds", 2'000'000'001, 11, 0},
                                                   {"binary, offset", 103'500'000'000, 9000, 0},
                                                   {"milliseconds", 200'000'000'000, 12, 0}}));
}

TEST_P(BothOrders, SimpleAndObsoletePacketBlocks) {
  CaptureBytes bytes(GetParam());
  bytes.Section().Interface(1, -1, 0, 4);
  bytes.Block(
      2, CaptureBytes(GetParam()).U16(0).U16(3).U32(0).U32(5'000'000).U32(4).U32(60).Raw("old!"));
  bytes.Block(3, CaptureBytes(GetParam()).U32(10).Raw("cut!"));
  EXPECT_EQ(ReadBytes(bytes), (std::vector<Packet>{{"old!", 5 * kNsPerSecond, 60, 0},
                                                   {"cut!", 5 * kNsPerSecond, 10, 0}}));
}

TEST(CaptureFileTest, SectionsOfDifferentByteOrder) {
  CaptureBytes little(false), big(true);
  little.Section().Interface(1).Enhanced(0, 1, "little");
  big.Section().Interface(1).Enhanced(0, 2, "big");
  CaptureBytes both(false);
  both.Raw(little.text()).Raw(big.text());
  EXPECT_EQ(ReadBytes(both), (std::vector<Packet>{{"little", 1000, 6, 0}, {"big", 2000, 3, 0}}));
}

TEST(CaptureFileTest, SeveralFilesAreMergedInTimeOrder) {
  std::mt19937 random(5);
  std::vector<std::vector<Packet>> by_file(3);
  std::vector<CaptureBytes> bytes(3, CaptureBytes(false));
  for (uint16_t f = 0; f < 3; ++f) {
    bytes[f].PcapHeader(0xa1b23c4d, 1);
    for (uint32_t i = 0, at = 0; i < 200; ++i) {
      at += random() % 4;
      const std::string data = std::to_string(f) + "/" + std::to_string(i);
      bytes[f].PcapRecord(9, at, data);
      by_file[f].push_back({data, 9 * kNsPerSecond + at, static_cast<uint32_t>(data.size()), f});
    }
  }
  std::vector<Packet> expected;
  for (const auto& packets : by_file)
    expected.insert(expected.end(), packets.begin(), packets.end());
  std::stable_sort(expected.begin(), expected.end(),
                   [](auto& a, auto& b) { return a.time_ns < b.time_ns; });
  TempFile a(bytes[0].text()), b(bytes[1].text()), c(bytes[2].text());
  for (const size_t burst : {1, 7, 32}) {
    EXPECT_EQ(ReadAll(*Open({a.path(), b.path(), c.path()}), burst), expected);
  }
}

// Cut anywhere, a capture gives the records that are whole, then stops with one counter.
TEST(CaptureFileTest, EveryCutKeepsWhatCameBefore) {
  CaptureBytes pcap(false), pcapng(false);
  pcap.PcapHeader(0xa1b2c3d4, 1);
  pcapng.Section().Interface(1);
  std::vector<size_t> pcap_ends, pcapng_ends;
  for (int i = 0; i < 5; ++i) {
    pcap.PcapRecord(1, i, "frame " + std::to_string(i));
    pcap_ends.push_back(pcap.text().size());
    pcapng.Enhanced(0, i + 1, "frame " + std::to_string(i));
    pcapng_ends.push_back(pcapng.text().size());
  }
  for (const auto& [text, ends, head] : {std::tuple{pcap.text(), pcap_ends, size_t{24}},
                                         std::tuple{pcapng.text(), pcapng_ends, size_t{48}}}) {
    for (size_t cut = head; cut <= text.size(); ++cut) {
      TempFile file(text.substr(0, cut));
      auto port = Open({file.path()});
      const auto whole =
          std::count_if(ends.begin(), ends.end(), [&](size_t end) { return end <= cut; });
      const bool between = cut == head || std::count(ends.begin(), ends.end(), cut) != 0;
      EXPECT_EQ(ReadAll(*port).size(), static_cast<size_t>(whole)) << cut;
      EXPECT_EQ(port->counters().Get(CaptureCounter::kTruncatedRecord), between ? 0u : 1u) << cut;
      EXPECT_EQ(port->warnings().size(), between ? 0u : 1u);
    }
  }
}

TEST(CaptureFileTest, CorruptLengthsEndTheFileOnly) {
  CaptureBytes bad(false), good(false);
  bad.PcapHeader(0xa1b2c3d4, 1)
      .PcapRecord(1, 0, "kept")
      .U32(1)
      .U32(1)
      .U32(0x7fffffff)
      .U32(60)
      .Raw("xxxxxxx");
  good.PcapHeader(0xa1b2c3d4, 1).PcapRecord(2, 0, "other file");
  TempFile a(bad.text()), b(good.text());
  auto port = Open({a.path(), b.path()});
  EXPECT_EQ(ReadAll(*port).size(), 2u);
  EXPECT_EQ(port->counters().Get(CaptureCounter::kCorruptRecord), 1u);
}

TEST(CaptureFileTest, PcapngContradictionsAreCorrupt) {
  const auto broken = [](auto make) {
    CaptureBytes bytes(false);
    bytes.Section().Interface(1).Enhanced(0, 1, "kept");
    make(bytes);
    TempFile file(bytes.text());
    auto port = Open({file.path()});
    EXPECT_EQ(ReadAll(*port).size(), 1u);
    return port->counters().Get(CaptureCounter::kCorruptRecord);
  };
  EXPECT_EQ(broken([](CaptureBytes& b) { b.Enhanced(1, 1, "no such interface"); }), 1u);
  EXPECT_EQ(broken([](CaptureBytes& b) { b.U32(6).U32(13).Raw("xxxxxxxx"); }),
            1u);  // not a multiple of 4
  EXPECT_EQ(broken([](CaptureBytes& b) { b.U32(6).U32(8).Raw("xxxxxxxx"); }),
            1u);  // shorter than its frame
  EXPECT_EQ(broken([](CaptureBytes& b) { b.U32(9).U32(16).Raw("xxxx").U32(20); }),
            1u);                          // lengths differ
  EXPECT_EQ(broken([](CaptureBytes& b) {  // longer than its block
              b.Block(6, CaptureBytes(false).U32(0).U32(0).U32(1).U32(100).U32(100).Raw("short"));
            }),
            1u);
}

TEST(CaptureFileTest, OtherLinkTypesGetAnEthernetHeaderOrAreLeftOut) {
  const std::string ip4 = "\x45 four", ip6 = "\x60 six";
  CaptureBytes bytes(false);
  bytes.Section().Interface(101).Interface(0).Interface(113).Interface(276).Interface(195);
  bytes.Enhanced(0, 1, ip4).Enhanced(0, 2, ip6).Enhanced(0, 3, "\x10 neither");
  bytes.Enhanced(1, 4, std::string("\x02\0\0\0", 4) + ip4)
      .Enhanced(1, 5, std::string("\x1e\0\0\0", 4) + ip6);
  bytes.Enhanced(2, 6, std::string(14, 'x') + "\x08" + std::string(1, '\0') + ip4);
  bytes.Enhanced(3, 7, "\x86\xdd" + std::string(18, 'x') + ip6).Enhanced(2, 8, "cut");
  bytes.Enhanced(4, 9, "802.15.4").Enhanced(4, 10, "802.15.4");
  TempFile file(bytes.text());
  auto port = Open({file.path()});
  const auto packets = ReadAll(*port);
  ASSERT_EQ(packets.size(), 6u);
  const std::string zero(12, '\0');
  const std::string four = zero + "\x08" + std::string(1, '\0') + ip4,
                    six = zero + "\x86\xdd" + ip6;
  for (const size_t i : {0, 2, 4}) EXPECT_EQ(packets[i].bytes, four) << i;
  for (const size_t i : {1, 3, 5}) EXPECT_EQ(packets[i].bytes, six) << i;
  EXPECT_EQ(packets[4].wire_length, four.size());
  EXPECT_EQ(port->counters().Get(CaptureCounter::kLinkMalformed), 2u);
  EXPECT_EQ(port->counters().Get(CaptureCounter::kLinkUnsupported), 2u);
  ASSERT_EQ(port->warnings().size(), 1u);
  EXPECT_NE(port->warnings()[0].find("link type 195"), std::string::npos);
}

TEST(CaptureFileTest, PppIsReadWithAndWithoutItsOptionalBytes) {
  const std::string ip4 = "\x45 four", ip6 = "\x60 six", address = "\xff\x03";
  CaptureBytes bytes(false);
  bytes.Section().Interface(9).Interface(50).Interface(204);
  bytes.Enhanced(0, 1, "\x21" + ip4).Enhanced(0, 2, address + "\x21" + ip4).Enhanced(0, 3, std::string("\0\x21", 2) + ip4);
  bytes.Enhanced(1, 4, address + std::string("\0\x57", 2) + ip6).Enhanced(1, 5, "\x57" + ip6);
  bytes.Enhanced(2, 6, std::string("\1", 1) + address + "\x57" + ip6).Enhanced(2, 7, std::string("\0\x57", 2) + ip6);
  bytes.Enhanced(0, 8, "\xc0\x21 link control").Enhanced(0, 9, "\x21").Enhanced(0, 10, address).Enhanced(2, 11, "\1");
  TempFile file(bytes.text());
  auto port = Open({file.path()});
  const auto packets = ReadAll(*port);
  ASSERT_EQ(packets.size(), 7u);
  const std::string zero(12, '\0');
  const std::string four = zero + "\x08" + std::string(1, '\0') + ip4, six = zero + "\x86\xdd" + ip6;
  for (const size_t i : {0, 1, 2}) EXPECT_EQ(packets[i].bytes, four) << i;
  for (const size_t i : {3, 4, 5, 6}) EXPECT_EQ(packets[i].bytes, six) << i;
  EXPECT_EQ(port->counters().Get(CaptureCounter::kLinkMalformed), 4u);
  EXPECT_EQ(port->counters().Get(CaptureCounter::kLinkUnsupported), 0u);
}

TEST(CaptureFileTest, UnreadableFilesAreNamedWithTheReason) {
  const auto error = [](const std::string& path) {
    const auto port = OpenCaptures(std::vector<std::string>{path});
    return port.ok() ? std::string("opened") : port.message();
  };
  EXPECT_EQ(error("/nonexistent/a.pcap"), "/nonexistent/a.pcap: No such file or directory");
  EXPECT_NE(error("/tmp").find("is a directory"), std::string::npos);
  EXPECT_NE(error("/dev/null").find("not a regular file"), std::string::npos);
  TempFile empty(""), text("hello, this is no capture at all"),
      gzip("\x1f\x8b\x08\x01 and so on, and so on, and so on");
  EXPECT_NE(error(empty.path()).find("is empty"), std::string::npos);
  EXPECT_NE(error(text.path()).find("neither pcap nor pcapng"), std::string::npos);
  EXPECT_NE(error(gzip.path()).find("unpacked"), std::string::npos);
  TempFile cut(CaptureBytes(false).PcapHeader(0xa1b2c3d4, 1).text().substr(0, 20));
  EXPECT_NE(error(cut.path()).find("cut inside"), std::string::npos);
}

// Any bytes after a sound header: no crash, and everything that is handed out lies inside the file.
TEST(CaptureFileTest, RandomDamageNeverReadsOutside) {
  std::mt19937 random(11);
  for (int round = 0; round < 400; ++round) {
    CaptureBytes bytes(round % 2 == 0);
    if (round % 4 < 2) {
      bytes.PcapHeader(0xa1b2c3d4, round % 3 == 0 ? 113 : 1);
      for (int i = 0; i < 20; ++i) bytes.PcapRecord(1, i, std::string(random() % 90, 'a'));
    } else {
      bytes.Section().Interface(round % 3 == 0 ? 0 : 1, 9, 3);
      for (int i = 0; i < 20; ++i) bytes.Enhanced(0, i, std::string(random() % 90, 'a'));
    }
    std::string text = bytes.text();
    for (int i = 0; i < 6; ++i)
      text[24 + random() % (text.size() - 24)] = static_cast<char>(random());
    TempFile file(text);
    auto port = OpenCaptures(std::vector<std::string>{file.path()});
    if (!port.ok()) continue;
    uint64_t sum = 0;
    for (const Packet& packet : ReadAll(*port.value())) {
      for (const char c : packet.bytes) sum += static_cast<uint8_t>(c);
      EXPECT_LE(packet.bytes.size(), text.size());
    }
    EXPECT_GE(sum, 0u);
  }
}

// More than one 4 MiB piece, released late and out of order: given-back memory never changes a
// frame.
TEST(CaptureFileTest, BytesStayUntilReleased) {
  CaptureBytes bytes(false);
  bytes.PcapHeader(0xa1b2c3d4, 101);
  std::string payload(1400, 'p');
  payload[0] = 0x45;
  for (int i = 0; i < 12'000; ++i) {
    std::memcpy(payload.data() + 1, &i, 4);
    bytes.PcapRecord(1, 0, payload);
  }
  TempFile file(bytes.text());
  auto port = Open({file.path()});
  std::vector<Frame> held, burst(32);
  std::mt19937 random(3);
  int seen = 0;
  const auto release_one = [&] {
    std::swap(held[random() % held.size()], held.back());
    const Frame frame = held.back();
    int number;
    std::memcpy(&number, frame.bytes.data() + 15, 4);
    ASSERT_EQ(static_cast<uint64_t>(number) + 1, frame.number);
    ASSERT_EQ(frame.bytes[12], 0x08);  // the made-up header is still there
    ASSERT_EQ(frame.bytes[14], 0x45);
    port->Release(std::span(&held.back(), 1));
    held.pop_back();
    ++seen;
  };
  while (const size_t count = port->Receive(burst)) {
    held.insert(held.end(), burst.begin(), burst.begin() + static_cast<long>(count));
    while (held.size() > 200) release_one();
  }
  while (!held.empty()) release_one();
  EXPECT_EQ(seen, 12'000);
}

TEST(MemoryPortTest, GivesItsFramesRoundAfterRound) {
  MemoryPort port(true, 3);
  port.Add(AsBytes("one"), 10);
  port.Add(AsBytes("two"), 20, 1);
  Frame frames[4];
  std::string seen;
  while (const size_t count = port.Receive(frames)) {
    for (size_t i = 0; i < count; ++i) seen += AsText(frames[i].bytes);
    port.Release(std::span(frames).first(count));
  }
  EXPECT_EQ(seen, "onetwoonetwoonetwo");
  EXPECT_EQ(port.released(), 6u);
}

}  // namespace
}  // namespace stillwatch::dataplane
