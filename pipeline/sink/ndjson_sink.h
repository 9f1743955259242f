// Writes DIR/<topic>.ndjson, one line an event. The end of the embedded default, and of replay.
// Called from one thread. The events of one Write reach all their files or none (a crash between
// two files can still leave some: event ids tell). Bounds: one line buffer a topic, as large as the
// largest Write; disk by rotate_bytes and rotated_files_max.
//
// A failing disk gives a Status that says what, where and the mend; the sink stays usable, and the
// same events can be written again.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/counters.h"
#include "base/result.h"
#include "pipeline/sink/ndjson_file.h"
#include "pipeline/sink/sink.h"

namespace stillwatch::pipeline {

enum class NdjsonCounter {
  kLines,         // lines written
  kBytes,         // bytes written
  kRotated,       // files moved aside because they had reached their size
  kRemoved,       // oldest rotated files removed because there were too many
  kRotateFailed,  // rotations refused by the filesystem; tried again at the next write;
                  // check the disk under output.dir
  kWriteFailed,   // steps refused by the filesystem; their events stay with the caller;
                  // check the disk under output.dir
  kTornCut,       // torn last lines that a crash had left, cut off at start
  kCount
};
inline constexpr CounterNames<NdjsonCounter> kNdjsonCounterNames{
    "ndjson.lines",         "ndjson.bytes",        "ndjson.rotated", "ndjson.removed",
    "ndjson.rotate_failed", "ndjson.write_failed", "ndjson.torn_cut"};

enum class SyncPolicy {
  kNever,      // the kernel writes back when it likes (replay)
  kOnFlush,    // Flush is durable
  kEachWrite,  // Write is durable
};

struct NdjsonOptions {
  std::string dir;  // made when missing (its parent must exist)
  bool keep_existing =
      false;  // true: go on with the files of an earlier run; false: start them empty
  SyncPolicy sync = SyncPolicy::kOnFlush;
  uint64_t rotate_bytes = 0;       // a file that reached this is moved aside; 0: never (replay)
  uint32_t rotated_files_max = 0;  // oldest removed above this, for each topic; 0: all are kept
};

class NdjsonSink final : public Sink {
 public:
  // Makes a file for every topic, also those that stay empty. `clock` (wall time, for names of
  // rotated files) outlives the sink.
  static Result<std::unique_ptr<NdjsonSink>> Open(const NdjsonOptions& options, const Clock& clock);

  Status Write(std::span<const Event> events) override;
  Status Flush() override;

  const CounterBlock<NdjsonCounter>& counters() const { return counters_; }
  // DIR/<topic>.ndjson
  std::string PathOf(Topic topic) const;

 private:
  NdjsonSink(const NdjsonOptions& options, const Clock& clock);
  Status OpenFiles();
  Status AppendAll();
  void RotateGrown();
  void RemoveOldest(Topic topic);

  const NdjsonOptions options_;
  const Clock& clock_;
  std::array<NdjsonFile, kTopics> files_;
  std::array<std::string, kTopics> lines_;  // of the present Write
  CounterBlock<NdjsonCounter> counters_{kNdjsonCounterNames};
};

}  // namespace stillwatch::pipeline
