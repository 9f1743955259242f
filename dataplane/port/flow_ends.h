// A connection by what its outermost packets carry, as the kernel sees them: for telling the kernel of a flow. Plain values.
#pragma once

#include <cstdint>

namespace stillwatch::dataplane {

struct FlowEnds {
  uint8_t source[16] = {}, destination[16] = {};  // IPv4 as ::ffff:a.b.c.d
  uint16_t source_port = 0, destination_port = 0;
  uint8_t protocol = 0;
};

}  // namespace stillwatch::dataplane
