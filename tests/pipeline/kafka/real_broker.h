// A real Apache Kafka broker for one test, by tools/kafka in a folder of its own; stopped and
// removed with it, or soon after the test's process was killed.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/pipeline/store/temp_folder.h"

namespace stillwatch::pipeline {

class RealBroker {
 public:
  ~RealBroker() { Run("stop"); }

  std::string run_folder() const { return folder_ / "run"; }

  // Runs tools/kafka VERB; its standard output's first line, "" when it failed (its words are on
  // stderr).
  std::string Run(const std::string& verb) const {
    const std::string command = "STILLWATCH_KAFKA_OWNER=" + std::to_string(getpid()) +
                                " STILLWATCH_KAFKA_RUN='" + run_folder() +
                                "' '" STILLWATCH_SOURCE_DIR "/tools/kafka' " + verb;
    FILE* output = popen(command.c_str(), "r");
    if (output == nullptr) return "";
    char line[256] = "";
    const bool read = std::fgets(line, sizeof line, output) != nullptr;
    const bool good = pclose(output) == 0;
    std::string text = good && read ? line : "";
    if (text.ends_with('\n')) text.pop_back();
    return text;
  }

 private:
  TempFolder folder_;
};

}  // namespace stillwatch::pipeline
