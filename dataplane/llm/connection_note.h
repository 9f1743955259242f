// What a worker tells of a connection itself, so that both sides of a terminator can be joined
// (engine/side_joiner.h). Contract within the dataplane; told only where WorkerOptions ask for it.
#pragma once

#include <cstdint>
#include <type_traits>

#include "dataplane/llm/exchange.h"

namespace stillwatch::dataplane {

enum class ConnectionKind : uint32_t {
  kFront,   // a ClientHello was read: TLS over TCP, or QUIC. Told again when a second one reads otherwise
  kBehind,  // began with a PROXY header that may be trusted
  kEnded,   // one of those is over
};

struct ConnectionNote {
  OrderKey order;
  uint64_t flow_id = 0;
  int64_t time_ns = 0;
  ClientAddress client, server;      // of kBehind: source and destination as the PROXY header names them
  uint16_t client_port = 0, server_port = 0;
  uint16_t reserved = 0;             // no padding: equal notes are equal bytes
  uint64_t unique_id = 0;            // of the PROXY header's unique id; 0: none
  uint64_t ja4_hash = 0;             // of kFront
  ConnectionKind kind = ConnectionKind::kFront;
  uint32_t reserved_2 = 0;
};
static_assert(std::is_trivially_copyable_v<ConnectionNote>);
static_assert(std::has_unique_object_representations_v<ConnectionNote>);

}  // namespace stillwatch::dataplane
