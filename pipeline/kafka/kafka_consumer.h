// Reads topics that others write, each record at least once: the position is committed by hand, after what the record asked
// for is durable here. One consumer group a box: every box wants every record. A group that is new begins at the oldest
// record. One thread calls everything; librdkafka's own threads fetch ahead, at most 1 MiB. Never in the way of
// packets: nobody waits for it. What fails on the way (no broker, no topic, no right) is told by last_error and tried again by
// librdkafka for ever.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
#include "pipeline/kafka/kafka_options.h"

namespace stillwatch::pipeline {

enum class ConsumeCounter {
  kRecords,       // records read from topics that others write
  kMalformed,     // records that are none: not readable, too large, a field out of its bounds; passed over
  kCommitted,     // positions committed
  kCommitFailed,  // commits that failed; what was read since the last good one comes again after a restart
  kWaits,         // times that the reader waited because events could not be made durable yet
  kCount
};
inline constexpr CounterNames<ConsumeCounter> kConsumeCounterNames{"consume.records", "consume.malformed", "consume.committed",
                                                                   "consume.commit_failed", "consume.waits"};

struct ConsumedRecord {
  static constexpr size_t kValueBytesMax = 64 << 10, kKeyBytesMax = 256;
  std::string topic;          // without the prefix
  int32_t partition = 0;
  int64_t offset = 0;
  std::string key;            // at most kKeyBytesMax of it
  std::string value;          // empty where it was larger than kValueBytesMax
  bool tombstone = false;     // there is no value: the key is withdrawn
  std::string content_type;   // the header; "": none
};

class KafkaConsumer {
 public:
  // `topics` without prefix. The group is named after the box.
  static Result<std::unique_ptr<KafkaConsumer>> Make(const KafkaOptions& options, const std::string& box, const std::vector<std::string>& topics);
  ~KafkaConsumer();

  // Waits up to `wait_ms`; nothing: no record came.
  std::optional<ConsumedRecord> Poll(int wait_ms);
  // What this record asked for is durable: the group goes on behind it. Does not wait; what became of it shows in a later Poll, by
  // the counters. One that failed comes again after a restart.
  void Commit(const ConsumedRecord& record);

  std::string last_error() const;  // any thread; "" when records come
  CounterBlock<ConsumeCounter>& counters() { return counters_; }

 private:
  struct Handle;  // librdkafka's types stay in the .cc
  explicit KafkaConsumer(const KafkaOptions& options);
  void NoteError(std::string why);

  const KafkaOptions options_;
  std::unique_ptr<Handle> handle_;
  mutable std::mutex mutex_;
  std::string last_error_;
  CounterBlock<ConsumeCounter> counters_{kConsumeCounterNames};
};

}  // namespace stillwatch::pipeline
