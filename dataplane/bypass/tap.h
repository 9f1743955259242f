// The way to the process on ports without XDP: a veth pair of our own, named by the port's index ("sw12-tap" is ours,
// "sw12-in" the process's end), and the traffic control filters that carry the programmes. Rtnetlink and libbpf; start-up and
// watch thread. The pair outlives the process, as the filters do.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace stillwatch::dataplane {

struct Tap {
  unsigned ours = 0, theirs = 0;  // indexes
};

// The name of the process's end.
std::string ProcessEnd(unsigned port_index);
// Makes the pair, or takes the one that is there; both ends up, as long as the port's MTU, and mute: no addresses, no ARP.
Result<Tap> MakeTap(unsigned port_index, const std::string& port);
// With both ends. Not there: nothing.
void RemoveTap(unsigned port_index);

// Runs the programme on what comes in by the interface, in the place of the one that we put there before, in one step.
Status AttachFilter(int programme, unsigned index, const std::string& name);
void DetachFilter(unsigned index);

}  // namespace stillwatch::dataplane
