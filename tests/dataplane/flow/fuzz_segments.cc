// libFuzzer, aware of TCP's structure: segments of both directions in any order, overlapping, forged, missing, against an oracle that keeps
// every byte by its place, first copy wins. Nobody acknowledges more than the handshake, so no order may lose a byte that was sent.
// segments_corpus_test replays the corpus.
//
// Input: bytes 0 to 3 the client's and 4 to 7 the server's initial sequence number; then segments of six bytes: what (bit 0
// from the server, bit 1 forged, bit 2 time goes on by a second instead), the place in the stream (two), the size (two), flags.
#include <string>

#include "base/endian.h"
#include "tests/dataplane/flow/worker_driver.h"
#include "tests/fuzz/target.h"

namespace stillwatch::dataplane {
namespace {

using testing::kA;
using testing::WorkerDriver;

constexpr uint32_t kStreamBytes = 8'192, kSegmentMax = 1'460;

class Oracle {
 public:
  void Add(uint32_t at, std::string_view data) {
    for (const char byte : data) {
      if (bytes_[at] == kNone) bytes_[at] = byte;
      ++at;
    }
  }
  // As FlowObserver writes it: a hole is "[N]".
  std::string Text() const {
    std::string out;
    uint32_t next = 0;
    for (uint32_t at = 0; at < bytes_.size(); ++at) {
      if (bytes_[at] == kNone) continue;
      if (at != next) out += "[" + std::to_string(at - next) + "]";
      out += bytes_[at];
      next = at + 1;
    }
    return out;
  }

 private:
  static constexpr char kNone = 0;  // nobody sends it
  std::string bytes_ = std::string(kStreamBytes + kSegmentMax, kNone);
};

WorkerOptions Options() {
  WorkerOptions options = WorkerDriver::SmallOptions();
  options.reassembly_bytes_max = 1u << 20;  // all segments of an input at once
  options.header_bytes_max = 8u << 10;
  options.datagrams_max = 4;
  return options;
}

char ByteAt(bool server, uint32_t at) { return static_cast<char>((server ? 'n' : 'a') + at * 2'654'435'761u % 13); }

}  // namespace
}  // namespace stillwatch::dataplane

std::string stillwatch::fuzz::Play(Bytes data) {
  using namespace stillwatch::dataplane;
  if (data.size() < 8) return {};
  const uint32_t isn[2] = {LoadBe32(data.data()), LoadBe32(&data[4])};
  WorkerDriver driver(Options());
  driver.Handshake(isn[0], isn[1]);
  Oracle oracles[2];
  int seconds = 0;
  for (size_t at = 8; at + 6 <= data.size(); at += 6) {
    const uint8_t what = data[at];
    // Not for so long that a hole is given up or the flow is idle.
    if ((what & 4) != 0 && seconds < 3) {
      ++seconds;
      driver.Wait(kNsPerSecond / 4);
      continue;
    }
    const bool server = (what & 1) != 0;
    const uint32_t place = LoadBe16(&data[at + 1]) % kStreamBytes;
    const uint32_t length = 1 + LoadBe16(&data[at + 3]) % kSegmentMax;
    std::string payload;
    for (uint32_t i = 0; i < length; ++i) {
      const char byte = ByteAt(server, place + i);
      payload += (what & 2) != 0 ? static_cast<char>(byte - 'a' + 'A') : byte;
    }
    oracles[server].Add(place, payload);
    const uint8_t flags = kA | (data[at + 5] & 8);  // PSH or not
    if (server) {
      driver.S(flags, isn[1] + 1 + place, isn[0] + 1, payload);
    } else {
      driver.C(flags, isn[0] + 1 + place, isn[1] + 1, payload);
    }
  }
  driver.Finish();
  Require(driver.flows().size() <= 1);
  if (driver.flows().empty()) {
    Require(oracles[0].Text().empty() && oracles[1].Text().empty());
    return {};
  }
  const auto& flow = driver.flows()[0];
  Require(flow.client.bytes == oracles[0].Text());
  Require(flow.server.bytes == oracles[1].Text());
  return flow.client.bytes + "|" + flow.server.bytes;
}
