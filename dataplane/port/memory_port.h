// Frames from memory, for tests and benchmarks. Add all frames first; Receive hands them out in
// order, the whole list `rounds` times. As a wire (lossless = false) it also counts what the reader
// released.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "dataplane/port/port.h"
#include "dataplane/port/traffic_clock.h"

namespace stillwatch::dataplane {

class MemoryPort final : public Port {
 public:
  explicit MemoryPort(bool lossless = true, uint64_t rounds = 1)
      : lossless_(lossless), rounds_(rounds) {}

  void Add(Bytes bytes, int64_t time_ns, uint16_t port = 0) {
    packets_.push_back({{bytes.begin(), bytes.end()}, time_ns, port});
  }

  size_t Receive(std::span<Frame> frames) override {
    size_t count = 0;
    while (count < frames.size() && !at_end()) {
      const Packet& packet = packets_[next_];
      frames[count++] = Frame{packet.bytes,
                              static_cast<uint32_t>(packet.bytes.size()),
                              packet.port,
                              ++number_,
                              clock_.Observe(packet.time_ns),
                              next_};
      if (++next_ == packets_.size()) {
        next_ = 0;
        ++round_;
      }
    }
    return count;
  }
  void Release(std::span<const Frame> frames) override { released_ += frames.size(); }
  bool lossless() const override { return lossless_; }
  bool at_end() const override { return packets_.empty() || round_ == rounds_; }

  uint64_t received() const { return number_; }
  uint64_t released() const { return released_; }

 private:
  struct Packet {
    std::vector<uint8_t> bytes;
    int64_t time_ns;
    uint16_t port;
  };

  const bool lossless_;
  const uint64_t rounds_;
  std::vector<Packet> packets_;
  size_t next_ = 0;
  uint64_t round_ = 0;
  uint64_t number_ = 0;
  uint64_t released_ = 0;
  TrafficClock clock_;
};

}  // namespace stillwatch::dataplane
