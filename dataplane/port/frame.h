// One packet as the analysis sees it: never an mbuf, never written to.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace stillwatch::dataplane {

struct Frame {
  Bytes bytes;           // from the destination MAC on; valid during one look
  uint32_t wire_length;  // bytes the packet had on the wire; more than bytes.size() when cut
  uint16_t port;         // index of the port it came in by
  uint64_t number;       // counts all packets read, in arrival order, from 1
  int64_t time_ns;       // traffic time of arrival
  uint64_t handle = 0;   // the port's own mark, handed back by Release
};

}  // namespace stillwatch::dataplane
