// Writes the tables of docs/topics.md: each topic's settings, each field with its form in NDJSON
// and its meaning (the field's comment in the .proto), and an example line. A build-time tool;
// nothing of it runs in the daemon.
#pragma once

#include <map>
#include <string>

#include <google/protobuf/descriptor.pb.h>

#include "base/result.h"
#include "pipeline/sink/sink.h"

namespace stillwatch::pipeline {

struct TopicsDocInput {
  google::protobuf::FileDescriptorSet descriptors;  // of stillwatch.proto, with source info
  std::map<Topic, std::string> examples;            // a record in text format
};

// Reads stillwatch.desc and <topic>.textproto of every topic.
Result<TopicsDocInput> ReadTopicsDocInput(const std::string& descriptor_file,
                                          const std::string& examples_dir);

// `document` with the text between each pair of lines
//   <!-- generated: NAME -->   and   <!-- end -->
// made anew, where NAME is "meta", "enums", "settings" or a topic. An unknown NAME, a topic without
// a place and a field without a comment are errors.
Result<std::string> RegenerateTopicsDoc(const std::string& document, const TopicsDocInput& input);

}  // namespace stillwatch::pipeline
