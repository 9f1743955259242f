// Drives a World in wall time over real TCP connections to a server, many at once, from many source
// addresses. One thread, epoll. Scenario time runs `speed` times as fast as the wall.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "tools/stillgen/sockets.h"
#include "tools/stillgen/world.h"

namespace stillwatch::stillgen {

struct PlayCounts {
  uint64_t connections = 0, requests = 0, responses = 0, rate_limited = 0;
  uint64_t bytes_out = 0, bytes_in = 0;
  uint64_t connect_errors = 0;   // could not connect
  uint64_t broken = 0;           // connection ended before the answer was whole
  uint64_t unreadable = 0;       // answered, but not as its dialect says
  uint64_t unanswered = 0;       // still open when the time was up
};

struct PlayOptions {
  sockaddr_in target{};
  Prefix sources;                // count 0: the system's choice
  double speed = 1;
  int64_t duration_ns = 0;       // wall time; then answers under way get 10 s more
  std::function<void(int64_t wall_ns, const PlayCounts&)> progress;  // about once a second; may be empty
};

// Stops early when `stop` (a descriptor, or -1) becomes readable. Fails when the very first connection
// cannot be made.
Result<PlayCounts> Play(World* world, const PlayOptions& options, int stop);

}  // namespace stillwatch::stillgen
