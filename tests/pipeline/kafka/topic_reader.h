// Reads topics from their beginning, as a consumer of ours would: for tests.
#pragma once

#include <librdkafka/rdkafka.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"

namespace stillwatch::pipeline {

struct ReadRecord {
  std::string topic;
  std::string key;
  std::optional<std::string> value;  // nothing: a tombstone
  std::map<std::string, std::string> headers;
};

class TopicReader {
 public:
  // Reads all of each topic's partitions (name, count) from the beginning; no consumer group takes
  // part.
  TopicReader(const std::string& bootstraps,
              const std::vector<std::pair<std::string, int>>& topics) {
    char reason[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    for (const auto& [name, value] :
         {std::pair{"bootstrap.servers", bootstraps.c_str()}, std::pair{"group.id", "test"},
          std::pair{"auto.offset.reset", "earliest"}, std::pair{"enable.auto.commit", "false"},
          std::pair{"reconnect.backoff.max.ms", "500"}}) {
      CHECK(rd_kafka_conf_set(conf, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK);
    }
    handle_ = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    CHECK(handle_ != nullptr);
    rd_kafka_poll_set_consumer(handle_);
    rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(4);
    for (const auto& [topic, partitions] : topics) {
      for (int32_t partition = 0; partition < partitions; ++partition) {
        rd_kafka_topic_partition_list_add(list, topic.c_str(), partition)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
      }
    }
    CHECK(rd_kafka_assign(handle_, list) == RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
  }
  ~TopicReader() {
    rd_kafka_consumer_close(handle_);
    rd_kafka_destroy(handle_);
  }
  TopicReader(const TopicReader&) = delete;
  TopicReader& operator=(const TopicReader&) = delete;

  // Reads until `done` says so after a record, or the deadline passes; true when done.
  bool ReadUntil(const std::function<bool(const ReadRecord&)>& done, int64_t deadline_s) {
    const SystemClock clock;
    const int64_t deadline = clock.MonotonicNs() + deadline_s * kNsPerSecond;
    while (clock.MonotonicNs() < deadline) {
      rd_kafka_message_t* message = rd_kafka_consumer_poll(handle_, 100);
      if (message == nullptr) continue;
      const bool good = message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
      const bool finished = good && done(RecordOf(*message));
      rd_kafka_message_destroy(message);
      if (finished) return true;
    }
    return false;
  }

 private:
  static ReadRecord RecordOf(const rd_kafka_message_t& message) {
    ReadRecord record;
    record.topic = rd_kafka_topic_name(message.rkt);
    record.key.assign(static_cast<const char*>(message.key), message.key_len);
    if (message.payload != nullptr) {
      record.value.emplace(static_cast<const char*>(message.payload), message.len);
    }
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const char* name;
      const void* value;
      size_t size;
      for (size_t i = 0;
           rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
           ++i) {
        record.headers[name] = std::string(static_cast<const char*>(value), size);
      }
    }
    return record;
  }

  rd_kafka_t* handle_ = nullptr;
};

}  // namespace stillwatch::pipeline
