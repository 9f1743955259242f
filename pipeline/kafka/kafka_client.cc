#include "pipeline/kafka/kafka_client.h"

#include <utility>
#include <vector>

namespace stillwatch::pipeline {
namespace {

constexpr const char* NameOf(KafkaSecurity security) {
  switch (security) {
    case KafkaSecurity::kPlaintext:
      return "plaintext";
    case KafkaSecurity::kSsl:
      return "ssl";
    case KafkaSecurity::kSaslSsl:
      return "sasl_ssl";
  }
  return "";
}

// librdkafka would write to stderr by itself; what matters comes through error and delivery
// callbacks.
void IgnoreLog(const rd_kafka_t*, int, const char*, const char*) {}

std::string_view MendOf(rd_kafka_resp_err_t code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
      return "check user, password or client certificate";
    case RD_KAFKA_RESP_ERR__SSL:
      return "check ca_file, certificate_file and key_file";
    case RD_KAFKA_RESP_ERR__RESOLVE:
      return "check the host names in kafka.brokers";
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
      return "create the topics: stillwatch kafka-topics --config FILE";
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return "grant this client WRITE and DESCRIBE on the topics, and IDEMPOTENT_WRITE";
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
      return "raise the topics' max.message.bytes";
    default:
      return "check that a broker runs there and can be reached";
  }
}

}  // namespace

Status SetKafkaProperty(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  char reason[256];
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), reason, sizeof reason) ==
      RD_KAFKA_CONF_OK) {
    return {};
  }
  return Error{"kafka: property " + name + ": " + reason + "; see librdkafka's CONFIGURATION.md"};
}

Result<RdKafkaConfPtr> MakeKafkaConf(const KafkaOptions& options) {
  if (Status status = CheckKafkaOptions(options); !status.ok()) return Error{status.message()};
  RdKafkaConfPtr conf(rd_kafka_conf_new());
  std::vector<std::pair<std::string, std::string>> properties = {
      {"bootstrap.servers", options.brokers},
      {"client.id", options.client_id},
      {"security.protocol", NameOf(options.security)},
      {"socket.keepalive.enable", "true"},
      {"reconnect.backoff.max.ms", "5000"},
      {"log.connection.close", "false"},
  };
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) properties.emplace_back(name, value);
  };
  add("ssl.ca.location", options.ca_file);
  add("ssl.certificate.location", options.certificate_file);
  add("ssl.key.location", options.key_file);
  add("ssl.key.password", options.key_password);
  if (options.security == KafkaSecurity::kSaslSsl) {
    add("sasl.mechanisms", options.sasl_mechanism);
    add("sasl.username", options.sasl_username);
    add("sasl.password", options.sasl_password);
  }
  properties.insert(properties.end(), options.properties.begin(), options.properties.end());
  for (const auto& [name, value] : properties) {
    if (Status status = SetKafkaProperty(conf.get(), name, value); !status.ok()) {
      return Error{status.message()};
    }
  }
  rd_kafka_conf_set_log_cb(conf.get(), IgnoreLog);
  return conf;
}

Result<RdKafkaPtr> MakeProducerHandle(RdKafkaConfPtr conf) {
  char reason[512];
  rd_kafka_t* handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), reason, sizeof reason);
  if (handle == nullptr) {
    return Error{std::string("kafka: no producer: ") + reason +
                 "; check the kafka section of the config"};
  }
  conf.release();  // the handle owns it now
  return RdKafkaPtr(handle);
}

std::string ExplainKafkaError(const KafkaOptions& options, rd_kafka_resp_err_t code,
                              const std::string& reason) {
  // A broker that dislikes our certificate closes with a TLS alert: librdkafka calls that a
  // transport failure.
  if (code == RD_KAFKA_RESP_ERR__TRANSPORT && reason.find("SSL") != std::string::npos) {
    code = RD_KAFKA_RESP_ERR__SSL;
  }
  return "kafka: " + options.brokers + ": " + reason + "; " + std::string(MendOf(code));
}

}  // namespace stillwatch::pipeline
