// The bounded, durable queue between deciding and delivering, in one LMDB environment, with the
// pipeline's snapshot beside it so that both commit together.
//
//   batch thread   Commit: events (and now and then a snapshot), all or none, durable on return
//   drainer thread WaitPast, Read, Acknowledge, Trim
// Any thread: stats(). The two may run at once; LMDB lets one of them write at a time, so a Commit
// may wait for one Trim (one transaction), never for a broker.
//
// Positions count from 1 without gaps and go on across restarts. Only the contiguous acknowledged
// prefix is trimmed, so after a crash everything not known delivered is read again: at least once.
//
// Full (records_max or bytes_max reached): Commit refuses, counts outbox.full and changes nothing.
// The caller keeps the events or drops some by its own rule; nothing is dropped here. A second
// process on the same folder is refused at Open. kill -9 at any moment loses nothing committed; a
// power loss neither, as far as the disk honours fsync.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/counters.h"
#include "base/result.h"
#include "pipeline/sink/sink.h"
#include "pipeline/store/ack_window.h"
#include "pipeline/store/lmdb_env.h"
#include "pipeline/store/outbox_record.h"

namespace stillwatch::pipeline {

enum class OutboxCounter {
  kCommitted,  // events made durable
  kTrimmed,    // events removed because they and all before them were acknowledged
  kFull,       // commits refused because the outbox is full; the broker is too slow or away;
               // raise store.outbox_mib or mend the broker
  kFailed,     // commits refused by the disk; check the disk under box.state_dir
  kCorrupt,    // stored events with a wrong checksum, skipped; look at the disk
  kRecords,    // gauge: events waiting
  kBytes,      // gauge: bytes waiting
  kSnapshots,  // snapshots committed
  kCount
};
inline constexpr CounterNames<OutboxCounter> kOutboxCounterNames{
    "outbox.committed", "outbox.trimmed", "outbox.full",  "outbox.failed",
    "outbox.corrupt",   "outbox.records", "outbox.bytes", "outbox.snapshots"};

struct OutboxOptions {
  std::string dir;  // made when missing (its parent must exist)
  uint64_t records_max = 4'000'000;
  uint64_t bytes_max = 1ull << 30;  // of stored records; the file may reach about three times this
  uint64_t snapshot_bytes_max = 512ull << 20;
};

struct OutboxStats {
  uint64_t epoch = 0;
  uint64_t next_position = 1;  // of the event to come
  uint64_t records = 0, records_max = 0;
  uint64_t bytes = 0, bytes_max = 0;
  uint64_t acknowledged_prefix = 0;
};

struct StoredSnapshot {
  std::string blob;
  uint64_t position = 0;  // of the last event committed with or before it
  uint64_t epoch = 0;     // under which it was made
};

class Outbox {
 public:
  // Opens or makes the store and raises the epoch durably before it returns.
  static Result<std::unique_ptr<Outbox>> Open(const OutboxOptions& options, const Clock& clock);
  ~Outbox();

  // Batch thread. `snapshot` replaces the stored one in the same transaction; empty events with a
  // snapshot are fine.
  Status Commit(std::span<const Event> events, std::optional<Bytes> snapshot = std::nullopt);

  // What Commit stored last, or nothing.
  Result<std::optional<StoredSnapshot>> LoadSnapshot() const;

  // Drainer thread. Appends to `out` the records after position `after`, oldest first, until
  // `records_max` are read or `bytes_max` payload bytes are reached (one record is always read
  // where there is one). A corrupt record is skipped and acknowledged.
  Status Read(uint64_t after, size_t records_max, size_t bytes_max, std::vector<OutboxRecord>* out);

  // Drainer thread. The event at `position` was delivered; any order, repeats do no harm. In memory
  // only: the next Commit or Trim removes what can be removed.
  void Acknowledge(uint64_t position);
  // Drainer thread. Removes acknowledged events now. Called when many wait or no Commit comes.
  Status Trim();
  // Acknowledged events that a Trim would remove.
  uint64_t trimmable() const;

  // Waits until there is an event after `position`, Wake was called, or `timeout_ms` passed.
  void WaitPast(uint64_t position, int timeout_ms);
  void Wake();

  uint64_t epoch() const { return epoch_; }
  OutboxStats stats() const;
  const CounterBlock<OutboxCounter>& counters() const { return counters_; }

 private:
  // Everything besides events and snapshot, stored as one value in the same transaction.
  struct Head {
    uint64_t format = 1;
    uint64_t epoch = 0;
    uint64_t next_position = 1;
    uint64_t records = 0;
    uint64_t bytes = 0;
    uint64_t snapshot_position = 0;
    uint64_t snapshot_epoch = 0;
  };

  Outbox(const OutboxOptions& options, LmdbEnv env);
  Status LoadHead(const Clock& clock);
  Status CheckAgainstEvents(LmdbTxn& txn) const;
  Status AppendEvents(LmdbTxn& txn, std::span<const Event> events, Head* head, bool* full);
  Status TrimIn(LmdbTxn& txn, uint64_t records_max, Head* head);
  Status PutHead(LmdbTxn& txn, const Head& head);
  void Publish(const Head& head);

  const OutboxOptions options_;
  LmdbEnv env_;
  uint64_t epoch_ = 0;

  std::mutex write_mutex_;  // one writer at a time; taken before mutex_
  mutable std::mutex mutex_;
  std::condition_variable committed_;
  Head head_;           // as last committed; written under both, read under either
  AckWindow acks_;      // under mutex_
  bool woken_ = false;  // under mutex_
  // Written under write_mutex_, but kCorrupt, which is the drainer thread's.
  CounterBlock<OutboxCounter> counters_{kOutboxCounterNames};
  std::string encoded_;  // scratch of AppendEvents
};

}  // namespace stillwatch::pipeline
