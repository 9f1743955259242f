// What leaves the kernel: prefixes and ports of TCP, and UDP ports, as written in the configuration (fail_open.interest_*). Of TCP
// empty lists match everything; of UDP nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "dataplane/bypass/fail_open_maps.h"

namespace stillwatch::dataplane {

inline constexpr uint32_t kPortWords = 65'536 / 64;

struct Interest {
  std::vector<sw_prefix> prefixes;   // IPv4 as ::ffff:a.b.c.d/96+n
  std::vector<uint64_t> port_words;      // empty, or kPortWords: bit p%64 of word p/64
  std::vector<uint64_t> udp_port_words;  // the same
};

// Prefixes "10.0.0.0/8", "2001:db8::/32", "192.0.2.1"; ports "443", "8000-8100". At most
// SW_PREFIXES_MAX prefixes.
Result<Interest> ParseInterest(std::span<const std::string> prefixes,
                               std::span<const std::string> ports, std::span<const std::string> udp_ports = {});

}  // namespace stillwatch::dataplane
