#include "tools/stillwatch/outputs.h"

#include <filesystem>

#include "config/load.h"

namespace stillwatch {

namespace {
constexpr int kKafkaFlushMs = 5'000;
}

Result<pipeline::KafkaOptions> KafkaOptionsOf(const config::Config& config) {
  pipeline::KafkaOptions options;
  for (const std::string& broker : config.kafka.brokers) {
    options.brokers += (options.brokers.empty() ? "" : ",") + broker;
  }
  options.topic_prefix = config.kafka.topic_prefix;
  options.client_id = "stillwatch-" + config.box.name;
  if (config.kafka.security_protocol == "ssl") options.security = pipeline::KafkaSecurity::kSsl;
  if (config.kafka.security_protocol == "sasl_ssl") options.security = pipeline::KafkaSecurity::kSaslSsl;
  options.ca_file = config.kafka.ca_file;
  options.certificate_file = config.kafka.certificate_file;
  options.key_file = config.kafka.key_file;
  options.sasl_mechanism = config.kafka.sasl_mechanism;
  options.sasl_username = config.kafka.sasl_username;
  if (!config.kafka.sasl_password_file.empty()) {
    Result<std::string> password =
        config::ReadSecret("kafka.sasl_password_file", "file:" + config.kafka.sasl_password_file);
    if (!password.ok()) return password.error();
    options.sasl_password = password.value();
  }
  return options;
}

Result<std::unique_ptr<Outputs>> Outputs::Open(const config::Config& config, const Clock& clock) {
  auto outputs = std::make_unique<Outputs>();
  std::error_code error;
  std::filesystem::create_directories(config.box.state_dir, error);
  pipeline::OutboxOptions outbox;
  outbox.dir = config.box.state_dir + "/outbox";
  outbox.bytes_max = static_cast<uint64_t>(config.store.outbox_mib) << 20;
  Result<std::unique_ptr<pipeline::Outbox>> opened = pipeline::Outbox::Open(outbox, clock);
  if (!opened.ok()) return opened.error();
  outputs->outbox_ = std::move(opened).value();
  outputs->sink_ = std::make_unique<pipeline::OutboxSink>(*outputs->outbox_);
  if (config.kafka.enabled) {
    Result<pipeline::KafkaOptions> options = KafkaOptionsOf(config);
    if (!options.ok()) return options.error();
    Result<std::unique_ptr<pipeline::KafkaDrain>> drain = pipeline::KafkaDrain::Make(options.value(), *outputs->outbox_);
    if (!drain.ok()) return drain.error();
    outputs->kafka_ = std::move(drain).value();
    return outputs;
  }
  std::filesystem::create_directories(config.output.dir, error);
  pipeline::NdjsonOptions ndjson;
  ndjson.dir = config.output.dir;
  ndjson.keep_existing = true;
  ndjson.rotate_bytes = static_cast<uint64_t>(config.output.rotate_mib) << 20;
  Result<std::unique_ptr<pipeline::NdjsonSink>> files = pipeline::NdjsonSink::Open(ndjson, clock);
  if (!files.ok()) return files.error();
  outputs->files_ = std::move(files).value();
  outputs->files_drain_ = std::make_unique<pipeline::NdjsonDrain>(*outputs->outbox_, *outputs->files_);
  return outputs;
}

void Outputs::RegisterCounters(CounterRegistry* registry) {
  registry->Register(outbox_->counters());
  if (files_ != nullptr) registry->Register(files_->counters());
  if (files_drain_ != nullptr) registry->Register(files_drain_->counters());
  if (kafka_ != nullptr) registry->Register(kafka_->counters());
}

void Outputs::Start() {
  if (files_drain_ != nullptr) files_drain_->Start();
  if (kafka_ != nullptr) kafka_->Start();
}

void Outputs::Stop() {
  if (kafka_ != nullptr) kafka_->Stop(kKafkaFlushMs);
  if (files_drain_ == nullptr) return;
  files_drain_->Stop();
  while (true) {
    const Result<size_t> delivered = files_drain_->DrainOnce();
    if (!delivered.ok() || delivered.value() == 0) break;
  }
}

}  // namespace stillwatch
