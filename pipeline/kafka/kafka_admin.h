// Questions to a cluster before anything is sent: for `stillwatch doctor`, `stillctl check` and
// tests. Each call makes its own client and blocks up to its time-out; any thread but the
// pipeline's.
#pragma once

#include "base/result.h"
#include "pipeline/kafka/kafka_options.h"

namespace stillwatch::pipeline {

// Ok when a broker answers and all our topics exist; else what is missing and the mend.
Status CheckKafkaCluster(const KafkaOptions& options, int timeout_ms);

// Makes the topics that do not exist, feedback and intel too, with the settings of topic_records.h
// (compression.type=producer, clean leader elections only). Existing ones are left as they are.
// Boxes run with a client that may not create topics: this is for whoever sets a cluster up.
Status CreateKafkaTopics(const KafkaOptions& options, int replication_factor, int timeout_ms);

}  // namespace stillwatch::pipeline
