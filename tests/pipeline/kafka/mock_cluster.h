// librdkafka's own mock cluster on loopback, alive as long as this object (the one that
// test.mock.num.brokers makes dies with its producer, which here is made anew).
#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <string>

#include "base/check.h"
#include "pipeline/sink/topic_records.h"

namespace stillwatch::pipeline {

class MockCluster {
 public:
  explicit MockCluster(int brokers) {
    char reason[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", reason,
                      sizeof reason);  // it would warn that it has no brokers
    host_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    CHECK(host_ != nullptr);
    cluster_ = rd_kafka_mock_cluster_new(host_, brokers);
    CHECK(cluster_ != nullptr);
    for (size_t i = 0; i < kTopics; ++i) {
      const std::string name = "stillwatch." + std::string(NameOf(TopicAt(i)));
      CHECK(rd_kafka_mock_topic_create(cluster_, name.c_str(), 2, brokers) ==
            RD_KAFKA_RESP_ERR_NO_ERROR);
    }
  }
  ~MockCluster() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(host_);
  }
  MockCluster(const MockCluster&) = delete;
  MockCluster& operator=(const MockCluster&) = delete;

  std::string bootstraps() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  rd_kafka_mock_cluster_t* get() const { return cluster_; }

 private:
  rd_kafka_t* host_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

}  // namespace stillwatch::pipeline
