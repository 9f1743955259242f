// How to reach Kafka, as the user configures it, and the checks that need no broker. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace stillwatch::pipeline {

enum class KafkaSecurity {
  kPlaintext,
  kSsl,      // TLS; with certificate_file and key_file the broker knows us by certificate (mTLS)
  kSaslSsl,  // TLS with a user name and password on top. There is no SASL without TLS: it would
             // send the password in clear text.
};

struct KafkaOptions {
  std::string brokers;  // "host:port,host:port"
  std::string topic_prefix = "stillwatch.";
  std::string client_id = "stillwatch";

  KafkaSecurity security = KafkaSecurity::kPlaintext;
  std::string ca_file;           // PEM; "": the system's
  std::string certificate_file;  // PEM
  std::string key_file;          // PEM
  std::string key_password;
  std::string sasl_mechanism;  // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
  std::string sasl_username;
  std::string sasl_password;

  uint32_t linger_ms = 10;               // waits this long to fill a batch
  uint32_t queue_records_max = 100'000;  // handed to librdkafka and not yet answered
  uint32_t queue_kbytes_max = 65'536;
  uint32_t message_bytes_max =
      1'000'000;                   // larger records are refused; the broker's limit is its own
  uint32_t retry_min_ms = 500;     // pause before a failed producer is made anew, doubled
  uint32_t retry_max_ms = 30'000;  //   each time up to this

  // Further librdkafka properties, as they are (kafka.properties). Those that delivery rests on are
  // refused.
  std::vector<std::pair<std::string, std::string>> properties;
};

// Ok, or which key is wrong and the mend. Looks at the files that are named and at the version of
// the librdkafka in use: SCRAM needs 2.6.1 (before, its client nonce is doubled and brokers
// from 4.0 on refuse it for ever).
Status CheckKafkaOptions(const KafkaOptions& options);

// As above for a given version, as rd_kafka_version() gives it (0x020601ff: 2.6.1). For tests.
Status CheckKafkaOptionsFor(const KafkaOptions& options, uint32_t librdkafka_version);

// "2.0.2" for the library in use.
std::string LibrdkafkaVersion();

}  // namespace stillwatch::pipeline
