// Which TCP leaves the kernel: prefixes and ports as written in the configuration
// (fail_open.interest_*). Empty lists match everything.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "dataplane/bypass/fail_open_maps.h"

namespace stillwatch::dataplane {

struct Interest {
  std::vector<sw_prefix> prefixes;   // IPv4 as ::ffff:a.b.c.d/96+n
  std::vector<uint64_t> port_words;  // empty, or 1,024 words: bit p%64 of word p/64
};

// Prefixes "10.0.0.0/8", "2001:db8::/32", "192.0.2.1"; ports "443", "8000-8100". At most
// SW_PREFIXES_MAX prefixes.
Result<Interest> ParseInterest(std::span<const std::string> prefixes,
                               std::span<const std::string> ports);

}  // namespace stillwatch::dataplane
