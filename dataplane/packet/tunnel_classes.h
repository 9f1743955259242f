// Which networks have addresses of their own: two connections between the same addresses and ports in networks of different class
// are two flows. Classes are given by configuration and not by the ids as they stand, since the two directions of a flow may carry
// different ones. Immutable; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/packet/packet.h"

namespace stillwatch::dataplane {

// Ids from `first` to `last` of one kind.
struct TunnelRule {
  TunnelKind kind = TunnelKind::kNone;
  uint32_t first = 0, last = 0;
  uint32_t number = 0;  // of the class, from 1; not used with `each`
  bool each = false;    // every id is a class of its own
};

class TunnelClasses {
 public:
  TunnelClasses() = default;
  explicit TunnelClasses(std::vector<TunnelRule> rules) : rules_(std::move(rules)) {}

  // By the first rule that names what the packet came in; 0 where none does. Different classes have different numbers.
  uint64_t Of(const Packet& packet) const {
    for (const TunnelRule& rule : rules_) {
      if (rule.kind != packet.tunnel_kind || packet.tunnel_id < rule.first || packet.tunnel_id > rule.last) continue;
      if (!rule.each) return rule.number;
      return uint64_t{static_cast<uint8_t>(rule.kind)} << 32 | packet.tunnel_id;
    }
    return 0;
  }

 private:
  std::vector<TunnelRule> rules_;
};

}  // namespace stillwatch::dataplane
