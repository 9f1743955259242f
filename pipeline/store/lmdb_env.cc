#include "pipeline/store/lmdb_env.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace stillwatch::pipeline {

Error LmdbEnv::Failed(std::string_view what, int code) const {
  std::string_view mend = "look at the disk and the kernel log";
  if (code == ENOSPC || code == EDQUOT || code == EIO || code == EFBIG) {
    mend = "free space on that filesystem or set box.state_dir to another";
  } else if (code == MDB_MAP_FULL) {
    mend = "wait for the broker, or raise store.outbox_mib";
  } else if (code == EACCES || code == EPERM || code == EROFS || code == ENOENT) {
    mend = "make the folder exist and writable for this user";
  } else if (code == MDB_INVALID || code == MDB_CORRUPTED || code == MDB_PANIC ||
             code == MDB_VERSION_MISMATCH || code == MDB_PAGE_NOTFOUND) {
    mend = "the store is damaged: move the folder away; events not yet delivered are in it";
  }
  return Error{"outbox: cannot " + std::string(what) + " in " + dir_ + ": " + mdb_strerror(code) +
               "; " + std::string(mend)};
}

Result<LmdbEnv> LmdbEnv::Open(const std::string& dir, uint64_t map_bytes) {
  LmdbEnv env;
  env.dir_ = dir;
  if (mkdir(dir.c_str(), 0750) != 0 && errno != EEXIST) return env.Failed("make the folder", errno);
  env.lock_fd_ = open((dir + "/owner.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (env.lock_fd_ < 0) return env.Failed("open owner.lock", errno);
  if (flock(env.lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    return Error{"outbox: " + dir +
                 " is in use by another process; stop it or set box.state_dir to another folder"};
  }
  int code = mdb_env_create(&env.env_);
  if (code == 0) code = mdb_env_set_maxdbs(env.env_, 2);
  if (code == 0) code = mdb_env_set_mapsize(env.env_, map_bytes);
  // MDB_NOTLS: read transactions belong to this object, not to the thread that opened them.
  if (code == 0) code = mdb_env_open(env.env_, dir.c_str(), MDB_NOTLS, 0640);
  if (code != 0) return env.Failed("open the store", code);
  int dead_readers = 0;
  mdb_reader_check(env.env_,
                   &dead_readers);  // of a process that was killed; they would hold old pages
  code = env.OpenTables();
  if (code != 0) return env.Failed("open the tables", code);
  return env;
}

int LmdbEnv::OpenTables() {
  LmdbTxn txn(*this, 0);
  int code = txn.begin_code();
  if (code == 0) code = mdb_dbi_open(txn.get(), "events", MDB_CREATE | MDB_INTEGERKEY, &events_);
  if (code == 0) code = mdb_dbi_open(txn.get(), "state", MDB_CREATE, &state_);
  return code == 0 ? txn.Commit() : code;
}

LmdbEnv& LmdbEnv::operator=(LmdbEnv&& other) noexcept {
  std::swap(dir_, other.dir_);
  std::swap(lock_fd_, other.lock_fd_);
  std::swap(env_, other.env_);
  std::swap(events_, other.events_);
  std::swap(state_, other.state_);
  return *this;
}

LmdbEnv::~LmdbEnv() {
  if (env_ != nullptr) mdb_env_close(env_);
  if (lock_fd_ >= 0) close(lock_fd_);
}

}  // namespace stillwatch::pipeline
