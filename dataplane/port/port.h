// The seam between where packets come from and who looks at them. A Port is polled by one thread
// (its forwarder). Variants: DPDK ethdev, mapped capture file, memory (tests, benchmarks).
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/port/frame.h"

namespace stillwatch::dataplane {

inline constexpr size_t kBurstMax = 32;
inline constexpr size_t kForwardersMax = 16;

class Port {
 public:
  virtual ~Port() = default;

  // Up to frames.size() packets, in arrival order. The bytes of each stay valid until its Release,
  // on the same thread, in any order and grouping. 0: nothing now (see at_end()).
  virtual size_t Receive(std::span<Frame> frames) = 0;
  virtual void Release(std::span<const Frame> frames) = 0;

  // A capture: every ring behind this port waits and none drops. A wire: never.
  virtual bool lossless() const = 0;
  // True when no packet will come any more (a capture that was read to its end).
  virtual bool at_end() const = 0;

  // Called once on the thread that is going to poll, before its first Receive.
  virtual void OnPollingThread() {}
  // Too few buffers are free to lend any out: frames should be released at once, unlooked at.
  virtual bool buffers_scarce() const { return false; }
};

}  // namespace stillwatch::dataplane
