#include "tools/stillwatch/request_hits.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace stillwatch {

Status WriteRequestHits(const std::string& path, const pipeline::AccountNames& names, const pipeline::ProfileTable& profiles) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  std::FILE* file = fd < 0 ? nullptr : fdopen(fd, "w");
  if (file == nullptr) return Error{path + ": cannot be written: " + std::strerror(errno)};
  std::fputs("account,time_s,hit\n", file);
  for (const pipeline::Profile& profile : profiles.all()) {
    const std::string account = pipeline::AccountText(names, profile.id);
    for (const pipeline::RememberedRequest& request : profile.remembered()) {
      std::fprintf(file, "%s,%u,%d\n", account.c_str(), request.time_s, (request.flags & pipeline::kLinked) != 0 ? 1 : 0);
    }
  }
  const bool failed = std::ferror(file) != 0;
  if (std::fclose(file) != 0 || failed) return Error{path + ": " + std::strerror(errno)};
  return {};
}

}  // namespace stillwatch
