#include "pipeline/store/outbox.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/mutant.h"
#include "pipeline/store/epoch.h"

namespace stillwatch::pipeline {
namespace {

// Acknowledged events removed by one transaction at most: bounds how long a Commit can take.
constexpr uint64_t kTrimMax = 16'384;
constexpr std::string_view kHeadKey = "head";
constexpr std::string_view kSnapshotKey = "snapshot";

// Room for the records in LMDB's pages (a record just over half a page takes a whole one), for the
// copies that a transaction makes of what it changes, and for two snapshots.
uint64_t MapBytes(const OutboxOptions& options) {
  const uint64_t wanted = 3 * options.bytes_max + 3 * options.snapshot_bytes_max +
                          64 * options.records_max + (64ull << 20);
  return (wanted + 0xffff) & ~0xffffull;
}

MDB_val KeyOf(const uint64_t& position) {
  return {sizeof position, const_cast<uint64_t*>(&position)};
}
uint64_t PositionOf(const MDB_val& key) {
  uint64_t position = 0;
  std::memcpy(&position, key.mv_data, sizeof position);
  return position;
}

// Closes itself before its transaction ends.
class Cursor {
 public:
  Cursor(LmdbTxn& txn, MDB_dbi table) { code_ = mdb_cursor_open(txn.get(), table, &cursor_); }
  ~Cursor() {
    if (cursor_ != nullptr) mdb_cursor_close(cursor_);
  }
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  int Get(MDB_val* key, MDB_val* value, MDB_cursor_op op) {
    return code_ != 0 ? code_ : mdb_cursor_get(cursor_, key, value, op);
  }
  int Delete() { return mdb_cursor_del(cursor_, 0); }

 private:
  MDB_cursor* cursor_ = nullptr;
  int code_ = 0;
};

}  // namespace

Outbox::Outbox(const OutboxOptions& options, LmdbEnv env)
    : options_(options), env_(std::move(env)) {}

Outbox::~Outbox() = default;

Result<std::unique_ptr<Outbox>> Outbox::Open(const OutboxOptions& options, const Clock& clock) {
  auto env = LmdbEnv::Open(options.dir, MapBytes(options));
  if (!env.ok()) return env.error();
  std::unique_ptr<Outbox> outbox(new Outbox(options, std::move(env).value()));
  if (Status status = outbox->LoadHead(clock); !status.ok()) return Error{status.message()};
  return outbox;
}

Status Outbox::LoadHead(const Clock& clock) {
  LmdbTxn txn(env_, 0);
  if (txn.begin_code() != 0) return env_.Failed("begin", txn.begin_code());
  MDB_val key = ValueOf(kHeadKey), value{};
  const int code = mdb_get(txn.get(), env_.state(), &key, &value);
  Head head;
  if (code == 0) {
    if (value.mv_size != sizeof head) return env_.Failed("read the head", MDB_CORRUPTED);
    std::memcpy(&head, value.mv_data, sizeof head);
    if (head.format != 1) return env_.Failed("read the head", MDB_VERSION_MISMATCH);
    head_ = head;
    if (Status status = CheckAgainstEvents(txn); !status.ok()) return status;
  } else if (code != MDB_NOTFOUND) {
    return env_.Failed("read the head", code);
  }
  head.epoch = NextEpoch(head.epoch, clock);
  if (Status status = PutHead(txn, head); !status.ok()) return status;
  if (const int committed = txn.Commit(); committed != 0) return env_.Failed("commit", committed);
  epoch_ = head.epoch;
  acks_ = AckWindow(head.next_position - 1 - head.records);
  Publish(head);
  return {};
}

// The head counts the events; they stand without gaps below next_position.
Status Outbox::CheckAgainstEvents(LmdbTxn& txn) const {
  MDB_stat table{};
  if (const int code = mdb_stat(txn.get(), env_.events(), &table); code != 0) {
    return env_.Failed("read the events", code);
  }
  bool good = table.ms_entries == head_.records;
  if (good && head_.records != 0) {
    Cursor cursor(txn, env_.events());
    MDB_val first{}, last{}, value{};
    good = cursor.Get(&first, &value, MDB_FIRST) == 0 &&
           PositionOf(first) == head_.next_position - head_.records &&
           cursor.Get(&last, &value, MDB_LAST) == 0 && PositionOf(last) == head_.next_position - 1;
  }
  return good ? Status() : Status(env_.Failed("match head and events", MDB_CORRUPTED));
}

Status Outbox::PutHead(LmdbTxn& txn, const Head& head) {
  MDB_val key = ValueOf(kHeadKey);
  MDB_val value{sizeof head, const_cast<Head*>(&head)};
  const int code = mdb_put(txn.get(), env_.state(), &key, &value, 0);
  return code == 0 ? Status() : Status(env_.Failed("store the head", code));
}

void Outbox::Publish(const Head& head) {
  {
    std::lock_guard lock(mutex_);
    head_ = head;
  }
  counters_.Set(OutboxCounter::kRecords, head.records);
  counters_.Set(OutboxCounter::kBytes, head.bytes);
}

Status Outbox::Commit(std::span<const Event> events, std::optional<Bytes> snapshot) {
  if (events.empty() && !snapshot) return {};
  if (snapshot && snapshot->size() > options_.snapshot_bytes_max) {
    return Error{"outbox: a snapshot of " + std::to_string(snapshot->size()) +
                 " bytes is over the limit of " +
                 std::to_string(options_.snapshot_bytes_max)};
  }
  std::lock_guard writer(write_mutex_);
  LmdbTxn txn(env_, 0);
  if (txn.begin_code() != 0) return env_.Failed("begin", txn.begin_code());
  Head head = head_;
  Status status = TrimIn(txn, kTrimMax, &head);
  const uint64_t trimmed = head_.records - head.records;
  bool full = false;
  if (status.ok()) status = AppendEvents(txn, events, &head, &full);
  if (status.ok() && snapshot) {
    MDB_val key = ValueOf(kSnapshotKey), value = ValueOf(AsText(*snapshot));
    const int code = mdb_put(txn.get(), env_.state(), &key, &value, 0);
    if (code != 0) status = env_.Failed("store the snapshot", code);
    head.snapshot_position = head.next_position - 1;
    head.snapshot_epoch = epoch_;
  }
  if (status.ok()) status = PutHead(txn, head);
  if (status.ok() && !(MutantIs("outbox.lose_tail") && head.next_position % 3 == 0)) {
    if (const int code = txn.Commit(); code != 0) status = env_.Failed("commit", code);
  }
  if (!status.ok()) {
    counters_.Add(full ? OutboxCounter::kFull : OutboxCounter::kFailed);
    return status;
  }
  counters_.Add(OutboxCounter::kCommitted, events.size());
  counters_.Add(OutboxCounter::kTrimmed, trimmed);
  if (snapshot) counters_.Add(OutboxCounter::kSnapshots);
  Publish(head);
  committed_.notify_all();
  return {};
}

Status Outbox::AppendEvents(LmdbTxn& txn, std::span<const Event> events, Head* head, bool* full) {
  for (const Event& event : events) {
    EncodeRecord(RecordOfEvent(event), &encoded_);
    if (head->records + 1 > options_.records_max ||
        head->bytes + encoded_.size() > options_.bytes_max) {
      *full = true;
      return Error{
          "outbox: full with " + std::to_string(head->records) + " events, " +
          std::to_string(head->bytes) + " bytes in " + options_.dir +
          "; see why delivery stands still (stillctl status), or raise store.outbox_mib"};
    }
    const uint64_t position = head->next_position;
    MDB_val key = KeyOf(position), value = ValueOf(encoded_);
    const int code = mdb_put(txn.get(), env_.events(), &key, &value, MDB_APPEND);
    if (code != 0) return env_.Failed("store an event", code);
    ++head->next_position;
    ++head->records;
    head->bytes += encoded_.size();
  }
  return {};
}

Status Outbox::TrimIn(LmdbTxn& txn, uint64_t records_max, Head* head) {
  uint64_t prefix;
  {
    std::lock_guard lock(mutex_);
    prefix = acks_.prefix();
  }
  uint64_t first = head->next_position - head->records;
  const uint64_t end = std::min(prefix + 1, first + records_max);
  if (first >= end) return {};
  Cursor cursor(txn, env_.events());
  MDB_val key{}, value{};
  int code = cursor.Get(&key, &value, MDB_FIRST);
  for (; code == 0 && first < end; ++first) {
    if (PositionOf(key) != first) return env_.Failed("trim", MDB_CORRUPTED);
    head->bytes -= value.mv_size;
    --head->records;
    code = cursor.Delete();
    if (code == 0 && first + 1 < end) code = cursor.Get(&key, &value, MDB_NEXT);
  }
  return code == 0 ? Status() : Status(env_.Failed("trim", code));
}

Status Outbox::Trim() {
  std::lock_guard writer(write_mutex_);
  if (trimmable() == 0) return {};
  LmdbTxn txn(env_, 0);
  if (txn.begin_code() != 0) return env_.Failed("begin", txn.begin_code());
  Head head = head_;
  Status status = TrimIn(txn, kTrimMax, &head);
  if (status.ok()) status = PutHead(txn, head);
  if (status.ok()) {
    if (const int code = txn.Commit(); code != 0) status = env_.Failed("commit", code);
  }
  if (!status.ok()) return status;
  counters_.Add(OutboxCounter::kTrimmed, head_.records - head.records);
  Publish(head);
  return {};
}

uint64_t Outbox::trimmable() const {
  std::lock_guard lock(mutex_);
  return acks_.prefix() + head_.records + 1 - head_.next_position;
}

Status Outbox::Read(uint64_t after, size_t records_max, size_t bytes_max,
                    std::vector<OutboxRecord>* out) {
  LmdbTxn txn(env_, MDB_RDONLY);
  if (txn.begin_code() != 0) return env_.Failed("begin reading", txn.begin_code());
  Cursor cursor(txn, env_.events());
  const uint64_t from = after + 1;
  MDB_val key = KeyOf(from), value{};
  int code = cursor.Get(&key, &value, MDB_SET_RANGE);
  size_t records = 0, bytes = 0;
  for (; code == 0 && records < records_max; code = cursor.Get(&key, &value, MDB_NEXT)) {
    OutboxRecord record;
    record.position = PositionOf(key);
    if (!DecodeRecord(AsBytes(TextOf(value)), &record)) {
      counters_.Add(OutboxCounter::kCorrupt);
      Acknowledge(record.position);
      continue;
    }
    if (records != 0 && bytes + record.payload_bytes() > bytes_max) break;
    bytes += record.payload_bytes();
    ++records;
    out->push_back(std::move(record));
  }
  if (code != 0 && code != MDB_NOTFOUND) return env_.Failed("read events", code);
  return {};
}

void Outbox::Acknowledge(uint64_t position) {
  std::lock_guard lock(mutex_);
  if (position < head_.next_position) acks_.Acknowledge(position);
}

Result<std::optional<StoredSnapshot>> Outbox::LoadSnapshot() const {
  LmdbTxn txn(env_, MDB_RDONLY);
  if (txn.begin_code() != 0) return env_.Failed("begin reading", txn.begin_code());
  MDB_val key = ValueOf(kSnapshotKey), value{};
  int code = mdb_get(txn.get(), env_.state(), &key, &value);
  if (code == MDB_NOTFOUND) return std::optional<StoredSnapshot>();
  if (code != 0) return env_.Failed("read the snapshot", code);
  StoredSnapshot snapshot{std::string(TextOf(value)), 0, 0};
  key = ValueOf(kHeadKey);
  code = mdb_get(txn.get(), env_.state(), &key, &value);
  if (code != 0) return env_.Failed("read the head", code);
  Head head;
  std::memcpy(&head, value.mv_data, sizeof head);
  snapshot.position = head.snapshot_position;
  snapshot.epoch = head.snapshot_epoch;
  return std::optional<StoredSnapshot>(std::move(snapshot));
}

void Outbox::WaitPast(uint64_t position, int timeout_ms) {
  std::unique_lock lock(mutex_);
  committed_.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                      [&] { return woken_ || head_.next_position > position + 1; });
  woken_ = false;
}

void Outbox::Wake() {
  {
    std::lock_guard lock(mutex_);
    woken_ = true;
  }
  committed_.notify_all();
}

OutboxStats Outbox::stats() const {
  std::lock_guard lock(mutex_);
  return {epoch_,      head_.next_position, head_.records, options_.records_max,
          head_.bytes, options_.bytes_max,  acks_.prefix()};
}

}  // namespace stillwatch::pipeline
