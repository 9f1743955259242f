// What two kernel programmes share (fail_open.bpf.c on XDP, fail_open_tc.bpf.c on traffic control): the maps of both ports,
// and the decision for each frame, made once: for the process, or why not. Plain C for the BPF machine.
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "fail_open_maps.h"

// One entry, mapped by the process, shared by both ports.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct sw_control);
  __uint(max_entries, 1);
} control_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __type(key, __u32);
  __type(value, __u64);
  __uint(max_entries, SW_COUNTERS);
} counter_map SEC(".maps");

// Interest: prefixes of both families (IPv4 as ::ffff:a.b.c.d), and a bitmap of ports.
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct sw_prefix);
  __type(value, __u8);
  __uint(max_entries, SW_PREFIXES_MAX);
} prefix_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, __u64);
  __uint(max_entries, 1024);
} port_map SEC(".maps");

// UDP ports of interest: tunnels that may carry TCP, and QUIC.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, __u64);
  __uint(max_entries, 1024);
} udp_port_map SEC(".maps");

// Flows that the process found to be of no interest; made anew by each process that starts. max_entries is the loader's.
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __type(key, struct sw_flow_key);
  __type(value, struct sw_passed_flow);
  __uint(max_entries, 1);
} passed_map SEC(".maps");

// When something last began (a SYN, a QUIC handshake), by a hash of the flow's key: an entry is made a little after its flow was
// judged, and another connection may have begun between the same ends meanwhile.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, __u64);
  __uint(max_entries, SW_BEGINNINGS);
} beginning_map SEC(".maps");

static __always_inline void Count(__u32 counter) {
  __u64 *value = bpf_map_lookup_elem(&counter_map, &counter);
  if (value) ++*value;
}

static __always_inline int PortListed(void *map, __be16 port) {
  const __u32 number = bpf_ntohs(port);
  const __u32 word = number / 64;
  __u64 *bits = bpf_map_lookup_elem(map, &word);
  return bits && (*bits >> (number % 64) & 1);
}

static __always_inline int PrefixListed(const struct sw_prefix *address) {
  return bpf_map_lookup_elem(&prefix_map, address) != 0;
}

struct Ports {
  __be16 source, destination;
};

// What can be said of a frame without looking deeper.
enum {
  kNotIp,
  kOther,
  kTcp,
  kUdp,
  kTunnel,  // opened by the process, which alone can tell what is inside
};

struct Found {
  int kind;
  int ports_known;  // 0: a later fragment, or cut
  int fragment;     // of IPv4, the first one too
  int in_pieces;    // a fragment of either family
  int begins_known;  // whether it begins a connection can be told
  int begins;        // a SYN, or a QUIC packet that is none of an established connection (RFC 8999, 5.1: a long header)
  struct Ports ports;
  struct sw_prefix source, destination;
};

static __always_inline void Mapped(struct sw_prefix *prefix, const void *address) {
  prefix->bits = 128;
  __builtin_memset(prefix->address, 0, 10);
  prefix->address[10] = prefix->address[11] = 0xff;
  __builtin_memcpy(prefix->address + 12, address, 4);
}

static __always_inline void FindPorts(struct Found *found, void *at, void *end) {
  if (at + sizeof(struct Ports) > end) return;
  found->ports = *(struct Ports *)at;
  found->ports_known = 1;
  const __u8 *bytes = at;
  if (found->kind == kTcp && at + 14 <= end) {
    found->begins_known = 1;
    found->begins = bytes[13] & 2;
  }
  if (found->kind == kUdp && at + 9 <= end) {
    found->begins_known = 1;
    found->begins = bytes[8] & 0x80;
  }
}

static __always_inline int KindOf(__u8 protocol) {
  if (protocol == IPPROTO_TCP) return kTcp;
  if (protocol == IPPROTO_UDP) return kUdp;
  return protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6 || protocol == IPPROTO_GRE ? kTunnel : kOther;
}

static __always_inline void FindIpv4(struct Found *found, void *at, void *end) {
  __u8 *header = at;
  if (at + 20 > end) return;
  found->kind = KindOf(header[9]);
  Mapped(&found->source, header + 12);
  Mapped(&found->destination, header + 16);
  const __u16 field = (__u16)header[6] << 8 | header[7], fragment = field & 0x1fff;
  found->fragment = found->in_pieces = (field & 0x3fff) != 0;
  const __u32 length = (header[0] & 15) * 4;
  if ((found->kind == kTcp || found->kind == kUdp) && fragment == 0 && length >= 20) FindPorts(found, at + length, end);
}

static __always_inline void FindIpv6(struct Found *found, void *at, void *end) {
  __u8 *header = at;
  if (at + 40 > end) return;
  found->source.bits = found->destination.bits = 128;
  __builtin_memcpy(found->source.address, header + 8, 16);
  __builtin_memcpy(found->destination.address, header + 24, 16);
  __u8 next = header[6];
  at += 40;
  // A chain longer than this, or cut, may end in TCP: the process decides.
  found->kind = kTcp;
#pragma unroll
  for (int i = 0; i < 6; ++i) {
    if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60) {
      found->kind = KindOf(next);
      if (found->kind == kTcp || found->kind == kUdp) FindPorts(found, at, end);
      return;
    }
    __u8 *extension = at;
    if (at + 8 > end) return;
    if (next == 44) found->in_pieces = 1;
    if (next == 44 && ((extension[2] << 8 | extension[3]) & 0xfff8)) {
      // A later fragment: no ports here, and what it says of what follows does not count (RFC 8200, 4.5).
      found->kind = KindOf(extension[0]);
      if (found->kind == kOther) found->kind = kTcp;
      return;
    }
    if (next == 44) at += 8;
    else if (next == 51) at += 8 + (__u32)extension[1] * 4;  // an authentication header
    else at += 8 + (__u32)extension[1] * 8;
    next = extension[0];
  }
}

static __always_inline void Find(struct Found *found, void *at, void *end) {
  if (at + ETH_HLEN > end) return;
  __be16 type = *(__be16 *)(at + 12);
  at += ETH_HLEN;
#pragma unroll
  for (int tags = 0; tags < 4; ++tags) {
    if (type == bpf_htons(0x8926)) {  // a VN-Tag
      if (at + 6 > end) return;
      type = *(__be16 *)(at + 4);
      at += 6;
      continue;
    }
    if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD) && type != bpf_htons(0x9100)) break;
    if (at + 4 > end) return;
    type = *(__be16 *)(at + 2);
    at += 4;
  }
  if (type == bpf_htons(ETH_P_IP)) FindIpv4(found, at, end);
  if (type == bpf_htons(ETH_P_IPV6)) FindIpv6(found, at, end);
  // MPLS, PPPoE sessions, provider backbone bridges.
  if (type == bpf_htons(ETH_P_MPLS_UC) || type == bpf_htons(ETH_P_MPLS_MC) || type == bpf_htons(ETH_P_PPP_SES) ||
      type == bpf_htons(ETH_P_8021AH)) {
    found->kind = kTunnel;
  }
}

static __always_inline __u32 PlaceOfBeginning(const struct sw_flow_key *key) {
  __u64 hash = 0;
#pragma unroll
  for (unsigned i = 0; i < sizeof *key / 4; ++i) {
    __u32 word;
    __builtin_memcpy(&word, (const __u8 *)key + 4 * i, 4);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
  }
  return hash >> 48;
}

// Whether the frame belongs to a flow that is to stay in the kernel. A direction moves when nothing of it can be under way in
// the process any more: what was handed over last has been sent on (drained_ns), and an eighth of the heart's timeout more has
// passed for the queues that the kernel itself has on the way there.
static __always_inline int Passes(const struct sw_control *control, const struct Found *found, __u64 now) {
  struct sw_flow_key key;
  const int direction = SwFlowKey(found->source.address, found->destination.address, found->ports.source, found->ports.destination,
                                  found->kind == kTcp ? IPPROTO_TCP : IPPROTO_UDP, &key);
  const __u32 place = PlaceOfBeginning(&key);
  __u64 *begun_ns = bpf_map_lookup_elem(&beginning_map, &place);
  if (!begun_ns) return 0;  // never: the array has this entry
  if (found->begins) *begun_ns = now;
  struct sw_passed_flow *flow = bpf_map_lookup_elem(&passed_map, &key);
  if (!flow) return 0;
  if (found->begins || found->in_pieces || flow->judged_ns < control->passed_void_ns ||
      (!flow->checked && *begun_ns >= flow->judged_ns)) {
    if (bpf_map_delete_elem(&passed_map, &key) == 0) Count(SW_PASS_ENDED);
    return 0;
  }
  flow->checked = 1;
  __u64 *to_process_ns = &flow->to_process_ns[direction & 1];
  __u8 *passed = &flow->passed[direction & 1];
  if (*passed) return 1;
  if (*to_process_ns == 0 || *to_process_ns + (control->timeout_ns >> 3) >= control->drained_ns) {
    *to_process_ns = now;
    return 0;
  }
  *passed = 1;
  return 1;
}

// SW_TO_PROCESS, or the counter that says why the frame is the peer's. The frame's first bytes lie from `at` to `end`.
// `joins`: what the process listens on would join IPv4 fragments and hand on what never was on the wire: they are the peer's.
static __always_inline __u32 Decide(const struct sw_control *control, void *at, void *end, int joins) {
  struct Found found = {};
  Find(&found, at, end);
  if (found.kind == kNotIp) return SW_NOT_IP;
  if (found.kind == kOther || (joins && found.fragment)) return SW_NOT_OF_INTEREST;
  // Later fragments go the way of the first, whose ports are not known here: to the process, if in doubt.
  if (found.kind == kUdp && found.ports_known && !PortListed(&udp_port_map, found.ports.source) &&
      !PortListed(&udp_port_map, found.ports.destination)) {
    return SW_NOT_OF_INTEREST;
  }
  if (found.kind == kTcp && control->match_ports && found.ports_known && !PortListed(&port_map, found.ports.source) &&
      !PortListed(&port_map, found.ports.destination)) {
    return SW_NOT_OF_INTEREST;
  }
  // A tunnel's own addresses say nothing of those inside.
  if (found.kind == kTcp && control->match_prefixes && !PrefixListed(&found.source) && !PrefixListed(&found.destination)) {
    return SW_NOT_OF_INTEREST;
  }
  const __u64 now = bpf_ktime_get_ns();
  // Also while the process is bypassed: what begins meanwhile is a flow that nobody has judged.
  if (control->passes && (found.kind == kTcp || found.kind == kUdp) && found.begins_known && Passes(control, &found, now)) {
    return SW_PASSED;
  }
  if (now < control->bypass_until_ns) return SW_BYPASS_ON;
  if (now < control->overload_until_ns) return SW_OVERLOADED;
  // A beat of the future (another processor's clock read a little later) is fresh.
  if (now > control->beat_ns && now - control->beat_ns > control->timeout_ns) return SW_HEART_STALE;
  return SW_TO_PROCESS;
}
