// Finds the IPv6 packet that a UDP datagram of a tunnel broker carries: Teredo (RFC 4380) and AYIYA
// (draft-massar-v6ops-ayiya-02). Pure, any thread; reads only headers, each length bounded by the datagram.
//
// Either end must use the protocol's own port, or, for Teredo between a client and a relay, the inner address of an end
// must be a Teredo address that names the datagram's port at that end as its mapped one. (The mapped IPv4 address is
// not compared: before the client's NAT it is another.) And what stands there must be an IPv6 header whose payload
// length ends exactly with the datagram: nothing is taken for a tunnel by less. All else stays plain UDP, so nothing is
// discarded here. A client whose NAT maps it to another port is seen on the far side of that NAT only.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace stillwatch::dataplane {

// `data`: the captured bytes behind the UDP header; `data_wire`: how many the UDP length announces. Where in `data`
// the inner packet begins; nothing when this is no such tunnel.
std::optional<size_t> FindIpv6InUdp(uint16_t src_port, uint16_t dst_port, Bytes data, uint32_t data_wire);

}  // namespace stillwatch::dataplane
