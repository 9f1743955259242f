// How long a frame was with us, as a histogram of counters: the network engineer reads from it what inline adds. Two intervals,
// by the processor's time stamp counter:
//
//   delay  from the poll that brought the frame to the return of the call that sent it
//   wait   from the end of the poll before to this poll: no frame of it waited longer in the receive ring, if the poll before
//          emptied the ring; in the ring's idle hours nearly all of it is silence, so only polls that bring frames count
//
// The longest a frame can have been added to is the sum of both. One writer (the polling thread).
#pragma once

#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string_view>

#include "base/counters.h"

namespace stillwatch::dataplane {

enum class DelayCounter {
  kUpTo1us,    // frames sent at most 1 us after the poll that brought them
  kUpTo2us,    // in over 1 to 2 us
  kUpTo5us,    // in over 2 to 5 us
  kUpTo10us,   // in over 5 to 10 us
  kUpTo20us,   // in over 10 to 20 us
  kUpTo50us,   // in over 20 to 50 us
  kUpTo100us,  // in over 50 to 100 us
  kUpTo200us,  // in over 100 to 200 us
  kUpTo500us,  // in over 200 to 500 us
  kUpTo1ms,    // in over 500 us to 1 ms
  kUpTo10ms,   // in over 1 to 10 ms; give the forwarder a processor of its own (threads.cpus)
  kLonger,     // later than 10 ms; give the forwarder a processor of its own (threads.cpus)
  kCount
};
inline constexpr CounterNames<DelayCounter> kDelayCounterNames{
    "delay.1us",  "delay.2us",   "delay.5us",   "delay.10us",  "delay.20us", "delay.50us",
    "delay.100us", "delay.200us", "delay.500us", "delay.1ms", "delay.10ms", "delay.longer"};

enum class WaitCounter {
  kUpTo1us,    // frames of polls at most 1 us after the poll before: the longest they waited to be received
  kUpTo2us,    // over 1 to 2 us after
  kUpTo5us,    // over 2 to 5 us after
  kUpTo10us,   // over 5 to 10 us after
  kUpTo20us,   // over 10 to 20 us after
  kUpTo50us,   // over 20 to 50 us after
  kUpTo100us,  // over 50 to 100 us after
  kUpTo200us,  // over 100 to 200 us after
  kUpTo500us,  // over 200 to 500 us after
  kUpTo1ms,    // over 500 us to 1 ms after
  kUpTo10ms,   // over 1 to 10 ms after; give the forwarder a processor of its own (threads.cpus)
  kLonger,     // more than 10 ms after; give the forwarder a processor of its own (threads.cpus)
  kCount
};
inline constexpr CounterNames<WaitCounter> kWaitCounterNames{
    "wait.1us",  "wait.2us",   "wait.5us",   "wait.10us",  "wait.20us", "wait.50us",
    "wait.100us", "wait.200us", "wait.500us", "wait.1ms", "wait.10ms", "wait.longer"};

inline constexpr size_t kLatencySteps = static_cast<size_t>(DelayCounter::kCount);
static_assert(kLatencySteps == static_cast<size_t>(WaitCounter::kCount));
// Upper ends, in microseconds; the last step has none.
inline constexpr std::array<uint64_t, kLatencySteps - 1> kLatencyEndsUs{1, 2, 5, 10, 20, 50, 100, 200, 500, 1'000, 10'000};

using LatencyCounts = std::array<uint64_t, kLatencySteps>;

// Steps of kLatencyEndsUs in ticks of the time stamp counter.
class LatencySteps {
 public:
  explicit LatencySteps(uint64_t ticks_a_second) {
    for (size_t i = 0; i < ends_.size(); ++i) ends_[i] = kLatencyEndsUs[i] * ticks_a_second / 1'000'000;
  }
  size_t StepOf(uint64_t ticks) const {
    size_t step = 0;
    while (step < ends_.size() && ticks > ends_[step]) ++step;
    return step;
  }

 private:
  std::array<uint64_t, kLatencySteps - 1> ends_;
};

// The upper end of the step in which the share `per_mille` of all frames has been counted, in microseconds. 0 without frames, none
// where it is the last step.
inline std::optional<uint64_t> LatencyQuantileUs(const LatencyCounts& frames, uint64_t per_mille) {
  const uint64_t all = std::accumulate(frames.begin(), frames.end(), uint64_t{0});
  if (all == 0) return 0;
  uint64_t seen = 0;
  for (size_t i = 0; i + 1 < frames.size(); ++i) {
    seen += frames[i];
    if (seen >= all - all / 1'000 * (1'000 - per_mille) - all % 1'000 * (1'000 - per_mille) / 1'000) return kLatencyEndsUs[i];
  }
  return std::nullopt;
}

// Values of a block, in the order of its steps.
template <typename Enum>
LatencyCounts LatencyOf(const CounterBlock<Enum>& block) {
  LatencyCounts frames;
  for (size_t i = 0; i < kLatencySteps; ++i) frames[i] = block.Get(static_cast<Enum>(i));
  return frames;
}

inline void AddTo(LatencyCounts* sum, const LatencyCounts& frames) {
  for (size_t i = 0; i < kLatencySteps; ++i) (*sum)[i] += frames[i];
}

}  // namespace stillwatch::dataplane
