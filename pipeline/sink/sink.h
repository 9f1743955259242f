// The seam between who decides and where results go. Events reach a sink from the pipeline's batch thread
// only, already stamped (event_id, box, ...). Variants: NDJSON files, LMDB outbox in front of Kafka or
// NDJSON, memory (tests).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <google/protobuf/message.h>

#include "base/result.h"

namespace stillwatch::pipeline {

enum class Topic : uint8_t {
  kRequestSketch,
  kAccountProfile,
  kEdge,
  kCampaignVerdict,
  kCampaignState,
  kEnforcementAdvice,
  kBoxStatus,
  kAudit,
};
inline constexpr size_t kTopics = 8;

// "campaign-verdict": the topic's name without the prefix "stillwatch.".
constexpr std::string_view NameOf(Topic topic) {
  constexpr std::string_view kNames[kTopics] = {
      "request-sketch", "account-profile", "edge",       "campaign-verdict",
      "campaign-state", "enforcement-advice", "box-status", "audit"};
  return kNames[static_cast<size_t>(topic)];
}

struct Event {
  Topic topic;
  std::string key;  // Kafka key; the same key goes to the same partition, in order
  // Null: a tombstone for `key` (compacted topics only).
  std::unique_ptr<google::protobuf::Message> message;
  // A tombstone's own event id (other events carry theirs in Meta).
  std::string tombstone_id{};
};

class Sink {
 public:
  virtual ~Sink() = default;
  // Events of one decision step: all become durable or none (then a message, and the caller keeps them).
  virtual Status Write(std::span<const Event> events) = 0;
  // The same with what these events tell the end of: a sink that outlives a crash keeps `state` in the same step.
  virtual Status WriteWithState(std::span<const Event> events, std::string_view /*state*/) { return Write(events); }
  // Blocks until what was written is as durable as this sink makes it.
  virtual Status Flush() = 0;
};

}  // namespace stillwatch::pipeline
