#include "config/control.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <future>

#include <nlohmann/json.hpp>

#include "base/clock.h"

namespace stillwatch::config {

namespace {

using nlohmann::json;

constexpr size_t kCallersMax = 16;
constexpr size_t kRequestBytesMax = 64 << 10;
constexpr int64_t kRequestNs = 10 * kNsPerSecond;

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

struct ControlServer::Caller {
  uid_t uid;
  std::string in, out;
  int64_t deadline_ns;
  std::future<std::string> answer;  // valid while the handler is at it; its end waits for the handler
};

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
  return std::unique_ptr<ControlServer>(new ControlServer(
      socket_path, listener, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), std::move(handler)));
}

ControlServer::ControlServer(std::string path, int listener, int wake, Handler handler)
    : path_(std::move(path)), listener_(listener), wake_(wake), handler_(std::move(handler)),
      thread_([this] { Run(); }) {}

ControlServer::~ControlServer() {
  stop_.store(true, std::memory_order_relaxed);
  thread_.join();
  close(listener_);
  close(wake_);
  unlink(path_.c_str());
}

void ControlServer::Run() {
  std::map<int, Caller> callers;
  while (!stop_.load(std::memory_order_relaxed)) {
    std::vector<pollfd> polled{{listener_, callers.size() < kCallersMax ? short{POLLIN} : short{0}, 0},
                               {wake_, POLLIN, 0}};
    std::vector<int> fds;
    for (const auto& [fd, caller] : callers) {
      fds.push_back(fd);
      // While the handler is at it only wake_ counts: a caller that hung up would be reported over and over.
      polled.push_back({caller.answer.valid() ? -1 : fd, caller.out.empty() ? short{POLLIN} : short{POLLOUT}, 0});
    }
    poll(polled.data(), polled.size(), 50);
    uint64_t ready = 0;
    (void)!read(wake_, &ready, sizeof ready);
    if ((polled[0].revents & POLLIN) != 0) Accept(&callers);
    for (size_t i = 0; i < fds.size(); ++i) {
      if (Serve(fds[i], polled[i + 2].revents, &callers.at(fds[i]))) continue;
      close(fds[i]);
      callers.erase(fds[i]);
    }
  }
  for (const auto& [fd, caller] : callers) close(fd);
}

void ControlServer::Accept(std::map<int, Caller>* callers) const {
  const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == 0 || peer.uid == geteuid())) {
    callers->emplace(fd, Caller{peer.uid, "", "", SystemClock().MonotonicNs() + kRequestNs, {}});
  } else {
    close(fd);
  }
}

bool ControlServer::Serve(int fd, short events, Caller* caller) const {
  const SystemClock clock;
  if (caller->answer.valid()) {
    if (caller->answer.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return true;
    caller->out = caller->answer.get();
    caller->deadline_ns = clock.MonotonicNs() + kRequestNs;
  }
  if (!caller->out.empty()) {
    const ssize_t sent = send(fd, caller->out.data(), caller->out.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent > 0) caller->out.erase(0, static_cast<size_t>(sent));
    return !caller->out.empty() && clock.MonotonicNs() <= caller->deadline_ns;
  }
  if (clock.MonotonicNs() > caller->deadline_ns) return false;
  if ((events & (POLLIN | POLLHUP | POLLERR)) == 0) return true;
  char buffer[4096];
  const ssize_t got = read(fd, buffer, sizeof buffer);
  if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
  if (got > 0) caller->in.append(buffer, static_cast<size_t>(got));
  if (caller->in.size() > kRequestBytesMax) return false;
  const size_t end = caller->in.find('\n');
  if (end == std::string::npos) return true;
  caller->answer = std::async(std::launch::async, [this, line = caller->in.substr(0, end), uid = caller->uid] {
    std::string answer = AnswerLine(Answer(handler_, line, uid));
    const uint64_t one = 1;
    (void)!write(wake_, &one, sizeof one);
    return answer;
  });
  return true;
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
