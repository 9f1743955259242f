// Writes snapshots to one file while detection goes on: the detection thread copies its state (Pipeline::SaveState) and
// hands the copy over; a thread of the keeper's own seals and writes it, and wipes the copy. One at a time: while one is
// written none is due. A failure is counted and said once; the file on disk stays the one before.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/counters.h"
#include "base/result.h"
#include "pipeline/snapshot/sealed_file.h"

namespace stillwatch::pipeline {

enum class SnapshotCounter {
  kWritten,    // snapshots that are durable
  kFailed,     // snapshots that could not be written; the file before stays; look at the disk under box.state_dir
  kDeferred,   // snapshots that waited because events were not durable yet or the one before was still written
  kBytes,      // gauge: bytes of the last file
  kPauseUs,    // gauge: microseconds that looking stood still for the last copy; forwarding never does
  kPauseUsMax, // gauge: the longest such pause since start
  kCount
};
inline constexpr CounterNames<SnapshotCounter> kSnapshotCounterNames{
    "snapshot.written", "snapshot.failed", "snapshot.deferred", "snapshot.bytes", "snapshot.pause_us", "snapshot.pause_us_max"};

struct SnapshotStatus {
  int64_t written_ns = 0;       // the box's clock, when the file became durable; 0: there is none
  int64_t traffic_time_ns = 0;  // of what it holds
  uint64_t bytes = 0;
  std::string last_error;       // "" when the last one went well
};

class SnapshotKeeper {
 public:
  // The clock outlives the keeper.
  SnapshotKeeper(std::string path, const SealKey& key, uint64_t layout, const Clock& clock);
  ~SnapshotKeeper();  // lets the one that is being written end

  // Before the first Write.
  bool there() const { return status_.bytes != 0; }  // a file of a run before
  Result<std::string> Read() const { return ReadSealedFile(path_, key_, layout_); }
  Status Remove();
  const std::string& path() const { return path_; }

  // Detection thread: all four.
  bool busy() const;
  void Write(std::string state, int64_t traffic_time_ns, int64_t pause_ns);
  void Defer() { counters_.Add(SnapshotCounter::kDeferred); }
  // Takes over what the thread has done since, for the counters. Once a second or so.
  void Collect();

  // Waits until nothing is being written.
  void Wait();
  // Any thread.
  SnapshotStatus status() const;
  const CounterBlock<SnapshotCounter>& counters() const { return counters_; }

 private:
  void Run();

  const std::string path_;
  const SealKey key_;
  const uint64_t layout_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Under mutex_.
  std::string state_;
  int64_t state_time_ns_ = 0;
  bool pending_ = false, stopping_ = false;
  uint64_t written_ = 0, failed_ = 0;
  SnapshotStatus status_;
  CounterBlock<SnapshotCounter> counters_{kSnapshotCounterNames};
  std::thread thread_;  // last: uses all above
};

}  // namespace stillwatch::pipeline
