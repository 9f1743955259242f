// The header that a load balancer writes before the client's bytes: PROXY protocol 1 and 2, as HAProxy's
// proxy-protocol.txt defines them. Pure, any thread.
//
// The caller gives all bytes that the connection has carried so far and asks again with more. Bounds: a header
// of version 1 has at most 107 bytes, of version 2 at most kProxyHeaderMax. Of version 2 only the addresses must
// be there; the caller passes over the rest (TLVs), which is never held.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "dataplane/llm/exchange.h"

namespace stillwatch::dataplane {

inline constexpr size_t kProxyHeaderMax = 4096;

enum class ProxyStatus : uint8_t {
  kNone,       // something else begins here
  kNeedMore,   // may become a header
  kFound,
  kMalformed,  // begins like a header and contradicts the protocol
  kTooLong,    // more than kProxyHeaderMax bytes
};

struct ProxyHeader {
  ProxyStatus status = ProxyStatus::kNone;
  uint16_t bytes = 0;        // of the whole header: may be more than were given
  ClientAddress client;      // length 0: the header names none (UNKNOWN, LOCAL, Unix sockets)
  uint16_t client_port = 0;
};

// `head`: the first bytes of the client's direction.
ProxyHeader ReadProxyHeader(Bytes head);

}  // namespace stillwatch::dataplane
