#include "forwarder_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace stillwatch::e2e {

ForwarderProcess::~ForwarderProcess() {
  if (pid_ > 0) Kill();
  if (output_ >= 0) close(output_);
}

bool ForwarderProcess::Start(std::vector<std::string> arguments) {
  if (output_ >= 0) close(output_);
  pending_.clear();
  counters_.clear();
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return false;
  arguments.insert(arguments.begin(), STILLWATCH_BINARY_DIR "/bin/inline_forwarder");
  pid_ = lab_.appliance.Spawn(arguments, pipe_fds[1]);
  close(pipe_fds[1]);
  output_ = pipe_fds[0];
  line_ = ReadLine();
  return line_.starts_with("ready");
}

std::string ForwarderProcess::ReadLine() {
  for (;;) {
    const size_t end = pending_.find('\n');
    if (end != std::string::npos) {
      const std::string line = pending_.substr(0, end);
      pending_.erase(0, end + 1);
      return line;
    }
    pollfd wait{output_, POLLIN, 0};
    char data[4096];
    if (poll(&wait, 1, 30'000) != 1) return "";
    const ssize_t count = read(output_, data, sizeof data);
    if (count <= 0) return "";
    pending_.append(data, static_cast<size_t>(count));
  }
}

void ForwarderProcess::Kill() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void ForwarderProcess::Signal(int number) { kill(pid_, number); }

int ForwarderProcess::Stop() {
  kill(pid_, SIGTERM);
  for (std::string line = ReadLine(); !line.empty(); line = ReadLine()) {
    const size_t space = line.find(' ');
    if (space != std::string::npos)
      counters_[line.substr(0, space)] = std::stoull(line.substr(space + 1));
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

uint64_t ForwarderProcess::Counter(const std::string& name) const {
  const auto at = counters_.find(name);
  return at == counters_.end() ? ~0ull : at->second;
}

}  // namespace stillwatch::e2e
