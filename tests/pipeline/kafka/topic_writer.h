// Writes records to a topic, each acknowledged before the call returns: for tests.
#pragma once

#include <librdkafka/rdkafka.h>

#include <string>

#include "base/check.h"

namespace stillwatch::pipeline {

class TopicWriter {
 public:
  explicit TopicWriter(const std::string& bootstraps) {
    char reason[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    CHECK(rd_kafka_conf_set(conf, "bootstrap.servers", bootstraps.c_str(), reason, sizeof reason) == RD_KAFKA_CONF_OK);
    CHECK(rd_kafka_conf_set(conf, "linger.ms", "0", reason, sizeof reason) == RD_KAFKA_CONF_OK);
    handle_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    CHECK(handle_ != nullptr);
  }
  ~TopicWriter() { rd_kafka_destroy(handle_); }
  TopicWriter(const TopicWriter&) = delete;
  TopicWriter& operator=(const TopicWriter&) = delete;

  // `content_type` "": no header.
  void Write(const std::string& topic, const std::string& key, const std::string& value, const std::string& content_type = "") {
    rd_kafka_headers_t* headers = rd_kafka_headers_new(1);
    if (!content_type.empty()) rd_kafka_header_add(headers, "content-type", -1, content_type.data(), static_cast<ssize_t>(content_type.size()));
    const auto sent = rd_kafka_producev(handle_, RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_KEY(key.data(), key.size()),
                                        RD_KAFKA_V_VALUE(const_cast<char*>(value.data()), value.size()), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    CHECK(sent == RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK(rd_kafka_flush(handle_, 30'000) == RD_KAFKA_RESP_ERR_NO_ERROR);
  }

 private:
  rd_kafka_t* handle_ = nullptr;
};

}  // namespace stillwatch::pipeline
