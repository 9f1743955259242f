// libFuzzer, aware of TCP's structure: segments of both directions in any order, overlapping, forged, missing, against an oracle that keeps
// every byte in a map, first copy wins. Nobody acknowledges more than the handshake, so no order may lose a byte that was sent.
// segments_corpus_test replays the corpus.
//
// Input: bytes 0 to 3 the client's and 4 to 7 the server's initial sequence number; then segments of six bytes: what (bit 0
// from the server, bit 1 forged, bit 2 time goes on by a second instead), the place in the stream (two), the size (two), flags.
#include <cstdlib>
#include <map>
#include <string>

#include "base/endian.h"
#include "tests/dataplane/flow/worker_driver.h"

namespace stillwatch::dataplane {
namespace {

using testing::kA;
using testing::WorkerDriver;

constexpr uint32_t kStreamBytes = 8'192, kSegmentMax = 1'460;

class Oracle {
 public:
  void Add(uint32_t at, std::string_view data) {
    for (size_t i = 0; i < data.size(); ++i) bytes_.try_emplace(at + static_cast<uint32_t>(i), data[i]);
  }
  // As FlowObserver writes it: a hole is "[N]".
  std::string Text() const {
    std::string out;
    uint32_t next = 0;
    for (const auto& [at, byte] : bytes_) {
      if (at != next) out += "[" + std::to_string(at - next) + "]";
      out += byte;
      next = at + 1;
    }
    return out;
  }

 private:
  std::map<uint32_t, char> bytes_;
};

char ByteAt(bool server, uint32_t at) { return static_cast<char>((server ? 'n' : 'a') + at * 2'654'435'761u % 13); }

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace
}  // namespace stillwatch::dataplane

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace stillwatch::dataplane;
  using namespace stillwatch;
  if (size < 8) return 0;
  const uint32_t isn[2] = {LoadBe32(data), LoadBe32(data + 4)};
  WorkerDriver driver;
  driver.Handshake(isn[0], isn[1]);
  Oracle oracles[2];
  int seconds = 0;
  for (size_t at = 8; at + 6 <= size; at += 6) {
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
    return 0;
  }
  Require(driver.flows()[0].client.bytes == oracles[0].Text());
  Require(driver.flows()[0].server.bytes == oracles[1].Text());
  return 0;
}
