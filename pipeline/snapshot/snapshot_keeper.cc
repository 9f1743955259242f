#include "pipeline/snapshot/snapshot_keeper.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.h"

namespace stillwatch::pipeline {

SnapshotKeeper::SnapshotKeeper(std::string path, const SealKey& key, uint64_t layout, const Clock& clock)
    : path_(std::move(path)), key_(key), layout_(layout), clock_(clock) {
  struct stat file{};
  if (stat(path_.c_str(), &file) == 0) {
    status_.written_ns = file.st_mtim.tv_sec * kNsPerSecond + file.st_mtim.tv_nsec;
    status_.bytes = static_cast<uint64_t>(std::max<off_t>(file.st_size, 1));  // an empty one is there, too, and refused
  }
  thread_ = std::thread([this] { Run(); });
}

Status SnapshotKeeper::Remove() {
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) return Error{path_ + ": cannot be removed: " + std::strerror(errno)};
  unlink((path_ + ".part").c_str());
  status_ = {};
  return {};
}

SnapshotKeeper::~SnapshotKeeper() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool SnapshotKeeper::busy() const {
  std::lock_guard lock(mutex_);
  return pending_;
}

void SnapshotKeeper::Write(std::string state, int64_t traffic_time_ns, int64_t pause_ns) {
  const auto pause_us = static_cast<uint64_t>(pause_ns / 1'000);
  counters_.Set(SnapshotCounter::kPauseUs, pause_us);
  counters_.Set(SnapshotCounter::kPauseUsMax, std::max(pause_us, counters_.Get(SnapshotCounter::kPauseUsMax)));
  {
    std::lock_guard lock(mutex_);
    state_ = std::move(state);
    state_time_ns_ = traffic_time_ns;
    pending_ = true;
  }
  changed_.notify_all();
}

void SnapshotKeeper::Collect() {
  std::lock_guard lock(mutex_);
  counters_.Set(SnapshotCounter::kWritten, written_);
  counters_.Set(SnapshotCounter::kFailed, failed_);
  counters_.Set(SnapshotCounter::kBytes, status_.bytes);
}

void SnapshotKeeper::Wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !pending_; });
}

SnapshotStatus SnapshotKeeper::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

void SnapshotKeeper::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return pending_ || stopping_; });
    if (!pending_) return;
    std::string state = std::move(state_);
    const int64_t traffic_time_ns = state_time_ns_;
    lock.unlock();
    const Result<uint64_t> written = WriteSealedFile(path_, state, key_, layout_);
    Wipe(&state);
    lock.lock();
    if (written.ok()) {
      ++written_;
      status_ = {clock_.UnixNs(), traffic_time_ns, written.value(), ""};
    } else {
      ++failed_;
      if (status_.last_error.empty()) Log(LogLevel::kError, "snapshot: " + written.message());
      status_.last_error = written.message();
    }
    pending_ = false;
    changed_.notify_all();
  }
}

}  // namespace stillwatch::pipeline
