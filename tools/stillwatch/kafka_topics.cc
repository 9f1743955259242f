#include "tools/stillwatch/kafka_topics.h"

#include <charconv>
#include <cstdio>

#include "config/load.h"
#include "pipeline/kafka/kafka_admin.h"
#include "tools/stillwatch/args.h"
#include "tools/stillwatch/outputs.h"

namespace stillwatch {

namespace {

constexpr char kUsage[] = "kafka-topics --config FILE [--set KEY=VALUE]... [--replication N]";
constexpr int kTimeoutMs = 10'000;
constexpr int kReplicationMax = 100;

}  // namespace

std::string KafkaProblem(const config::Config& config) {
  const Result<pipeline::KafkaOptions> options = KafkaOptionsOf(config);
  if (!options.ok()) return options.message();
  const Status status = pipeline::CheckKafkaCluster(options.value(), kTimeoutMs);
  return status.ok() ? "" : status.message();
}

int KafkaTopicsMain(std::span<char*> words) {
  const Result<Args> args = ParseArgs(words);
  if (!args.ok()) return Complain(kExitBadUsage, args.message());
  if (args.value().config_file.empty() || !args.value().words.empty()) return Complain(kExitBadUsage, kUsage);
  const std::string& text = args.value().replication;
  int replication = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), replication);
  if (error != std::errc() || *end != '\0' || replication < 1 || replication > kReplicationMax) {
    return Complain(kExitBadUsage, "--replication is a number from 1 to " + std::to_string(kReplicationMax));
  }
  const Result<config::Config> config = config::LoadConfig(args.value().config_file, args.value().sets);
  if (!config.ok()) return Complain(kExitUnreadable, config.message());
  const Result<pipeline::KafkaOptions> options = KafkaOptionsOf(config.value());
  if (!options.ok()) return Complain(kExitUnreadable, options.message());
  if (const Status made = pipeline::CreateKafkaTopics(options.value(), replication, kTimeoutMs); !made.ok()) {
    return Complain(kExitFailed, made.message());
  }
  std::printf("every topic is there (docs/topics.md)\n");
  return kExitDone;
}

}  // namespace stillwatch
