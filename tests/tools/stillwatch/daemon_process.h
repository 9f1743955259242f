// `stillwatch run` as a child process in the lab's appliance namespace, and `stillctl` to talk to it. All its files
// are in a folder of the test's own.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/e2e/held_thread.h"
#include "tests/e2e/net_lab.h"
#include "tests/tools/program.h"

namespace stillwatch::e2e {

class DaemonProcess {
 public:
  explicit DaemonProcess(const NetLab& lab) : lab_(lab) {}
  ~DaemonProcess();  // kills it and takes the bypass programme off the ports

  // Writes a configuration; `more` are lines "section.key = value" on top of those that the lab needs. Its path.
  std::string WriteConfig(const std::string& name, const std::vector<std::string>& more) const;

  void UseProgram(const std::string& path) { program_ = path; }  // in the place of the build's
  // Returns when it answers on its control socket; false when it ended before.
  bool Start(const std::string& config, std::vector<std::string> more_words = {});
  pid_t pid() const { return pid_; }
  void Signal(int number) const;
  void Kill();  // -9, and waits until the process is gone
  int Stop();   // SIGTERM; its exit status
  int Wait();
  std::string log() const { return testing::ReadAll(folder_ / "log"); }

  testing::Ran Ctl(std::vector<std::string> words) const;
  // `stillctl --json WORDS`, which must succeed.
  nlohmann::json Ask(const std::vector<std::string>& words) const;
  uint64_t Counter(const std::string& name) const;

  // The records of a topic's NDJSON file.
  std::vector<nlohmann::json> Records(const std::string& topic) const;
  std::string operator/(const std::string& name) const { return folder_ / name; }

 private:
  const NetLab& lab_;
  std::string program_ = testing::BinPath("stillwatch");
  const testing::TempFolder folder_;
  pid_t pid_ = -1;
};

}  // namespace stillwatch::e2e
