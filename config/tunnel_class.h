// One entry of flow.tunnel_classes: "vni 5001 5002-5010", or "vni 5000-5999 each". For the loader, which refuses what does not read
// so, and for who fills the options.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace stillwatch::config {

struct TunnelClassText {
  std::string kind;                                    // "vlan", "vni", "teid" or "gre"
  std::vector<std::pair<uint32_t, uint32_t>> ranges;   // first and last, at least one
  bool each = false;                                   // every id is a class of its own; else all are one
};

Result<TunnelClassText> ParseTunnelClass(const std::string& text);

}  // namespace stillwatch::config
