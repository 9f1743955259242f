#include "dataplane/bypass/bpffs.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace stillwatch::dataplane {

namespace {

constexpr long kBpfMagic = 0xcafe4a11;

}  // namespace

bool OnBpffs(const std::string& path) {
  struct statfs info {};
  return statfs(path.c_str(), &info) == 0 && static_cast<long>(info.f_type) == kBpfMagic;
}

Status MountBpffs(const std::string& path) {
  if (OnBpffs(path)) return {};
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (OnBpffs(path)) return {};  // a new folder on a mount that was there
  if (failed) return Error{"fail_open.bpffs: cannot make " + path + ": " + failed.message()};
  if (mount("bpf", path.c_str(), "bpf", 0, "mode=0700") != 0) {
    return Error{"fail_open.bpffs: cannot mount a BPF file system at " + path + ": " +
                 std::strerror(errno) + "; mount it before the start: mount -t bpf bpf " + path};
  }
  return {};
}

void UnmountBpffsIfEmpty(const std::string& path) {
  if (!OnBpffs(path) || path.starts_with("/sys/")) return;
  std::error_code failed;
  const std::string parent = std::filesystem::path(path).lexically_normal().parent_path();
  struct stat here {
  }, above{};
  if (stat(path.c_str(), &here) != 0 || stat(parent.c_str(), &above) != 0 ||
      here.st_dev == above.st_dev)
    return;
  // The kernel itself puts two views of all maps and programmes into a new mount.
  for (const auto& entry : std::filesystem::directory_iterator(path, failed)) {
    const std::string name = entry.path().filename();
    if (name != "maps.debug" && name != "progs.debug") return;
  }
  if (failed) return;
  if (umount(path.c_str()) == 0) std::filesystem::remove(path, failed);
}

}  // namespace stillwatch::dataplane
