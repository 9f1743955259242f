#include "pipeline/kafka/kafka_drain.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/mutant.h"

namespace stillwatch::pipeline {
namespace {

constexpr size_t kReadRecords = 2'000;
constexpr size_t kReadBytes = 2u << 20;
constexpr int kIdleMs = 200;
constexpr int kServeMs = 10;
constexpr uint64_t kTrimAtRecords = 8'192;
constexpr int64_t kTrimEveryNs = 1 * kNsPerSecond;
constexpr int64_t kComplainEveryNs = 60 * kNsPerSecond;
constexpr size_t kSamples = 11;  // ten seconds between the oldest and the newest
constexpr int kGiveUpServes = 50;

}  // namespace

Result<std::unique_ptr<KafkaDrain>> KafkaDrain::Make(const KafkaOptions& options, Outbox& outbox) {
  if (Status status = CheckKafkaOptions(options); !status.ok()) return Error{status.message()};
  std::unique_ptr<KafkaDrain> drain(new KafkaDrain(options, outbox));
  // Made here too, so that a property which librdkafka refuses stops the start and not the first
  // delivery.
  auto producer = KafkaProducer::Make(options);
  if (!producer.ok()) return producer.error();
  drain->producer_ = std::move(producer).value();
  drain->counters_.Add(KafkaCounter::kProducersMade);
  return drain;
}

KafkaDrain::KafkaDrain(const KafkaOptions& options, Outbox& outbox)
    : options_(options),
      outbox_(outbox),
      read_position_(outbox.stats().acknowledged_prefix),
      retry_pause_ms_(options.retry_min_ms) {}

KafkaDrain::~KafkaDrain() { Stop(0); }

void KafkaDrain::Start() {
  stopping_ = false;
  thread_ = std::thread([this] { Run(); });
}

void KafkaDrain::Stop(int flush_ms) {
  if (!thread_.joinable()) return;
  flush_ms_ = flush_ms;
  stopping_ = true;
  outbox_.Wake();
  thread_.join();
}

void KafkaDrain::Run() {
  while (!stopping_) {
    if (!EnsureProducer()) continue;
    Fill();
    const bool busy = producer_->in_flight() != 0 || !pending_.empty();
    if (!busy) outbox_.WaitPast(read_position_, kIdleMs);
    Serve(busy ? kServeMs : 0);
    TrimWhenDue();
    Account();
    Complain();
    if (inject_fatal_.exchange(false)) producer_->InjectFatal();
    if (std::string fatal = producer_->FatalReason(); !fatal.empty()) {
      counters_.Add(KafkaCounter::kFatal);
      trouble_ = fatal;
    }
    if (!trouble_.empty()) StartOver(std::exchange(trouble_, ""));
  }
  const int64_t deadline = clock_.MonotonicNs() + flush_ms_ * kNsPerMs;
  while (producer_ && producer_->in_flight() != 0 && clock_.MonotonicNs() < deadline)
    Serve(kServeMs);
  if (Status trimmed = outbox_.Trim(); !trimmed.ok()) Log(LogLevel::kError, trimmed.message());
  Account();
}

bool KafkaDrain::EnsureProducer() {
  if (producer_ != nullptr) return true;
  auto made = KafkaProducer::Make(options_);
  if (!made.ok()) {
    NoteError(made.message());
    PauseBeforeRetry();
    return false;
  }
  producer_ = std::move(made).value();
  counters_.Add(KafkaCounter::kProducersMade);
  return true;
}

// Reads and hands over until the producer's queue is full or nothing is left.
void KafkaDrain::Fill() {
  for (;;) {
    if (pending_.empty()) {
      std::vector<OutboxRecord> records;
      if (Status read = outbox_.Read(read_position_, kReadRecords, kReadBytes, &records);
          !read.ok()) {
        NoteError(read.message());
        return;
      }
      if (records.empty()) return;
      read_position_ = records.back().position;
      std::move(records.begin(), records.end(), std::back_inserter(pending_));
    }
    while (!pending_.empty()) {
      std::string reason;
      const OutboxRecord& record = pending_.front();
      switch (producer_->Produce(record, &reason)) {
        case KafkaProducer::Taken::kQueued:
          counters_.Add(KafkaCounter::kSent);
          if (MutantIs("kafka.trim_before_ack")) outbox_.Acknowledge(record.position);
          break;
        case KafkaProducer::Taken::kFull:
          counters_.Add(KafkaCounter::kQueueFull);
          return;
        case KafkaProducer::Taken::kRefused:
          counters_.Add(KafkaCounter::kRefused);
          Log(LogLevel::kError, reason + " (event " + record.event_id + " is given up)");
          NoteError(reason);
          outbox_.Acknowledge(record.position);
          break;
        case KafkaProducer::Taken::kFailed:
          trouble_ = reason;
          return;
      }
      pending_.pop_front();
    }
    Serve(0);  // a long backlog: acknowledge meanwhile
    TrimWhenDue();
    if (stopping_ || !trouble_.empty()) return;
  }
}

void KafkaDrain::Serve(int wait_ms) {
  deliveries_.clear();
  producer_->Poll(wait_ms, &deliveries_);
  uint64_t stored = 0;
  for (const Delivery& delivery : deliveries_) {
    switch (delivery.outcome) {
      case Delivery::Outcome::kStored:
        ++stored;
        outbox_.Acknowledge(delivery.position);
        break;
      case Delivery::Outcome::kRefused:
        counters_.Add(KafkaCounter::kRefused);
        Log(LogLevel::kError, delivery.reason + " (the event at outbox position " +
                                  std::to_string(delivery.position) + " is given up)");
        NoteError(delivery.reason);
        outbox_.Acknowledge(delivery.position);
        break;
      case Delivery::Outcome::kUnknown:
        counters_.Add(KafkaCounter::kUnknown);
        if (trouble_.empty()) trouble_ = delivery.reason;
        break;
    }
  }
  counters_.Add(KafkaCounter::kAcknowledged, stored);
}

// Purge, destroy, replay from the first unacknowledged event. Reports that are still coming in
// count.
void KafkaDrain::StartOver(const std::string& why) {
  NoteError(why);
  producer_->Purge();
  for (int i = 0; i < kGiveUpServes && producer_->in_flight() != 0; ++i) Serve(kServeMs);
  trouble_.clear();  // of the purged
  producer_.reset();
  pending_.clear();
  const uint64_t prefix = outbox_.stats().acknowledged_prefix;
  if (!MutantIs("kafka.no_resend")) read_position_ = prefix;
  // The pause shrinks only by progress: where one record fails again and again (no right to its
  // topic), all behind it are sent again each time.
  if (prefix > std::exchange(prefix_at_retry_, prefix)) retry_pause_ms_ = options_.retry_min_ms;
  Account();
  Complain();
  PauseBeforeRetry();
}

void KafkaDrain::PauseBeforeRetry() {
  const int64_t until = clock_.MonotonicNs() + retry_pause_ms_ * kNsPerMs;
  while (!stopping_ && clock_.MonotonicNs() < until) {
    outbox_.WaitPast(~0ull - 1, static_cast<int>((until - clock_.MonotonicNs()) / kNsPerMs) + 1);
  }
  retry_pause_ms_ = std::min<int64_t>(retry_pause_ms_ * 2, options_.retry_max_ms);
}

// Commits trim too; this is for long backlogs and for when no commit comes.
void KafkaDrain::TrimWhenDue() {
  const uint64_t trimmable = outbox_.trimmable();
  const int64_t now = clock_.MonotonicNs();
  if (trimmable == 0 || (trimmable < kTrimAtRecords && now < next_trim_ns_)) return;
  next_trim_ns_ = now + kTrimEveryNs;
  if (Status trimmed = outbox_.Trim(); !trimmed.ok()) NoteError(trimmed.message());
}

void KafkaDrain::NoteError(const std::string& error) {
  std::lock_guard lock(mutex_);
  status_.last_error = error;
  status_.last_error_time = clock_.UnixNs();
}

void KafkaDrain::Account() {
  const uint64_t acknowledged = counters_.Get(KafkaCounter::kAcknowledged);
  const int64_t now = clock_.MonotonicNs();
  if (now >= next_sample_ns_) {
    next_sample_ns_ = now + kNsPerSecond;
    samples_.push_back(acknowledged);
    if (samples_.size() > kSamples) samples_.pop_front();
  }
  std::lock_guard lock(mutex_);
  const bool progressed = acknowledged != status_.acknowledged;
  status_.acknowledged = acknowledged;
  status_.acknowledged_per_s =
      samples_.size() > 1 ? (samples_.back() - samples_.front()) / (samples_.size() - 1) : 0;
  status_.in_flight = producer_ ? producer_->in_flight() : 0;
  status_.connected = producer_ && producer_->connected();
  status_.authentication_failed = producer_ && producer_->authentication_failed();
  if (progressed) status_.last_error.clear();
  if (producer_ && !producer_->last_error().empty() && !status_.connected &&
      status_.last_error != producer_->last_error()) {
    status_.last_error = producer_->last_error();
    status_.last_error_time = clock_.UnixNs();
  }
}

// One line when delivery stops, one a minute while it stands, one when it goes on.
void KafkaDrain::Complain() {
  const KafkaStatus now = status();
  if (now.last_error.empty()) {
    if (std::exchange(complained_, false))
      Log(LogLevel::kInfo, "kafka: " + options_.brokers + ": delivering again");
    return;
  }
  if (clock_.MonotonicNs() < next_complaint_ns_) return;
  next_complaint_ns_ = clock_.MonotonicNs() + kComplainEveryNs;
  complained_ = true;
  const OutboxStats stats = outbox_.stats();
  Log(LogLevel::kWarning,
      now.last_error + " (" + std::to_string(now.lag_records) + " events wait in the outbox, " +
          std::to_string(stats.bytes * 100 / std::max<uint64_t>(stats.bytes_max, 1)) +
          " % of its bytes)");
}

KafkaStatus KafkaDrain::status() const {
  const OutboxStats stats = outbox_.stats();
  std::lock_guard lock(mutex_);
  KafkaStatus status = status_;
  status.lag_records = stats.next_position - 1 - stats.acknowledged_prefix;
  status.lag_bytes = stats.bytes;
  return status;
}

}  // namespace stillwatch::pipeline
