// One event as it lies in the outbox and as the drainers read it. The stored form starts with a
// checksum: LMDB has none of its own, and a flipped bit must not become a verdict. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "pipeline/sink/sink.h"

namespace stillwatch::pipeline {

struct OutboxRecord {
  uint64_t position = 0;  // in the outbox: from 1, without gaps
  Topic topic = Topic::kAudit;
  bool tombstone = false;
  uint32_t schema = 0;  // Meta.schema; 0 for a tombstone
  std::string key;
  std::string event_id;
  std::string payload;  // the record as protobuf; empty for a tombstone

  size_t payload_bytes() const { return key.size() + event_id.size() + payload.size(); }
};

// Strings that are not UTF-8 are repaired on the way (utf8.h), so that every parser takes the
// payload.
OutboxRecord RecordOfEvent(const Event& event);

// checksum u32, topic u8, flags u8, zero u16, schema u32, key and event id length u32 each, then
// the three strings; little-endian.
void EncodeRecord(const OutboxRecord& record, std::string* out);

// False when the bytes are not what EncodeRecord wrote. `position` is left alone.
bool DecodeRecord(Bytes stored, OutboxRecord* record);

// The event again, for sinks that take events. False when the payload is not the topic's record.
bool EventOfRecord(const OutboxRecord& record, Event* event);

}  // namespace stillwatch::pipeline
