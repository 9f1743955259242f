#include "pipeline/kafka/kafka_options.h"

#include <gtest/gtest.h>

#include <fstream>

#include "pipeline/kafka/kafka_admin.h"
#include "pipeline/kafka/kafka_producer.h"
#include "tests/pipeline/store/temp_folder.h"

namespace stillwatch::pipeline {
namespace {

constexpr uint32_t kDebian12 = 0x020002ff;
constexpr uint32_t kScramMended = 0x020601ff;

KafkaOptions Plain() {
  KafkaOptions options;
  options.brokers = "127.0.0.1:1";
  return options;
}

void ExpectRefused(const KafkaOptions& options, const std::string& word,
                   uint32_t version = kDebian12) {
  const Status status = CheckKafkaOptionsFor(options, version);
  ASSERT_FALSE(status.ok()) << word;
  EXPECT_NE(status.message().find(word), std::string::npos) << status.message();
}

TEST(KafkaOptionsTest, PlainOptionsAreFine) {
  EXPECT_TRUE(CheckKafkaOptions(Plain()).ok());
  EXPECT_TRUE(KafkaProducer::Make(Plain()).ok());
}

TEST(KafkaOptionsTest, WrongOnesAreRefusedWithTheKey) {
  KafkaOptions options = Plain();
  options.brokers = "";
  ExpectRefused(options, "kafka.brokers");
  options = Plain();
  options.ca_file = "/etc/hostname";
  ExpectRefused(options, "plaintext");
  options = Plain();
  options.security = KafkaSecurity::kSsl;
  options.ca_file = "/no/such/file.pem";
  ExpectRefused(options, "/no/such/file.pem");
  options.ca_file = "";
  options.certificate_file = "/etc/hostname";
  ExpectRefused(options, "key_file");
  options = Plain();
  options.security = KafkaSecurity::kSaslSsl;
  ExpectRefused(options, "sasl_mechanism");
}

TEST(KafkaOptionsTest, ScramNeedsAClientThatWorks) {
  KafkaOptions options = Plain();
  options.security = KafkaSecurity::kSaslSsl;
  options.sasl_username = "box";
  options.sasl_password = "secret";
  for (const char* mechanism : {"SCRAM-SHA-256", "SCRAM-SHA-512"}) {
    options.sasl_mechanism = mechanism;
    ExpectRefused(options, "2.6.1");
    EXPECT_TRUE(CheckKafkaOptionsFor(options, kScramMended).ok());
  }
  options.sasl_mechanism = "PLAIN";
  EXPECT_TRUE(CheckKafkaOptionsFor(options, kDebian12).ok());
}

TEST(KafkaOptionsTest, FurtherPropertiesMayNotTouchDelivery) {
  for (const char* name :
       {"acks", "enable.idempotence", "message.timeout.ms", "security.protocol"}) {
    KafkaOptions options = Plain();
    options.properties = {{name, "1"}};
    ExpectRefused(options, name);
  }
  KafkaOptions options = Plain();
  options.properties = {{"compression.codec", "zstd"}, {"batch.size", "500000"}};
  EXPECT_TRUE(KafkaProducer::Make(options).ok());
  options.properties = {{"no.such.property", "1"}};
  const auto producer = KafkaProducer::Make(options);
  ASSERT_FALSE(producer.ok());
  EXPECT_NE(producer.message().find("no.such.property"), std::string::npos) << producer.message();
}

TEST(KafkaOptionsTest, AnUnreachableBrokerIsNamedWithTheMend) {
  const Status status = CheckKafkaCluster(Plain(), 2'000);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("127.0.0.1:1"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("check that a broker runs"), std::string::npos)
      << status.message();
}

}  // namespace
}  // namespace stillwatch::pipeline
