// The same for ports that carry no XDP (ports.driver = "af_packet"), on traffic control. An AF_PACKET socket on the port
// itself would see each frame before this programme does, so that both might send it, or neither. So the process listens elsewhere:
// on one end of a veth pair of our own, to whose other end ("tap") the programme redirects what is the process's. What the process
// sends on it comes in at the tap and is redirected out of the port. The decision is made here, once.
//
//   port --> from_wire --+-- process's: --> tap ==veth== process's end     process's end ==veth== tap --> from_process --> port
//                        +-- else: -------> peer port                      what the veth would give to the host: to_nobody
//
// A frame with an 802.1ad tag is the peer's: AF_PACKET would not tell its type. So are IPv4 fragments: DPDK's driver asks for
// PACKET_FANOUT_FLAG_DEFRAG, and the kernel would hand it whole datagrams.
#include "fail_open_decide.h"

#include <linux/pkt_cls.h>

// By SW_WAY_*: indexes of interfaces; 0: none.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, __u32);
  __uint(max_entries, SW_WAYS);
} way_map SEC(".maps");

static __always_inline __u32 Way(__u32 which) {
  const __u32 *index = bpf_map_lookup_elem(&way_map, &which);
  return index ? *index : 0;
}

static __always_inline int Redirect(__u32 index, __u32 counter) {
  if (!index) counter = SW_NO_PEER;
  Count(counter);
  return index ? bpf_redirect(index, 0) : TC_ACT_SHOT;
}

SEC("tc")
int from_wire(struct __sk_buff *skb) {
  const __u32 zero = 0;
  struct sw_control *control = bpf_map_lookup_elem(&control_map, &zero);
  if (!control) return TC_ACT_SHOT;
  __u32 reason = SW_NOT_IP;
  if (!skb->vlan_present || skb->vlan_proto != bpf_htons(ETH_P_8021AD)) {
    if ((void *)(long)skb->data + 128 > (void *)(long)skb->data_end) bpf_skb_pull_data(skb, skb->len < 128 ? skb->len : 128);
    reason = Decide(control, (void *)(long)skb->data, (void *)(long)skb->data_end, 1);
  }
  if (reason == SW_TO_PROCESS) {
    const __u32 tap = Way(SW_WAY_TAP);
    if (tap) return Redirect(tap, reason);
    reason = SW_NO_SOCKET;
  }
  return Redirect(Way(SW_WAY_PEER), reason);
}

SEC("tc")
int from_process(struct __sk_buff *skb) {
  const __u32 port = Way(SW_WAY_PORT);
  return port ? bpf_redirect(port, 0) : TC_ACT_SHOT;
}

SEC("tc")
int to_nobody(struct __sk_buff *skb) { return TC_ACT_SHOT; }

char license_name[] SEC("license") = "Dual BSD/GPL";
