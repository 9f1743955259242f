// One thread of another process made to stand still, while the rest of that process runs.
#pragma once

#include <sys/types.h>

#include <string>

namespace stillwatch::e2e {

// Holds one thread of a process where it stands, as if the kernel gave it no time. Same thread makes and ends it.
class HeldThread {
 public:
  HeldThread(pid_t process, const std::string& name);
  ~HeldThread();

 private:
  pid_t thread_ = -1;
};

}  // namespace stillwatch::e2e
