#include "pipeline/kafka/kafka_options.h"

#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace stillwatch::pipeline {
namespace {

constexpr uint32_t kScramWorksFrom = 0x02060100;

// What "at least once, in order for each key" rests on.
constexpr std::string_view kOurs[] = {"acks",
                                      "request.required.acks",
                                      "bootstrap.servers",
                                      "metadata.broker.list",
                                      "enable.idempotence",
                                      "max.in.flight.requests.per.connection",
                                      "max.in.flight",
                                      "message.timeout.ms",
                                      "delivery.timeout.ms",
                                      "queue.buffering.max.messages",
                                      "queue.buffering.max.kbytes",
                                      "retries",
                                      "message.send.max.retries",
                                      "security.protocol",
                                      "sasl.mechanism",
                                      "sasl.mechanisms",
                                      "transactional.id"};

Status CheckFile(const std::string& path, const char* key) {
  if (path.empty() || access(path.c_str(), R_OK) == 0) return {};
  return Error{"kafka: " + std::string(key) + " " + path + ": " + std::strerror(errno) +
               "; name a PEM file that this user can read"};
}

Status CheckSasl(const KafkaOptions& options, uint32_t version) {
  if (options.security != KafkaSecurity::kSaslSsl) return {};
  const std::string& mechanism = options.sasl_mechanism;
  if (mechanism != "PLAIN" && mechanism != "SCRAM-SHA-256" && mechanism != "SCRAM-SHA-512") {
    return Error{"kafka: sasl_mechanism '" + mechanism +
                 "' is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"};
  }
  if (options.sasl_username.empty()) return Error{"kafka: sasl_username is empty; set it"};
  if (mechanism.starts_with("SCRAM") && version < kScramWorksFrom) {
    return Error{
        "kafka: " + mechanism + " does not work with librdkafka " + LibrdkafkaVersion() +
        ": before 2.6.1 it doubles its client nonce and Kafka 4 refuses the login for ever; use a "
        "client certificate (security = \"ssl\", certificate_file, key_file), or install "
        "librdkafka "
        "2.6.1 or later"};
  }
  return {};
}

}  // namespace

Status CheckKafkaOptionsFor(const KafkaOptions& options, uint32_t version) {
  if (options.brokers.empty()) {
    return Error{
        "kafka: no brokers; set kafka.brokers to \"host:port\", several separated by commas"};
  }
  if (options.certificate_file.empty() != options.key_file.empty()) {
    return Error{"kafka: certificate_file and key_file go together; set both or neither"};
  }
  if (options.security == KafkaSecurity::kPlaintext &&
      !(options.ca_file.empty() && options.certificate_file.empty() &&
        options.sasl_mechanism.empty())) {
    return Error{
        "kafka: certificates or a password are set but security is \"plaintext\"; set security to "
        "\"ssl\" "
        "or \"sasl_ssl\""};
  }
  for (const auto& [path, key] : {std::pair{&options.ca_file, "ca_file"},
                                  std::pair{&options.certificate_file, "certificate_file"},
                                  std::pair{&options.key_file, "key_file"}}) {
    if (Status status = CheckFile(*path, key); !status.ok()) return status;
  }
  for (const auto& [name, value] : options.properties) {
    if (std::find(std::begin(kOurs), std::end(kOurs), name) != std::end(kOurs)) {
      return Error{"kafka: properties may not set " + name +
                   ": delivery at least once rests on it, or a key of its own sets it; remove it"};
    }
  }
  return CheckSasl(options, version);
}

Status CheckKafkaOptions(const KafkaOptions& options) {
  return CheckKafkaOptionsFor(options, static_cast<uint32_t>(rd_kafka_version()));
}

std::string LibrdkafkaVersion() { return rd_kafka_version_str(); }

}  // namespace stillwatch::pipeline
