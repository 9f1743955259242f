// What every librdkafka handle of ours shares: the configuration made from our options, and how a
// handle is made. Internal to pipeline/kafka.
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "pipeline/kafka/kafka_options.h"

namespace stillwatch::pipeline {

struct RdKafkaDeleter {
  void operator()(rd_kafka_t* handle) const { rd_kafka_destroy(handle); }
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};
using RdKafkaPtr = std::unique_ptr<rd_kafka_t, RdKafkaDeleter>;
using RdKafkaConfPtr = std::unique_ptr<rd_kafka_conf_t, RdKafkaDeleter>;

// Brokers, security and the user's further properties. Checks the options first.
Result<RdKafkaConfPtr> MakeKafkaConf(const KafkaOptions& options);

// Sets one property; the message names it.
Status SetKafkaProperty(rd_kafka_conf_t* conf, const std::string& name, const std::string& value);

// Takes `conf` over.
Result<RdKafkaPtr> MakeProducerHandle(RdKafkaConfPtr conf);

// The broker addresses and the reason in one message with a mend that fits the error code.
std::string ExplainKafkaError(const KafkaOptions& options, rd_kafka_resp_err_t code,
                              const std::string& reason);

}  // namespace stillwatch::pipeline
