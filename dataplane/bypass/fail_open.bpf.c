// The XDP programme of both ports. For each frame: hand it to the process while the process's heart beats, send it
// straight to the peer port otherwise. Frames that the process has no interest in go to the peer without leaving
// the kernel. Nothing is changed in a frame. Dropped are only frames that have nowhere to go: those of a mirror port
// which the process does not take, and those whose peer port is gone. No frame ever reaches the host's own stack.
//
// The names xsk_def_prog, xsks_map and xsk_prog_version are libxdp's: its socket set-up finds this programme on
// the interface and puts its AF_XDP sockets into our map, so DPDK's stock driver joins it unchanged.
#include "fail_open_decide.h"

// Sockets of the process, by receive queue.
struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(key_size, sizeof(int));
  __uint(value_size, sizeof(int));
  __uint(max_entries, 64);
} xsks_map SEC(".maps");

// Entry 0: the other port. Empty on a mirror port.
struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(key_size, sizeof(int));
  __uint(value_size, sizeof(int));
  __uint(max_entries, 1);
} peer_map SEC(".maps");

static __always_inline int ToPeer(const struct sw_control *control, __u32 counter) {
  if (control->mirror) {
    Count(counter);
    return XDP_DROP;
  }
  // The kernel empties the entry when the port goes away.
  const int action = bpf_redirect_map(&peer_map, 0, XDP_DROP);
  Count(action == XDP_REDIRECT ? counter : SW_NO_PEER);
  return action;
}

SEC("xdp")
int xsk_def_prog(struct xdp_md *context) {
  const __u32 zero = 0;
  struct sw_control *control = bpf_map_lookup_elem(&control_map, &zero);
  if (!control) return XDP_DROP;  // never: the array has this entry
  const __u32 reason = Decide(control, (void *)(long)context->data, (void *)(long)context->data_end, 0);
  if (reason != SW_TO_PROCESS) return ToPeer(control, reason);
  if (bpf_redirect_map(&xsks_map, context->rx_queue_index, 0) == XDP_REDIRECT) {
    Count(SW_TO_PROCESS);
    return XDP_REDIRECT;
  }
  return ToPeer(control, SW_NO_SOCKET);
}

char license_name[] SEC("license") = "Dual BSD/GPL";
__uint(xsk_prog_version, 1) SEC("xdp_metadata");
