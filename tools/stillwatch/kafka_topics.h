// stillwatch kafka-topics --config FILE [--set KEY=VALUE]... [--replication N]: makes the topics that a cluster lacks,
// for whoever sets it up. Boxes themselves never create topics.
#pragma once

#include <span>
#include <string>

#include "config/config.h"

namespace stillwatch {

// Exit code: 0 when every topic is there, 1 when the cluster refuses or is away.
int KafkaTopicsMain(std::span<char*> words);

// What is wrong with the configured cluster and the mend; "" when it answers and has every topic. Waits up to 10 s.
std::string KafkaProblem(const config::Config& config);

}  // namespace stillwatch
