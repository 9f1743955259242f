// One QUIC connection from the client to the server's port 443, as far as a watcher can tell: an Initial packet with a ClientHello,
// then datagrams with short headers. Counted and timed at the server's socket.
#pragma once

#include <cstdint>

#include "net_lab.h"

namespace stillwatch::e2e {

struct UdpSeen {
  uint64_t sent = 0, received = 0, reordered = 0;
  double p50_us = 0, p99_us = 0;  // from the sending host's clock to the receiving kernel's stamp
};

// After a second of slow datagrams, a flow record's worth, and a pause of 100 ms: so many datagrams of 1,200 bytes a millisecond for
// so long. One at a time.
UdpSeen LoadUdp(const NetLab& lab, int datagrams_a_ms, int seconds);

}  // namespace stillwatch::e2e
