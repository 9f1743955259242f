// Runs a program of the build and keeps what it printed. For tests of whole commands.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace stillwatch::testing {

inline std::string BinPath(const std::string& name) {
  return std::string(STILLWATCH_BINARY_DIR) + "/bin/" + name;
}

inline std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// A folder of this test that is gone when the test ends.
class TempFolder {
 public:
  TempFolder() {
    char name[] = "/tmp/stillwatch-test-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A running program; killed when the object goes.
class Program {
 public:
  Program(const std::string& out_path, const std::vector<std::string>& command) {
    pid_ = fork();
    if (pid_ == 0) {
      const int out = open(out_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
      dup2(out, 1);
      dup2(out, 2);
      std::vector<char*> args;
      for (const std::string& word : command) args.push_back(const_cast<char*>(word.c_str()));
      args.push_back(nullptr);
      execvp(args[0], args.data());
      _exit(127);
    }
  }
  ~Program() {
    if (pid_ <= 0) return;
    Kill(SIGKILL);
    Wait();
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void Kill(int signal) const { kill(pid_, signal); }
  // Exit status, or 128 + signal.
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  bool Running() {
    int status = 0;
    return pid_ > 0 && waitpid(pid_, &status, WNOHANG) == 0;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

struct Ran {
  int exit;
  std::string output;  // stdout and stderr
};

inline Ran RunProgram(const std::vector<std::string>& command) {
  char name[] = "/tmp/stillwatch-run-XXXXXX";
  close(mkstemp(name));
  Program program(name, command);
  Ran ran{program.Wait(), ReadAll(name)};
  unlink(name);
  return ran;
}

// Waits until `condition` holds; false when `deadline` has passed.
inline bool WaitFor(const std::function<bool()>& condition,
                    std::chrono::milliseconds deadline = std::chrono::seconds(30)) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace stillwatch::testing
