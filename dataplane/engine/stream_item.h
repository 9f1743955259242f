// What travels from a forwarder to a worker: a frame, or the news that traffic time moved on.
#pragma once

#include <cstdint>
#include <type_traits>

#include "dataplane/port/frame.h"

namespace stillwatch::dataplane {

// `sequence` counts frames and ticks of the forwarder's stream together, from 1: it is the place of
// an item in the one order that all workers share. A tick has the number and time of the frame that
// follows it.
struct StreamItem {
  Frame frame;
  uint64_t sequence;
  bool tick;
};
static_assert(std::is_trivially_copyable_v<StreamItem>);

// After the last item of the stream.
inline constexpr uint64_t kSequenceEnd = ~0ull;

}  // namespace stillwatch::dataplane
