// What the kernel's programmes and their loader share. Plain C. A change here raises SW_VERSION.
#pragma once

#include <linux/types.h>

#define SW_VERSION 4
#define SW_PREFIXES_MAX 4096
#define SW_REASON_BYTES 128
#define SW_BEGINNINGS 65536

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
  __u64 passes;          // not 0: flows of passed_map stay in the kernel
  __u64 passed_void_ns;  // entries that were judged before are none
  // CLOCK_MONOTONIC: what was given to the process before has been sent on, and left the kernel's own queues.
  __u64 drained_ns;
  char bypass_reason[SW_REASON_BYTES];  // the operator's, for people; ends in 0
};

struct sw_prefix {
  __u32 bits;
  __u8 address[16];
};

// Of passed_map: both directions of one connection.
struct sw_flow_key {
  __u8 low[16], high[16];  // IPv4 as ::ffff:a.b.c.d; which one is low says SwFlowKey
  __be16 low_port, high_port;
  __u8 protocol, zero[3];
};

struct sw_passed_flow {
  __u64 judged_ns;   // of no interest is what began before that; CLOCK_MONOTONIC
  __u64 to_process_ns[2];  // by direction: when its latest frame went to the process; 0: none since the entry was made
  __u8 passed[2];    // by direction: its frames stay in the kernel
  __u8 checked;      // nothing has begun between these ends from judged_ns until the entry was there
  __u8 zero[5];
};

// The key of a packet; the result is its direction, 0 from the low end, 1 from the high one.
static inline __attribute__((always_inline)) int SwFlowKey(const __u8 *source, const __u8 *destination, __be16 source_port,
                                                           __be16 destination_port, __u8 protocol, struct sw_flow_key *key) {
  // Any order will do that both directions agree on.
  int order = 0;
#ifdef __bpf__
#pragma unroll
#endif
  for (int i = 0; i < 16; i += 4) {
    __u32 a, b;
    __builtin_memcpy(&a, source + i, 4);
    __builtin_memcpy(&b, destination + i, 4);
    if (order == 0 && a != b) order = a < b ? -1 : 1;
  }
  if (order == 0) order = source_port <= destination_port ? -1 : 1;
  const int from_high = order > 0;
  __builtin_memcpy(key->low, from_high ? destination : source, 16);
  __builtin_memcpy(key->high, from_high ? source : destination, 16);
  key->low_port = from_high ? destination_port : source_port;
  key->high_port = from_high ? source_port : destination_port;
  key->protocol = protocol;
  key->zero[0] = key->zero[1] = key->zero[2] = 0;
  return from_high;
}

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
  SW_PASSED,           // sent to the peer: of a flow that the process found to be of no interest
  SW_PASS_ENDED,       // not frames: flows that were taken off passed_map for what came on them
  SW_COUNTERS
};
