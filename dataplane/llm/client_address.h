// The client's address behind proxies: X-Forwarded-For and Forwarded (RFC 7239). Pure functions.
#pragma once

#include <algorithm>
#include <string_view>

#include "dataplane/llm/exchange.h"

namespace stillwatch::dataplane {

enum class ForwardedResult : uint8_t { kFound, kShort, kUnreadable };

// The entry that the outermost trusted proxy wrote: number `trusted_hops` from the right (1: the last one).
// kShort: fewer entries than hops. kUnreadable: the entry is no address. A header that came several times
// is one list: the caller goes from the last value to the first, lowering the hops by ListEntries.
// *port: 0 where the entry names none.
ForwardedResult FromXForwardedFor(std::string_view value, int trusted_hops, ClientAddress* out, uint16_t* port);
ForwardedResult FromForwarded(std::string_view value, int trusted_hops, ClientAddress* out, uint16_t* port);

inline int ListEntries(std::string_view value) {
  return static_cast<int>(std::count(value.begin(), value.end(), ',')) + 1;
}

// "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80"; mapped IPv4 becomes IPv4.
// *port: 0 where there is none, or none that is a number (RFC 7239, 6.3: it may be hidden).
bool ParseAddress(std::string_view text, ClientAddress* out, uint16_t* port);

}  // namespace stillwatch::dataplane
