#include "held_thread.h"

#include <sys/ptrace.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace stillwatch::e2e {

namespace {

std::string Comm(const std::filesystem::path& path) {
  std::string name;
  std::getline(std::ifstream(path), name);
  return name;
}

}  // namespace

HeldThread::HeldThread(pid_t process, const std::string& name) {
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
    if (Comm(task.path() / "comm") == name) thread_ = std::stoi(task.path().filename());
  }
  if (thread_ < 0) throw std::runtime_error("no thread " + name);
  if (ptrace(PTRACE_SEIZE, thread_, nullptr, nullptr) != 0 || ptrace(PTRACE_INTERRUPT, thread_, nullptr, nullptr) != 0) {
    throw std::runtime_error("cannot hold thread " + name);
  }
  waitpid(thread_, nullptr, __WALL);
}

HeldThread::~HeldThread() { ptrace(PTRACE_DETACH, thread_, nullptr, nullptr); }

}  // namespace stillwatch::e2e
