#include "net_lab.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace stillwatch::e2e {

namespace {

void Must(bool ok, const std::string& what) {
  if (!ok) throw std::runtime_error(what + ": " + std::strerror(errno));
}

}  // namespace

Namespace::Namespace() {
  int ready[2];
  Must(pipe2(ready, O_CLOEXEC) == 0, "pipe");
  pid_ = fork();
  Must(pid_ >= 0, "fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char done = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
    if (write(ready[1], &done, 1) != 1) _exit(1);
    for (;;) pause();
  }
  close(ready[1]);
  char done = 'n';
  const bool heard = read(ready[0], &done, 1) == 1;
  close(ready[0]);
  if (!heard || done != 'y') {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    throw std::runtime_error("cannot make a network namespace");
  }
  fd_ = open(("/proc/" + std::to_string(pid_) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC);
  Must(fd_ >= 0, "opening the namespace");
  Run("ip link set lo up");
}

Namespace::~Namespace() {
  close(fd_);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Namespace::Enter() const { Must(setns(fd_, CLONE_NEWNET) == 0, "setns"); }

int Namespace::Run(const std::string& command) const {
  const pid_t child = Spawn({"/bin/sh", "-c", command});
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void Namespace::Call(const std::function<void()>& body) const {
  std::thread([&] {
    Enter();
    body();
  }).join();
}

pid_t Namespace::Spawn(const std::vector<std::string>& words, int output_fd) const {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  Must(child >= 0, "fork");
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (setns(fd_, CLONE_NEWNET) != 0) _exit(126);
  if (output_fd >= 0) dup2(output_fd, STDOUT_FILENO);
  execvp(argv[0], argv.data());
  _exit(127);
}

std::string WhyNoNamespaces() {
  if (geteuid() != 0) return "needs root for network namespaces";
  try {
    Namespace probe;
  } catch (const std::exception& reason) {
    return reason.what();
  }
  return "";
}

void KeepMountsToOurselves() {
  Must(unshare(CLONE_NEWNS) == 0, "unshare");
  Must(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "making mounts private");
}

NetLab::NetLab(int queues) {
  const auto must = [](const Namespace& in, const std::string& command) {
    if (in.Run(command) != 0) throw std::runtime_error("failed: " + command);
  };
  const std::string a = std::to_string(appliance.pid());
  const std::string each = queues == 1 ? "" : " numtxqueues " + std::to_string(queues) + " numrxqueues " + std::to_string(queues);
  must(client, "ip link add c0 address 02:00:00:00:00:c0" + each + " type veth peer name a0" + each + " netns " + a);
  must(server, "ip link add s0 address 02:00:00:00:00:50" + each + " type veth peer name b0" + each + " netns " + a);
  for (const char* port : {"a0", "b0"}) {
    // The appliance itself says nothing on its ports.
    must(appliance, std::string("ip link set ") + port + " addrgenmode none arp off up");
  }
  for (const auto& [where, name, address] :
       {std::tuple{&client, "c0", "10.77.0.1/24"}, {&server, "s0", "10.77.0.2/24"}}) {
    must(*where, std::string("ip link set ") + name + " addrgenmode none up && ip address add " +
                     address + " dev " + name);
    // Unfinished checksums would leave the end host as they are; XDP redirect to a veth needs NAPI
    // at its far end.
    must(*where, std::string("ethtool -K ") + name + " tx off gro on >/dev/null");
  }
}

}  // namespace stillwatch::e2e
