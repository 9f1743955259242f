// The control socket: one JSON object a line each way over a unix stream socket, mode 0600. A caller must
// be root or the daemon's own user (SO_PEERCRED). Bounds: 16 callers, 64 KiB a request, 10 s to send one and to
// take its answer; a caller that exceeds them is closed. One request a connection. Request {"command": "...", "args": [...]}; answer
// {"exit": N, "error": "..."} or {"exit": 0, "result": ...}.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace stillwatch::config {

// Exit codes of stillctl, also carried in answers.
inline constexpr int kExitOk = 0;
inline constexpr int kExitRefused = 1;         // the daemon said no; the reason is printed
inline constexpr int kExitBadFile = 2;         // a configuration file is wrong
inline constexpr int kExitUsage = 64;
inline constexpr int kExitUnreachable = 69;    // no daemon behind the socket
inline constexpr int kExitBusy = 75;           // another reload is running; try again

struct ControlRequest {
  std::string command;
  std::vector<std::string> args;
  uid_t peer_uid = 0;
};

struct ControlAnswer {
  int exit = kExitOk;
  std::string error;        // when exit != 0
  std::string result_json;  // one JSON value, when exit == 0
};

class ControlServer {
 public:
  using Handler = std::function<ControlAnswer(const ControlRequest&)>;

  // Binds and starts its thread. `handler` may take seconds; it runs on a thread for each request, so that a
  // slow one (a reload) does not hold up the others: it must allow calls from several threads at one time.
  static Result<std::unique_ptr<ControlServer>> Start(const std::string& socket_path,
                                                      Handler handler);
  ~ControlServer();

 private:
  struct Caller;
  ControlServer(std::string path, int listener, int wake, Handler handler);
  void Run();
  void Accept(std::map<int, Caller>* callers) const;
  // Goes on with one caller; false when it is done with.
  bool Serve(int fd, short events, Caller* caller) const;

  const std::string path_;
  const int listener_, wake_;  // wake_: an answer is ready
  const Handler handler_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// The client's side: one request, one answer. Error when nobody answers (exit 69).
Result<ControlAnswer> CallControl(const std::string& socket_path, const std::string& command,
                                  const std::vector<std::string>& args);

}  // namespace stillwatch::config
