// The steps of one flow on their way into a FlowRecord: TLS records, payloads, datagrams. What TCP flows and QUIC
// connections keep alike. The record comes from the worker's pool and is held only while steps are noted.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>

#include "dataplane/flow/slab.h"
#include "dataplane/http/http_observer.h"
#include "dataplane/llm/connection_note.h"
#include "dataplane/llm/flow_record.h"

namespace stillwatch::dataplane {

struct StepLog {
  FlowRecord* record = nullptr;
  int64_t last_step_ns = 0;
  uint64_t bytes[2] = {};  // of the record, each way
  uint16_t steps = 0;
};

enum class StepNoted : uint8_t {
  kNoRecord,  // the pool is empty
  kBegun,     // a record, by this step
  kGoesOn,
  kFull,      // the record holds as many as it can
};

inline StepNoted NoteStep(StepLog* log, Slab<FlowRecord>* pool, bool from_client, uint32_t bytes, int64_t now_ns) {
  const bool begins = log->record == nullptr;
  if (begins) {
    log->record = pool->TakeRaw();
    if (log->record == nullptr) return StepNoted::kNoRecord;
    // Steps are written before they are read; what is not written is not told.
    log->record->first_ns = now_ns;
    log->bytes[0] = log->bytes[1] = 0;
    log->steps = 0;
    if (log->last_step_ns == 0) log->last_step_ns = now_ns;
  }
  FlowStep& step = log->record->steps[log->steps++];
  step.size_bytes = bytes;
  step.gap_us = static_cast<uint32_t>(std::clamp<int64_t>((now_ns - log->last_step_ns) / 1000, 0, UINT32_MAX));
  step.from_client = from_client;
  std::memset(step.reserved, 0, sizeof step.reserved);
  log->last_step_ns = now_ns;
  log->bytes[from_client ? 0 : 1] += bytes;
  return log->steps == kFlowRecordSteps ? StepNoted::kFull : begins ? StepNoted::kBegun : StepNoted::kGoesOn;
}

// What every record says; fingerprints, round trip time and exchanges are none until the caller sets them. It stands behind
// the flow's exchanges in their order.
inline FlowRecord& FillRecord(const StepLog& log, const StreamContext& at, uint64_t packet) {
  FlowRecord& record = *log.record;
  record.order = {packet, at.flow_hash, std::numeric_limits<uint64_t>::max()};
  record.flow_id = at.flow_id;
  record.client = at.client;
  record.server = at.server;
  record.client_port = at.client_port;
  record.server_port = at.server_port;
  record.last_ns = log.last_step_ns;
  record.ja4_hash = at.ja4_hash;
  record.tcp_hash = record.http2_hash = 0;
  record.rtt_us = 0;
  record.bytes_from_client = log.bytes[0];
  record.bytes_from_server = log.bytes[1];
  record.exchanges = 0;
  record.steps_count = log.steps;
  return record;
}

inline ConnectionNote NoteOf(const StreamContext& at, uint64_t packet, int64_t now_ns, ConnectionKind kind) {
  ConnectionNote note;
  note.order = {packet, at.flow_hash, kind == ConnectionKind::kEnded ? std::numeric_limits<uint64_t>::max() : 0};
  note.flow_id = at.flow_id;
  note.time_ns = now_ns;
  note.client = at.client;
  note.server = at.server;
  note.client_port = at.client_port;
  note.server_port = at.server_port;
  note.ja4_hash = at.ja4_hash;
  note.kind = kind;
  return note;
}

}  // namespace stillwatch::dataplane
