// What the XDP programme and its loader share. Plain C. A change here raises SW_VERSION.
#pragma once

#include <linux/types.h>

#define SW_VERSION 3
#define SW_PREFIXES_MAX 4096
#define SW_REASON_BYTES 128

// Entry 0 of control_map; the process maps it and stores with plain 8-byte stores.
struct sw_control {
  __u64 version;
  __u64 beat_ns;         // CLOCK_MONOTONIC of the forwarder's last beat
  __u64 timeout_ns;      // older than this: the heart is stale
  // Until these (CLOCK_MONOTONIC; 0: not) everything goes to the peer. They end by themselves, also
  // when no process is there to end them.
  __u64 bypass_until_ns;    // the operator's switch
  __u64 overload_until_ns;  // the process's own word that it cannot keep up
  __u64 mirror;             // not 0: a mirror port; nothing is ever sent
  __u64 match_prefixes;  // not 0: only TCP from or to prefix_map's prefixes is of interest
  __u64 match_ports;     // not 0: only TCP from or to port_map's ports is of interest
  char bypass_reason[SW_REASON_BYTES];  // the operator's, for people; ends in 0
};

struct sw_prefix {
  __u32 bits;
  __u8 address[16];
};

// Entries of way_map (traffic control only): indexes of interfaces.
enum {
  SW_WAY_PEER,  // the other port
  SW_WAY_TAP,   // our end of the veth pair whose other end is the process's
  SW_WAY_PORT,  // the port itself
  SW_WAYS
};

enum {
  SW_TO_PROCESS,       // given to the process
  SW_HEART_STALE,      // sent to the peer: the heart did not beat in time
  SW_BYPASS_ON,        // sent to the peer: bypass is switched on
  SW_NO_SOCKET,        // sent to the peer: no process holds this queue
  SW_NOT_OF_INTEREST,  // sent to the peer: IP that is neither on the interest list nor a tunnel
  SW_NOT_IP,           // sent to the peer: control frames, ARP, other EtherTypes, cut headers
  SW_OVERLOADED,       // sent to the peer: the process said that it cannot keep up
  SW_NO_PEER,          // dropped: the peer port is gone
  SW_COUNTERS
};
