// A thin owner of one LMDB environment with two tables, "events" (integer keys) and "state" (text
// keys), and of transactions on it. The only place that calls liblmdb's set-up; outbox.cc holds the
// logic. One process at a time: a lock file is held from Open to destruction. Errors name the
// folder and the mend.
#pragma once

#include <lmdb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace stillwatch::pipeline {

class LmdbEnv {
 public:
  // `map_bytes` bounds the file; it grows only as far as it is used.
  static Result<LmdbEnv> Open(const std::string& dir, uint64_t map_bytes);
  LmdbEnv(LmdbEnv&& other) noexcept { *this = std::move(other); }
  LmdbEnv& operator=(LmdbEnv&& other) noexcept;
  ~LmdbEnv();

  MDB_env* env() const { return env_; }
  MDB_dbi events() const { return events_; }
  MDB_dbi state() const { return state_; }
  // "outbox: cannot WHAT in DIR: REASON; MEND" for a code of liblmdb.
  Error Failed(std::string_view what, int code) const;

 private:
  LmdbEnv() = default;
  int OpenTables();

  std::string dir_;
  int lock_fd_ = -1;
  MDB_env* env_ = nullptr;
  MDB_dbi events_ = 0;
  MDB_dbi state_ = 0;
};

// Aborts unless committed.
class LmdbTxn {
 public:
  LmdbTxn(const LmdbEnv& env, unsigned flags) {
    code_ = mdb_txn_begin(env.env(), nullptr, flags, &txn_);
  }
  ~LmdbTxn() { Abort(); }
  LmdbTxn(const LmdbTxn&) = delete;
  LmdbTxn& operator=(const LmdbTxn&) = delete;

  int begin_code() const { return code_; }
  MDB_txn* get() const { return txn_; }
  int Commit() { return mdb_txn_commit(std::exchange(txn_, nullptr)); }
  void Abort() {
    if (txn_ != nullptr) mdb_txn_abort(std::exchange(txn_, nullptr));
  }

 private:
  MDB_txn* txn_ = nullptr;
  int code_ = 0;
};

inline MDB_val ValueOf(std::string_view bytes) {
  return {bytes.size(), const_cast<char*>(bytes.data())};
}
inline std::string_view TextOf(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

}  // namespace stillwatch::pipeline
