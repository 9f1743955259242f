// Where the daemon's events go: a durable outbox, drained to NDJSON files or to Kafka. Made at start; the sink is the
// detection thread's, the drain has its own thread.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/counters.h"
#include "base/result.h"
#include "config/config.h"
#include "pipeline/kafka/kafka_drain.h"
#include "pipeline/sink/ndjson_sink.h"
#include "pipeline/store/ndjson_drain.h"
#include "pipeline/store/outbox.h"
#include "pipeline/store/outbox_sink.h"

namespace stillwatch {

class Outputs {
 public:
  static Result<std::unique_ptr<Outputs>> Open(const config::Config& config, const Clock& clock);

  pipeline::Sink* sink() { return sink_.get(); }
  pipeline::Outbox& outbox() { return *outbox_; }
  uint64_t epoch() const { return outbox_->epoch(); }
  pipeline::OutboxStats outbox_stats() const { return outbox_->stats(); }
  // nullptr without Kafka.
  const pipeline::KafkaDrain* kafka() const { return kafka_.get(); }
  void RegisterCounters(CounterRegistry* registry);
  void Start();
  // Delivers what it can within a few seconds; the rest stays in the outbox for the next start.
  void Stop();

 private:
  std::unique_ptr<pipeline::Outbox> outbox_;
  std::unique_ptr<pipeline::OutboxSink> sink_;
  std::unique_ptr<pipeline::NdjsonSink> files_;
  std::unique_ptr<pipeline::NdjsonDrain> files_drain_;
  std::unique_ptr<pipeline::KafkaDrain> kafka_;
};

Result<pipeline::KafkaOptions> KafkaOptionsOf(const config::Config& config);

}  // namespace stillwatch
