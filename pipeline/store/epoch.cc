#include "pipeline/store/epoch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace stillwatch::pipeline {
namespace {

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

Error FileError(std::string_view what, const std::string& path, int error) {
  return Error{"epoch: cannot " + std::string(what) + " " + path + ": " + std::strerror(error) +
               "; make its folder exist, writable and with free space"};
}

// Writes `text` to a new file beside `path` and renames it over, each step synced.
Status ReplaceFile(const std::string& path, std::string_view text) {
  const std::string fresh = path + ".new";
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return FileError("create", fresh, errno);
  const ssize_t got = write(fd, text.data(), text.size());
  const int error = got < 0 ? errno : ENOSPC;
  const bool written = got == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  close(fd);
  if (!written) return FileError("write", fresh, error);
  if (rename(fresh.c_str(), path.c_str()) != 0) return FileError("replace", path, errno);
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int folder_fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder_fd >= 0 && fsync(folder_fd) == 0;
  const int sync_error = errno;
  if (folder_fd >= 0) close(folder_fd);
  return synced ? Status() : Status(FileError("sync", folder, sync_error));
}

}  // namespace

uint64_t NextEpoch(uint64_t last, const Clock& clock) {
  const int64_t seconds = std::max<int64_t>(clock.UnixNs() / kNsPerSecond, 0);
  return std::max(last + 1, static_cast<uint64_t>(seconds));
}

Result<uint64_t> RaiseEpochFile(const std::string& path, const Clock& clock) {
  uint64_t last = 0;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    char text[32];
    const ssize_t got = read(fd, text, sizeof text);
    close(fd);
    std::string_view digits(text, got > 0 ? static_cast<size_t>(got) : 0);
    if (digits.ends_with('\n')) digits.remove_suffix(1);
    const auto parsed = ParseNumber(digits);
    if (!parsed) {
      return Error{"epoch: " + path +
                   " does not hold a number; if the file is lost for good, remove it"};
    }
    last = *parsed;
  } else if (errno != ENOENT) {
    return FileError("read", path, errno);
  }
  const uint64_t epoch = NextEpoch(last, clock);
  if (Status status = ReplaceFile(path, std::to_string(epoch) + "\n"); !status.ok()) {
    return Error{status.message()};
  }
  return epoch;
}

std::string EventId(std::string_view box, uint64_t epoch, uint64_t sequence) {
  return std::string(box) + "-" + std::to_string(epoch) + "-" + std::to_string(sequence);
}

std::optional<EventIdParts> ParseEventId(std::string_view id) {
  const size_t second = id.rfind('-');
  if (second == std::string_view::npos || second == 0) return std::nullopt;
  const size_t first = id.rfind('-', second - 1);
  if (first == std::string_view::npos) return std::nullopt;
  const auto epoch = ParseNumber(id.substr(first + 1, second - first - 1));
  const auto sequence = ParseNumber(id.substr(second + 1));
  if (!epoch || !sequence) return std::nullopt;
  return EventIdParts{std::string(id.substr(0, first)), *epoch, *sequence};
}

}  // namespace stillwatch::pipeline
