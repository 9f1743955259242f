#include "config/control.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>

#include <nlohmann/json.hpp>

#include "base/clock.h"

namespace stillwatch::config {

namespace {

using nlohmann::json;

constexpr size_t kCallersMax = 16;
constexpr size_t kRequestBytesMax = 64 << 10;
constexpr int64_t kRequestNs = 10 * kNsPerSecond;

struct Caller {
  uid_t uid;
  std::string in, out;
  int64_t deadline_ns;
};

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return Error{"control.socket: '" + path + "' is no usable socket path (1 to 107 characters)"};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

std::string AnswerLine(const ControlAnswer& answer) {
  json line{{"exit", answer.exit}};
  if (answer.exit == kExitOk) {
    line["result"] = json::parse(answer.result_json.empty() ? "null" : answer.result_json, nullptr, false);
  } else {
    line["error"] = answer.error;
  }
  return line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

ControlAnswer Answer(const ControlServer::Handler& handler, const std::string& line, uid_t uid) {
  const json request = json::parse(line, nullptr, false);
  if (!request.is_object() || !request.contains("command") || !request["command"].is_string()) {
    return {kExitUsage, "a request is {\"command\": \"...\", \"args\": [...]}", ""};
  }
  ControlRequest call{request["command"], {}, uid};
  if (request.contains("args") && request["args"].is_array()) {
    for (const json& arg : request["args"]) {
      if (!arg.is_string()) return {kExitUsage, "args are strings", ""};
      call.args.push_back(arg);
    }
  }
  return handler(call);
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::Start(const std::string& socket_path,
                                                            Handler handler) {
  Result<sockaddr_un> address = AddressOf(socket_path);
  if (!address.ok()) return address.error();
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(socket_path).parent_path(), ignored);

  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool busy = connect(probe, reinterpret_cast<sockaddr*>(&address.value()), sizeof(sockaddr_un)) == 0;
  close(probe);
  if (busy) {
    return Error{"control.socket: " + socket_path +
                 " is in use by a running daemon; stop it or set another path"};
  }
  unlink(socket_path.c_str());  // left by a killed daemon

  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const mode_t mask = umask(0177);
  const int bound = bind(listener, reinterpret_cast<sockaddr*>(&address.value()), sizeof(sockaddr_un));
  umask(mask);
  if (bound != 0 || listen(listener, kCallersMax) != 0) {
    const std::string why = std::strerror(errno);
    close(listener);
    return Error{"control.socket: cannot listen on " + socket_path + ": " + why +
                 "; make its folder writable or set another path"};
  }
  return std::unique_ptr<ControlServer>(new ControlServer(socket_path, listener, std::move(handler)));
}

ControlServer::ControlServer(std::string path, int listener, Handler handler)
    : path_(std::move(path)), listener_(listener), handler_(std::move(handler)),
      thread_([this] { Run(); }) {}

ControlServer::~ControlServer() {
  stop_.store(true, std::memory_order_relaxed);
  thread_.join();
  close(listener_);
  unlink(path_.c_str());
}

void ControlServer::Run() {
  const SystemClock clock;
  std::map<int, Caller> callers;
  while (!stop_.load(std::memory_order_relaxed)) {
    std::vector<pollfd> polled{{listener_, callers.size() < kCallersMax ? short{POLLIN} : short{0}, 0}};
    for (const auto& [fd, caller] : callers) {
      polled.push_back({fd, static_cast<short>(caller.out.empty() ? POLLIN : POLLOUT), 0});
    }
    poll(polled.data(), polled.size(), 50);
    if ((polled[0].revents & POLLIN) != 0) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      ucred peer{};
      socklen_t size = sizeof peer;
      if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
          (peer.uid == 0 || peer.uid == geteuid())) {
        callers[fd] = {peer.uid, "", "", clock.MonotonicNs() + kRequestNs};
      } else if (fd >= 0) {
        close(fd);
      }
    }
    for (size_t i = 1; i < polled.size(); ++i) {
      const int fd = polled[i].fd;
      Caller& caller = callers[fd];
      bool done = clock.MonotonicNs() > caller.deadline_ns;
      if ((polled[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && caller.out.empty()) {
        char buffer[4096];
        const ssize_t got = read(fd, buffer, sizeof buffer);
        if (got <= 0 || caller.in.size() + static_cast<size_t>(got) > kRequestBytesMax) {
          done = got == 0 || errno != EAGAIN || caller.in.size() > kRequestBytesMax / 2;
        } else {
          caller.in.append(buffer, static_cast<size_t>(got));
        }
        const size_t end = caller.in.find('\n');
        if (!done && end != std::string::npos) {
          caller.out = AnswerLine(Answer(handler_, caller.in.substr(0, end), caller.uid));
          caller.in.erase(0, end + 1);
          caller.deadline_ns = clock.MonotonicNs() + kRequestNs;
        }
      }
      if (!done && !caller.out.empty()) {
        const ssize_t sent = send(fd, caller.out.data(), caller.out.size(), MSG_NOSIGNAL);
        if (sent > 0) caller.out.erase(0, static_cast<size_t>(sent));
        if (sent < 0 && errno != EAGAIN) done = true;
      }
      if (done) {
        close(fd);
        callers.erase(fd);
      }
    }
  }
  for (const auto& [fd, caller] : callers) close(fd);
}

Result<ControlAnswer> CallControl(const std::string& socket_path, const std::string& command,
                                  const std::vector<std::string>& args) {
  Result<sockaddr_un> address = AddressOf(socket_path);
  if (!address.ok()) return address.error();
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address.value()), sizeof(sockaddr_un)) != 0) {
    const std::string why = std::strerror(errno);
    close(fd);
    return Error{"no daemon answers on " + socket_path + " (" + why +
                 "); is `stillwatch run` running, and as this user? --socket PATH names another"};
  }
  const std::string line = json{{"command", command}, {"args", args}}.dump() + "\n";
  std::string answer;
  if (send(fd, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size())) {
    char buffer[65536];
    ssize_t got = 0;
    while (answer.find('\n') == std::string::npos && (got = read(fd, buffer, sizeof buffer)) > 0) {
      answer.append(buffer, static_cast<size_t>(got));
    }
  }
  close(fd);
  const json parsed = json::parse(answer, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("exit")) {
    return Error{"the daemon behind " + socket_path + " closed without an answer"};
  }
  ControlAnswer out;
  out.exit = parsed["exit"];
  if (parsed.contains("error")) out.error = parsed["error"];
  if (parsed.contains("result")) out.result_json = parsed["result"].dump();
  return out;
}

}  // namespace stillwatch::config
