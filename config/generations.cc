#include "config/generations.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace stillwatch::config {

namespace {

constexpr char kCandidate[] = "candidate";
constexpr char kRunning[] = "running-unconfirmed";
constexpr char kConfirmed[] = "confirmed";

Error SystemError(const std::string& what, const std::string& path) {
  return Error{what + " " + path + ": " + std::strerror(errno)};
}

Status SyncPath(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags);
  if (fd < 0) return SystemError("cannot open", path);
  const int failed = fsync(fd);
  close(fd);
  if (failed != 0) return SystemError("cannot sync", path);
  return {};
}

Status WriteDurably(const std::string& folder, const std::string& path, const std::string& text) {
  const std::string beside = path + ".tmp";
  {
    // It may hold keys.
    const int fd = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0) return SystemError("cannot write", beside);
    const bool private_to_us = fchmod(fd, S_IRUSR | S_IWUSR) == 0;  // one that was left behind may be wider
    close(fd);
    if (!private_to_us) return SystemError("cannot restrict", beside);
    std::ofstream file(beside, std::ios::binary | std::ios::trunc);
    file << text;
    file.flush();
    if (!file) return SystemError("cannot write", beside);
  }
  if (Status synced = SyncPath(beside, O_RDONLY); !synced.ok()) return synced;
  if (rename(beside.c_str(), path.c_str()) != 0) return SystemError("cannot rename", beside);
  return SyncPath(folder, O_RDONLY | O_DIRECTORY);
}

}  // namespace

Result<GenerationStore> GenerationStore::Open(const std::string& state_dir) {
  const std::string folder = state_dir + "/config";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return Error{"box.state_dir: cannot make " + folder + ": " + error.message() +
                 "; make it writable for the daemon or set another one"};
  }
  // Configurations may hold keys, those of an earlier version were readable by all.
  if (chmod(folder.c_str(), S_IRWXU) != 0) return SystemError("cannot restrict", folder);
  return GenerationStore(folder);
}

std::string GenerationStore::PathOf(uint64_t generation, const char* state) const {
  return folder_ + "/" + std::to_string(generation) + "." + state + ".toml";
}

Result<std::optional<GenerationStore::Confirmed>> GenerationStore::LastConfirmed() const {
  uint64_t newest = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename();
    uint64_t generation = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), generation);
    if (failed != std::errc() || std::string_view(end) != std::string(".") + kConfirmed + ".toml") continue;
    newest = std::max(newest, generation);
  }
  if (error) return Error{"cannot read " + folder_ + ": " + error.message()};
  if (newest == 0) return std::optional<Confirmed>();
  std::ifstream file(PathOf(newest, kConfirmed), std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return SystemError("cannot read", PathOf(newest, kConfirmed));
  return std::optional<Confirmed>({newest, text.str()});
}

Status GenerationStore::SaveCandidate(uint64_t generation, const std::string& text) {
  return WriteDurably(folder_, PathOf(generation, kCandidate), text);
}

Status GenerationStore::Move(uint64_t generation, const char* from, const char* to) {
  const std::string old_path = PathOf(generation, from);
  if (rename(old_path.c_str(), PathOf(generation, to).c_str()) != 0) {
    return SystemError("cannot rename", old_path);
  }
  return SyncPath(folder_, O_RDONLY | O_DIRECTORY);
}

Status GenerationStore::MarkRunning(uint64_t generation) {
  return Move(generation, kCandidate, kRunning);
}

Status GenerationStore::Confirm(uint64_t generation) {
  return Move(generation, kRunning, kConfirmed);
}

Status GenerationStore::Discard(uint64_t generation) {
  for (const char* state : {kCandidate, kRunning}) {
    const std::string path = PathOf(generation, state);
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return SystemError("cannot remove", path);
  }
  return SyncPath(folder_, O_RDONLY | O_DIRECTORY);
}

}  // namespace stillwatch::config
