#include "pipeline/store/ndjson_drain.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"

namespace stillwatch::pipeline {
namespace {

constexpr size_t kBatchRecords = 4'096;
constexpr size_t kBatchBytes = 8u << 20;
constexpr int kIdleMs = 1'000;
constexpr int kPauseMinMs = 100;
constexpr int kPauseMaxMs = 10'000;
constexpr int64_t kComplainEveryNs = 60 * kNsPerSecond;

}  // namespace

NdjsonDrain::NdjsonDrain(Outbox& outbox, Sink& sink)
    : outbox_(outbox), sink_(sink), position_(outbox.stats().acknowledged_prefix) {}

NdjsonDrain::~NdjsonDrain() { Stop(); }

void NdjsonDrain::Start() {
  stopping_ = false;
  thread_ = std::thread([this] { Run(); });
}

void NdjsonDrain::Stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  outbox_.Wake();
  thread_.join();
}

Result<size_t> NdjsonDrain::DrainOnce() {
  std::vector<OutboxRecord> records;
  if (Status read = outbox_.Read(position_, kBatchRecords, kBatchBytes, &records); !read.ok()) {
    return Error{read.message()};
  }
  if (records.empty()) {
    if (Status trim = outbox_.Trim(); !trim.ok()) return Error{trim.message()};
    return size_t{0};
  }
  std::vector<Event> events;
  events.reserve(records.size());
  uint64_t unreadable = 0;
  for (const OutboxRecord& record : records) {
    Event event{record.topic, "", nullptr};
    if (EventOfRecord(record, &event)) {
      events.push_back(std::move(event));
    } else {
      ++unreadable;
    }
  }
  Status status = sink_.Write(events);
  if (status.ok()) status = sink_.Flush();
  if (!status.ok()) {
    counters_.Add(DrainCounter::kRetried);
    return Error{status.message()};
  }
  for (const OutboxRecord& record : records) outbox_.Acknowledge(record.position);
  position_ = records.back().position;
  counters_.Add(DrainCounter::kWritten, events.size());
  counters_.Add(DrainCounter::kUnreadable, unreadable);
  return records.size();
}

void NdjsonDrain::Run() {
  const SystemClock clock;
  int pause_ms = kPauseMinMs;
  int64_t complain_after_ns = 0;
  while (!stopping_) {
    const Result<size_t> drained = DrainOnce();
    {
      std::lock_guard lock(mutex_);
      last_error_ = drained.ok() ? "" : drained.message();
    }
    if (drained.ok()) {
      pause_ms = kPauseMinMs;
      if (drained.value() == 0) outbox_.WaitPast(position_, kIdleMs);
      continue;
    }
    if (clock.MonotonicNs() >= complain_after_ns) {
      Log(LogLevel::kError, drained.message() + " (" + std::to_string(outbox_.stats().records) +
                                " events wait in the outbox; trying again)");
      complain_after_ns = clock.MonotonicNs() + kComplainEveryNs;
    }
    outbox_.WaitPast(~0ull - 1, pause_ms);  // only Wake ends it early
    pause_ms = std::min(pause_ms * 2, kPauseMaxMs);
  }
}

DrainStatus NdjsonDrain::status() const {
  const OutboxStats stats = outbox_.stats();
  std::lock_guard lock(mutex_);
  return {stats.records, stats.bytes, !last_error_.empty(), last_error_};
}

}  // namespace stillwatch::pipeline
