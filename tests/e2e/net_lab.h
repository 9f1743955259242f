// A little network for end-to-end tests: client -- appliance -- server, three network namespaces
// joined by veth pairs. Each namespace is held by a process that dies with the test, so that
// nothing is left behind whatever happens to the test. Mounts that the test makes are its own and
// vanish with it, too.
//
//   client ns: c0 10.77.0.1, 02:..:c0      appliance ns: a0 (to the client), b0 (to the server), no
//   addresses server ns: s0 10.77.0.2, 02:..:50
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace stillwatch::e2e {

class Namespace {
 public:
  Namespace();
  ~Namespace();
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  pid_t pid() const { return pid_; }
  // Runs a shell command there; its exit status.
  int Run(const std::string& command) const;
  // Calls `body` on a thread of its own that lives there; returns when it is done.
  void Call(const std::function<void()>& body) const;
  // Starts a program there. Its standard output goes to `output_fd` (-1: as it is).
  pid_t Spawn(const std::vector<std::string>& words, int output_fd = -1) const;

 private:
  void Enter() const;
  pid_t pid_ = -1;
  int fd_ = -1;
};

// Reason why namespaces cannot be made here; empty: they can.
std::string WhyNoNamespaces();

// Once, before threads: this process gets its own view of mounts.
void KeepMountsToOurselves();

struct NetLab {
  // `queues`: of every interface, each way.
  explicit NetLab(int queues = 1);
  Namespace client, appliance, server;
};

}  // namespace stillwatch::e2e
