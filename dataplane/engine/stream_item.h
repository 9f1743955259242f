// What travels from a forwarder to a worker: a frame, or the news that traffic time moved on.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "dataplane/port/frame.h"
#include "dataplane/port/port.h"

namespace stillwatch::dataplane {

// `sequence` is the place of an item in the one order that all workers share. With one forwarder it
// counts frames and ticks of its stream together, from 1. With several it is made from the time at
// which the item was received and the forwarder's number, and always rises in each one's stream. A
// tick has the number and time of the frame that follows it.
struct StreamItem {
  Frame frame;
  uint64_t sequence;
  bool tick;
};
static_assert(std::is_trivially_copyable_v<StreamItem>);

// Of one forwarder: every item of it up to this sequence has been offered.
struct alignas(64) SentUpTo {
  std::atomic<uint64_t> sequence{0};
};

// After the last item of the stream.
inline constexpr uint64_t kSequenceEnd = ~0ull;

}  // namespace stillwatch::dataplane
