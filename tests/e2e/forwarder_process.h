// inline_forwarder as a child process in the appliance's namespace: started, killed, stopped,
// continued.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "net_lab.h"

namespace stillwatch::e2e {

class ForwarderProcess {
 public:
  explicit ForwarderProcess(const NetLab& lab) : lab_(lab) {}
  ~ForwarderProcess();

  // Returns once it forwards; false when it did not come up. The line it printed is in `line`.
  bool Start(std::vector<std::string> arguments);
  const std::string& line() const { return line_; }
  pid_t pid() const { return pid_; }
  void Kill();  // -9, and waits until the process is gone
  void Signal(int number);
  // SIGTERM; its exit status (128 + n for a signal). Counters are those that it printed.
  int Stop();
  uint64_t Counter(const std::string& name) const;

 private:
  std::string ReadLine();

  const NetLab& lab_;
  pid_t pid_ = -1;
  int output_ = -1;
  std::string pending_, line_;
  std::map<std::string, uint64_t> counters_;
};

}  // namespace stillwatch::e2e
