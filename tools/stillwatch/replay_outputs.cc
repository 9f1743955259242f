#include "tools/stillwatch/replay_outputs.h"

#include <thread>

#include "base/mutant.h"
#include "pipeline/store/epoch.h"
#include "tools/stillwatch/outputs.h"

namespace stillwatch {

namespace {
constexpr int64_t kStandstillNs = 60 * kNsPerSecond;
constexpr auto kPause = std::chrono::milliseconds(10);
}  // namespace

Result<std::unique_ptr<ReplayOutputs>> ReplayOutputs::Open(const config::Config& config, const std::string& dir,
                                                           const Clock& clock) {
  std::unique_ptr<ReplayOutputs> outputs(new ReplayOutputs(clock));
  pipeline::NdjsonOptions ndjson;
  ndjson.dir = dir;
  Result<std::unique_ptr<pipeline::NdjsonSink>> files = pipeline::NdjsonSink::Open(ndjson, clock);
  if (!files.ok()) return files.error();
  outputs->files_ = std::move(files).value();
  if (!config.kafka.enabled) return outputs;

  pipeline::OutboxOptions options;
  options.dir = outputs->outbox_dir_ = dir + "/outbox";
  options.bytes_max = static_cast<uint64_t>(config.store.outbox_mib) << 20;
  Result<std::unique_ptr<pipeline::Outbox>> outbox = pipeline::Outbox::Open(options, clock);
  if (!outbox.ok()) return outbox.error();
  outputs->outbox_ = std::move(outbox).value();
  const Result<pipeline::KafkaOptions> kafka = KafkaOptionsOf(config);
  if (!kafka.ok()) return kafka.error();
  Result<std::unique_ptr<pipeline::KafkaDrain>> drain = pipeline::KafkaDrain::Make(kafka.value(), *outputs->outbox_);
  if (!drain.ok()) return drain.error();
  outputs->kafka_ = std::move(drain).value();
  outputs->kafka_->Start();
  return outputs;
}

template <typename Condition>
Status ReplayOutputs::AwaitBrokers(const Condition& done) {
  uint64_t acknowledged = kafka_->status().acknowledged;
  int64_t moved_ns = clock_.MonotonicNs();
  while (!done()) {
    std::this_thread::sleep_for(kPause);
    const pipeline::KafkaStatus status = kafka_->status();
    if (status.acknowledged != acknowledged) {
      acknowledged = status.acknowledged;
      moved_ns = clock_.MonotonicNs();
    } else if (clock_.MonotonicNs() - moved_ns > kStandstillNs) {
      return Error{"kafka.brokers: nothing acknowledged for a minute (" +
                   (status.last_error.empty() ? "no answer" : status.last_error) + "); " +
                   std::to_string(status.lag_records) + " events are kept in " + outbox_dir_ +
                   " and go out first at the next replay into the same folder"};
    }
  }
  return {};
}

// The outbox first: when the files refuse, the caller writes the same events again, and a repeated id does no harm
// on a topic.
Status ReplayOutputs::Write(std::span<const pipeline::Event> events) {
  if (outbox_ == nullptr) return files_->Write(events);
  Status committed;
  const auto try_commit = [&] {
    const uint64_t full_before = outbox_->counters().Get(pipeline::OutboxCounter::kFull);
    committed = outbox_->Commit(events);
    // Full passes when the brokers take events; what else went wrong does not.
    return committed.ok() || outbox_->counters().Get(pipeline::OutboxCounter::kFull) == full_before;
  };
  if (Status waited = AwaitBrokers(try_commit); !waited.ok()) return waited;
  if (!committed.ok()) return committed;
  return files_->Write(events);
}

Status ReplayOutputs::Flush() {
  if (Status flushed = files_->Flush(); !flushed.ok() || kafka_ == nullptr) return flushed;
  if (MutantIs("replay.leaves_before_kafka")) return {};
  const Status delivered = AwaitBrokers([&] { return kafka_->status().lag_records == 0; });
  kafka_->Stop(0);
  if (Status trimmed = outbox_->Trim(); !trimmed.ok()) return trimmed;  // its thread has ended
  return delivered;
}

uint64_t ReplayOutputs::epoch() const { return outbox_ == nullptr ? pipeline::kReplayEpoch : outbox_->epoch(); }

void ReplayOutputs::RegisterCounters(CounterRegistry* registry) {
  if (outbox_ == nullptr) return;
  registry->Register(outbox_->counters());
  registry->Register(kafka_->counters());
}

}  // namespace stillwatch
