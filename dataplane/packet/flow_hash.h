// The software flow hash: both directions of an inner flow give the same value, so they reach one worker. Pure.
#pragma once

#include "base/hash.h"
#include "dataplane/packet/packet.h"
#include "dataplane/port/flow_ends.h"

namespace stillwatch::dataplane {

// Addresses and ports in an order that both directions agree on. 36 bytes, no padding.
struct FlowKey {
  uint8_t low[16], high[16];
  uint16_t low_port, high_port;
  bool operator==(const FlowKey&) const = default;
};
static_assert(sizeof(FlowKey) == 36);

// The key, and whether the packet runs from `low` to `high`.
FlowKey FlowKeyOf(const Packet& packet, bool* from_low);
uint64_t HashOf(const FlowKey& key, Salt salt);
// Of one flow among all that ever have its key: by the time and number of its first packet.
uint64_t FlowIdOf(const FlowKey& key, int64_t first_ns, uint64_t first_packet, Salt salt);

// From `low` to `high`, addresses of `address_length` bytes.
FlowEnds EndsOf(const FlowKey& key, uint8_t address_length, uint8_t protocol);

// What a forwarder computes on a raw frame: HashOf for TCP and UDP; addresses only for other IP and for
// fragments; 0 for what is no IP. `fragment`: whether it is one, or carries one in a tunnel. Looks at headers only, checks no
// checksum.
uint64_t FlowHash(Bytes frame, Salt salt, bool* fragment = nullptr);

}  // namespace stillwatch::dataplane
