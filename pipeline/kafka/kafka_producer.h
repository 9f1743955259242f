// One idempotent librdkafka producer with acks=all, for as long as it lives: a FATAL one is thrown
// away and the drain makes another. One thread (the drain's); librdkafka's callbacks run inside
// Poll on that thread. Produce never waits. Memory is bounded by queue_records_max and
// queue_kbytes_max.
//
// Messages never time out here (message.timeout.ms=0): a time-out would not tell whether the broker
// stored the message, and the outbox holds it anyhow.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "pipeline/kafka/kafka_options.h"
#include "pipeline/store/outbox_record.h"

namespace stillwatch::pipeline {

// What became of one record.
struct Delivery {
  enum class Outcome {
    kStored,   // all in-sync replicas have it
    kRefused,  // never will be: too large, or not valid for the topic
    kUnknown,  // failed or given up; it may or may not be stored
  };
  uint64_t position;
  Outcome outcome;
  std::string reason;  // empty for kStored
};

class KafkaProducer {
 public:
  static Result<std::unique_ptr<KafkaProducer>> Make(const KafkaOptions& options);
  ~KafkaProducer();

  enum class Taken {
    kQueued,
    kFull,     // Poll, then the same record again
    kRefused,  // as Delivery::kRefused; `reason` says why; there will be no Delivery
    kFailed,   // the producer is of no more use
  };
  Taken Produce(const OutboxRecord& record, std::string* reason);

  // Serves callbacks, waiting up to `wait_ms` for the first; appends what was learnt to
  // `deliveries`.
  void Poll(int wait_ms, std::vector<Delivery>* deliveries);

  // Gives up everything unanswered: after this and a Poll, in_flight() is 0 but for lost reports.
  void Purge();

  uint64_t in_flight() const { return in_flight_; }
  // The reason, once the producer can deliver nothing more; else "".
  std::string FatalReason() const;

  // As librdkafka last told: a broker's connection is up; the newest error ("" after a success).
  bool connected() const { return connected_; }
  bool authentication_failed() const { return authentication_failed_; }
  const std::string& last_error() const { return last_error_; }

  // For tests: puts the producer in the FATAL state.
  void InjectFatal();

 private:
  struct Handle;  // librdkafka's types stay in the .cc
  explicit KafkaProducer(const KafkaOptions& options);
  std::string Topic(const OutboxRecord& record) const;

  const KafkaOptions options_;
  std::unique_ptr<Handle> handle_;
  std::vector<Delivery> delivered_;  // filled by callbacks within Poll
  uint64_t in_flight_ = 0;
  bool connected_ = false;
  bool authentication_failed_ = false;
  std::string last_error_;
};

}  // namespace stillwatch::pipeline
