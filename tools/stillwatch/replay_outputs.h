// Where replay's events go: files in one folder, and with kafka.enabled topics too, the same events under the same
// ids. Without Kafka the epoch is fixed and the files repeat byte for byte; with Kafka it is that of an outbox in the
// folder, since consumers drop an id that they have seen. Nothing is dropped: a full outbox is waited for. One thread.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/counters.h"
#include "base/result.h"
#include "config/config.h"
#include "pipeline/kafka/kafka_drain.h"
#include "pipeline/sink/ndjson_sink.h"
#include "pipeline/store/outbox.h"

namespace stillwatch {

class ReplayOutputs final : public pipeline::Sink {
 public:
  // `clock` outlives it. Events that an earlier run into the same folder could not deliver go out first.
  static Result<std::unique_ptr<ReplayOutputs>> Open(const config::Config& config, const std::string& dir,
                                                     const Clock& clock);

  Status Write(std::span<const pipeline::Event> events) override;
  // Returns when the brokers have everything. An error when they acknowledged nothing for a minute: what is left
  // stays in the outbox.
  Status Flush() override;

  uint64_t epoch() const;
  const pipeline::NdjsonSink& files() const { return *files_; }
  void RegisterCounters(CounterRegistry* registry);

 private:
  explicit ReplayOutputs(const Clock& clock) : clock_(clock) {}
  // Waits until `done`; the error when the brokers stood still meanwhile.
  template <typename Condition>
  Status AwaitBrokers(const Condition& done);

  const Clock& clock_;
  std::string outbox_dir_;
  std::unique_ptr<pipeline::NdjsonSink> files_;
  std::unique_ptr<pipeline::Outbox> outbox_;     // nullptr without Kafka
  std::unique_ptr<pipeline::KafkaDrain> kafka_;  // the same
};

}  // namespace stillwatch
