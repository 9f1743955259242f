// What replay reads: captures, through the same engine as a live box, or files of recorded exchanges
// (docs/recorded-exchanges.md), which go straight to the pipeline. One thread.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/counters.h"
#include "base/result.h"
#include "config/config.h"
#include "tools/stillwatch/pipeline_consumer.h"
#include "tools/stillwatch/settings.h"

namespace stillwatch {

class ReplaySource {
 public:
  virtual ~ReplaySource() = default;

  virtual void RegisterCounters(CounterRegistry* registry) = 0;
  // Everything, in order, once. An error leaves the pipeline with what came before it.
  virtual Status Feed(PipelineConsumer* consumer) = 0;
  // The exit code of the program when Feed fails.
  virtual int exit_on_error() const = 0;
  // "12 packets", after Feed.
  virtual uint64_t read() const = 0;
  virtual const char* unit() const = 0;
};

// Which of the two is told by how the files begin; all must be of one sort. Recorded exchanges of several files are
// read one file after the other, each later in traffic time than the one before. `key_log`: --keylog, for captures.
Result<std::unique_ptr<ReplaySource>> OpenReplaySource(const config::Config& config, const Secrets& secrets,
                                                       std::span<const std::string> paths, const std::string& key_log);

}  // namespace stillwatch
