// What is known of one TCP flow without (or beside) its content. Contract between dataplane and
// pipeline. Emitted at 256 records, at flow end, or 60 s of traffic time after the last one.
#pragma once

#include <cstdint>
#include <type_traits>

#include "dataplane/llm/exchange.h"

namespace stillwatch::dataplane {

inline constexpr uint32_t kFlowRecordSteps = 256;

// One TLS record or, in clear text, one TCP payload.
struct FlowStep {
  uint32_t size_bytes = 0;
  uint32_t gap_us = 0;       // since the step before; saturates
  uint8_t from_client = 0;
  uint8_t reserved[3] = {};
};

struct FlowRecord {
  OrderKey order;
  uint64_t flow_id = 0;
  ClientAddress client, server;
  uint16_t client_port = 0, server_port = 0;
  uint16_t reserved = 0;                                // no padding: equal records are equal bytes
  int64_t first_ns = 0, last_ns = 0;
  uint64_t ja4_hash = 0, tcp_hash = 0, http2_hash = 0;  // 0: unknown
  uint32_t rtt_us = 0;                                  // SYN to SYN-ACK to ACK; 0: unseen
  uint32_t reserved_2 = 0;
  uint64_t bytes_from_client = 0, bytes_from_server = 0;
  uint32_t exchanges = 0;
  uint32_t steps_count = 0;
  FlowStep steps[kFlowRecordSteps];
};
static_assert(std::is_trivially_copyable_v<FlowRecord>);
static_assert(std::has_unique_object_representations_v<FlowRecord>);

}  // namespace stillwatch::dataplane
