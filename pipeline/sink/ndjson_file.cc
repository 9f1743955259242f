#include "pipeline/sink/ndjson_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace stillwatch::pipeline {
namespace {

std::string_view MendOf(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "free space on that filesystem or set output.dir (replay: --out) to another";
    case EFBIG:
      return "raise the file size limit (ulimit -f) or set sink.rotate_bytes";
    case EACCES:
    case EPERM:
    case EROFS:
      return "make the folder writable for this user";
    case ENOENT:
      return "create the folder";
    default:
      return "look at the disk and the kernel log";
  }
}

}  // namespace

NdjsonFile::~NdjsonFile() {
  if (fd_ >= 0) close(fd_);
}

Error NdjsonFile::Failed(std::string_view what, int error) const {
  return Error{"ndjson: " + std::string(what) + " " + path_ + ": " + std::strerror(error) + "; " +
               std::string(MendOf(error))};
}

Status NdjsonFile::Open(const std::string& path, bool keep) {
  CHECK(fd_ < 0);
  path_ = path;
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | (keep ? 0 : O_TRUNC), 0640);
  if (fd_ < 0) return Failed("cannot open", errno);
  struct stat facts {};
  if (fstat(fd_, &facts) != 0) return Failed("cannot stat", errno);
  size_ = static_cast<uint64_t>(facts.st_size);
  return CutTornLine();
}

Status NdjsonFile::CutTornLine() {
  uint64_t end = size_;  // just behind the last newline
  char block[4096];
  while (end > 0) {
    const uint64_t from = end - std::min<uint64_t>(end, sizeof block);
    const ssize_t got = pread(fd_, block, end - from, static_cast<off_t>(from));
    if (got != static_cast<ssize_t>(end - from))
      return Failed("cannot read", got < 0 ? errno : EIO);
    const void* newline = memrchr(block, '\n', end - from);
    if (newline != nullptr) {
      end = from + static_cast<uint64_t>(static_cast<const char*>(newline) - block) + 1;
      break;
    }
    end = from;
  }
  torn_line_cut_ = end != size_;
  return torn_line_cut_ ? CutBackTo(end) : Status();
}

Status NdjsonFile::Append(std::string_view lines) {
  CHECK(fd_ >= 0 && (lines.empty() || lines.back() == '\n'));
  size_t written = 0;
  while (written < lines.size()) {
    const ssize_t got = pwrite(fd_, lines.data() + written, lines.size() - written,
                               static_cast<off_t>(size_ + written));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      const Error error = Failed("cannot append to", got < 0 ? errno : ENOSPC);
      Status cut = CutBackTo(size_);
      return cut.ok() ? error : Error{error.message + "; then " + cut.message()};
    }
    written += static_cast<size_t>(got);
  }
  size_ += lines.size();
  return {};
}

Status NdjsonFile::CutBackTo(uint64_t size) {
  if (ftruncate(fd_, static_cast<off_t>(size)) != 0) return Failed("cannot truncate", errno);
  size_ = size;
  return {};
}

Status NdjsonFile::Sync() {
  if (fdatasync(fd_) != 0) return Failed("cannot sync", errno);
  return {};
}

Status NdjsonFile::MoveAside(const std::string& target) {
  if (Status status = Sync(); !status.ok()) return status;
  // link() refuses an existing target where rename() would replace it. Until the last step the file
  // stays in place under its own name, so a failure leaves everything as it was.
  if (link(path_.c_str(), target.c_str()) != 0) return Failed("cannot rotate", errno);
  const std::string fresh_path = path_ + ".new";
  const int fresh = open(fresh_path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fresh < 0 || rename(fresh_path.c_str(), path_.c_str()) != 0) {
    const Error error = Failed("cannot rotate", errno);
    if (fresh >= 0) close(fresh);
    unlink(target.c_str());
    return error;
  }
  close(fd_);
  fd_ = fresh;
  size_ = 0;
  return {};
}

Status SyncFolder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool good = fd >= 0 && fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) close(fd);
  if (good) return {};
  return Error{"ndjson: cannot sync folder " + folder + ": " + std::strerror(error)};
}

}  // namespace stillwatch::pipeline
