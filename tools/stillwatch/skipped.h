// What passed without a look, for the coverage that verdicts and box-status state.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace stillwatch {

// Frames and exchanges that nobody looked at, and texts that were compared with no other.
inline constexpr const char* kSkippedCounters[] = {
    "bypass.heart_stale", "bypass.switched_on", "bypass.no_socket",       "bypass.overloaded",
    "bypass.no_peer",     "device.missed",      "device.no_buffer",       "engine.worker_ring_full",
    "forward.stale",      "engine.buffers_scarce", "engine.exchange_dropped", "gpu.joins_skipped"};

// Their sum in a snapshot of the counters.
inline uint64_t SkippedIn(const std::map<std::string, uint64_t>& counters) {
  uint64_t skipped = 0;
  for (const char* name : kSkippedCounters) {
    if (const auto at = counters.find(name); at != counters.end()) skipped += at->second;
  }
  return skipped;
}

}  // namespace stillwatch
