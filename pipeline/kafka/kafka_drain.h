// Kafka's end of the outbox, on a thread of its own: reads events in order, hands them to the
// producer, and acknowledges in the outbox what the brokers acknowledged. The pipeline never waits
// for Kafka: while brokers are away the outbox fills.
//
// Supervisor: when the producer is FATAL, or a record failed for a reason that may pass, the
// producer is purged, destroyed and made anew, and everything from the first unacknowledged event
// on is sent again, acknowledged ones behind it included, so that the last record of each key on
// the topic is its newest. Hence at least once; and whoever keeps a state by key takes the last
// record, repeats included, or the one with the greatest (epoch, sequence).
//
// A record that no resend can deliver (over the broker's size limit) is counted (kafka.refused),
// logged with its event id and given up, so that it does not hold up all others for ever.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/counters.h"
#include "pipeline/kafka/kafka_options.h"
#include "pipeline/kafka/kafka_producer.h"
#include "pipeline/store/outbox.h"

namespace stillwatch::pipeline {

enum class KafkaCounter {
  kSent,          // records handed to a producer, resends included
  kAcknowledged,  // records that all in-sync replicas stored, repeats included
  kRefused,       // records given up because no resend could deliver them; too large for the topic
  kUnknown,       // records that failed and are sent again
  kQueueFull,     // times the producer's queue was full; the brokers are slower than the box
  kFatal,  // times a producer was lost; it was made anew and unacknowledged events were sent again
  kProducersMade,  // producers made, the first one included
  kCount
};
inline constexpr CounterNames<KafkaCounter> kKafkaCounterNames{
    "kafka.sent",       "kafka.acknowledged", "kafka.refused",       "kafka.unknown",
    "kafka.queue_full", "kafka.fatal",        "kafka.producers_made"};

struct KafkaStatus {
  bool connected = false;              // a broker's connection is up
  bool authentication_failed = false;  // brokers refuse us; nothing will flow until that is mended
  uint64_t lag_records = 0;            // events in the outbox that are not yet delivered
  uint64_t lag_bytes = 0;
  uint64_t in_flight = 0;           // of these, handed to the producer
  uint64_t acknowledged = 0;        // in all
  uint64_t acknowledged_per_s = 0;  // over the last ten seconds
  std::string last_error;           // "" when the last thing that happened was a success
  int64_t last_error_time = 0;      // wall time, nanoseconds since the epoch; 0: never
};

class KafkaDrain {
 public:
  // Refuses wrong options at once. A broker that cannot be reached is no error here. The outbox
  // outlives the drain.
  static Result<std::unique_ptr<KafkaDrain>> Make(const KafkaOptions& options, Outbox& outbox);
  ~KafkaDrain();  // Stop(0)

  void Start();
  // Sends nothing more, waits up to `flush_ms` for answers to what is in flight, then ends the
  // thread. What is not acknowledged stays in the outbox.
  void Stop(int flush_ms);

  // Any thread.
  KafkaStatus status() const;
  const CounterBlock<KafkaCounter>& counters() const { return counters_; }

  // For tests: the present producer becomes FATAL at the drain's next step.
  void InjectFatal() { inject_fatal_ = true; }

 private:
  KafkaDrain(const KafkaOptions& options, Outbox& outbox);

  // All on the drain's thread.
  void Run();
  bool EnsureProducer();
  void Fill();
  void Serve(int wait_ms);
  void StartOver(const std::string& why);
  void TrimWhenDue();
  void Account();
  void NoteError(const std::string& error);
  void Complain();
  void PauseBeforeRetry();

  const KafkaOptions options_;
  Outbox& outbox_;
  const SystemClock clock_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> inject_fatal_{false};
  std::atomic<int> flush_ms_{0};

  std::unique_ptr<KafkaProducer> producer_;
  std::deque<OutboxRecord> pending_;  // read, not yet taken by the producer
  uint64_t read_position_ = 0;        // read up to here
  std::string trouble_;               // why the producer has to be made anew; "" while it need not
  int64_t retry_pause_ms_ = 0;
  uint64_t prefix_at_retry_ = 0;  // acknowledged prefix when the producer was last made anew
  int64_t next_trim_ns_ = 0;
  int64_t next_complaint_ns_ = 0;
  bool complained_ = false;
  int64_t next_sample_ns_ = 0;
  std::deque<uint64_t> samples_;      // acknowledged in all, one a second, the last ten
  std::vector<Delivery> deliveries_;  // scratch of Serve
  CounterBlock<KafkaCounter> counters_{kKafkaCounterNames};

  mutable std::mutex mutex_;
  KafkaStatus status_;  // under mutex_; lag is filled in by status()
};

}  // namespace stillwatch::pipeline
