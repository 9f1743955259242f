#include "config/generations.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
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
constexpr char kRolledBack[] = "rolled-back";

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

Result<std::vector<uint64_t>> GenerationStore::In(const std::string& state) const {
  std::vector<uint64_t> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename();
    uint64_t generation = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), generation);
    if (failed != std::errc() || !std::string_view(end).starts_with(".") || !name.ends_with(".toml")) continue;
    if (state.empty() || std::string_view(end) == "." + state + ".toml") found.push_back(generation);
  }
  if (error) return Error{"cannot read " + folder_ + ": " + error.message()};
  std::sort(found.begin(), found.end());
  return found;
}

Result<uint64_t> GenerationStore::Next() const {
  const Result<std::vector<uint64_t>> all = In("");
  if (!all.ok()) return all.error();
  return all.value().empty() ? 1 : all.value().back() + 1;
}

Result<std::vector<uint64_t>> GenerationStore::RollBackLeftovers() {
  Result<std::vector<uint64_t>> running = In(kRunning);
  if (!running.ok()) return running;
  for (const uint64_t generation : running.value()) {
    if (Status back = RollBack(generation); !back.ok()) return Error{back.message()};
  }
  return running;
}

Result<std::optional<GenerationStore::Confirmed>> GenerationStore::LastConfirmed() const {
  const Result<std::vector<uint64_t>> confirmed = In(kConfirmed);
  if (!confirmed.ok()) return confirmed.error();
  if (confirmed.value().empty()) return std::optional<Confirmed>();
  const uint64_t newest = confirmed.value().back();
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

Status GenerationStore::RollBack(uint64_t generation) {
  return Move(generation, kRunning, kRolledBack);
}

Status GenerationStore::Discard(uint64_t generation) {
  for (const char* state : {kCandidate, kRunning}) {
    const std::string path = PathOf(generation, state);
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return SystemError("cannot remove", path);
  }
  return SyncPath(folder_, O_RDONLY | O_DIRECTORY);
}

}  // namespace stillwatch::config
