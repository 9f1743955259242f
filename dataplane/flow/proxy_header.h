// The header that a load balancer writes before the client's bytes: PROXY protocol 1 and 2, as HAProxy's
// proxy-protocol.txt defines them. Pure, any thread.
//
// The caller gives all bytes that the connection has carried so far and asks again with more. Bounds: a header
// of version 1 has at most 107 bytes, of version 2 at most kProxyHeaderMax. Of version 2 only the addresses must
// be there; the caller passes over the rest (TLVs), which is never held: ProxyTlvs reads it as it passes.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/hash.h"
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
  ClientAddress client{};    // length 0: the header names none (UNKNOWN, LOCAL, Unix sockets)
  ClientAddress server{};    // what the client had connected to
  uint16_t client_port = 0, server_port = 0;
  uint16_t tlvs_at = 0;      // where version 2's TLVs begin; `bytes` where there are none
};

// `head`: the first bytes of the client's direction.
ProxyHeader ReadProxyHeader(Bytes head);

// The TLVs of version 2 (section 2.2), in any pieces: of them only the unique id (PP2_TYPE_UNIQUE_ID, 2.2.5), as a keyed
// hash, since two headers with one id tell of one connection. What runs over its header's end gives none.
class ProxyTlvs {
 public:
  void Feed(Bytes data, Salt salt);
  // 0: none so far.
  uint64_t unique_id() const { return unique_id_; }

 private:
  uint8_t head_[3] = {};      // type, length
  uint8_t head_bytes_ = 0;
  uint16_t left_ = 0;         // of the value
  uint64_t hash_ = 0, unique_id_ = 0;
};

}  // namespace stillwatch::dataplane
