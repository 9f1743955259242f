// What each topic carries: its record type, key, and the settings we advise for it. One table for
// the NDJSON writer, the outbox's drainers, the Kafka admin calls and docs/topics.md. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "pipeline/proto/stillwatch.pb.h"
#include "pipeline/sink/sink.h"

namespace stillwatch::pipeline {

struct TopicFacts {
  Topic topic;
  std::string_view key;             // in words, as docs/topics.md says it
  std::string_view cleanup_policy;  // Kafka's cleanup.policy
  int64_t retention_ms;             // Kafka's retention.ms; -1: compaction alone decides
  int partitions;                   // a start for one box; more is fine, fewer only with care
  bool tombstones;                  // a null value withdraws the key
  std::string_view purpose;
};

const TopicFacts& FactsOf(Topic topic);
inline Topic TopicAt(size_t index) { return static_cast<Topic>(index); }

// The record type of `topic` and a new empty record of it.
const google::protobuf::Descriptor* RecordOf(Topic topic);
std::unique_ptr<google::protobuf::Message> NewRecord(Topic topic);

// The record's Meta (its default when unset). Every record type has one: CHECKed.
const v1::Meta& MetaOf(const google::protobuf::Message& record);

}  // namespace stillwatch::pipeline
