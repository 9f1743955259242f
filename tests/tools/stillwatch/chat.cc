#include "tests/tools/stillwatch/chat.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <stdexcept>

namespace stillwatch::e2e {

namespace {

constexpr uint16_t kPort = 8080;

sockaddr_in ServerAddress() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  inet_pton(AF_INET, "10.77.0.2", &address.sin_addr);
  return address;
}

// Length of the first whole message of `bytes`, 0 when there is none yet.
size_t WholeMessage(const std::string& bytes) {
  const size_t head = bytes.find("\r\n\r\n");
  const size_t length = bytes.find("Content-Length: ");
  if (head == std::string::npos || length > head) return 0;
  const size_t end = head + 4 + std::stoul(bytes.substr(length + 16));
  return bytes.size() >= end ? end : 0;
}

std::string Completion(uint64_t number) {
  const std::string body = R"({"id":"chatcmpl-)" + std::to_string(number) +
                           R"(","object":"chat.completion","created":1767225600,"model":"demo-1","choices":[{"index":0,)"
                           R"("message":{"role":"assistant","content":"A short answer."},"finish_reason":"stop"}],)"
                           R"("usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}})";
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

bool SendAll(int fd, const std::string& bytes) {
  return send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

}  // namespace

ChatServer::ChatServer(const NetLab& lab) {
  lab.server.Call([&] {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = ServerAddress();
    if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(listener_, 64) != 0) {
      close(listener_);
      listener_ = -1;
    }
  });
  if (listener_ < 0) throw std::runtime_error("no listening socket");
  thread_ = std::thread([this] { Serve(); });
}

ChatServer::~ChatServer() {
  stop_ = true;
  thread_.join();
  close(listener_);
}

void ChatServer::Serve() {
  std::map<int, std::string> callers;
  uint64_t answers = 0;
  while (!stop_) {
    std::vector<pollfd> polled{{listener_, POLLIN, 0}};
    for (const auto& [fd, bytes] : callers) polled.push_back({fd, POLLIN, 0});
    poll(polled.data(), polled.size(), 20);
    for (const pollfd& ready : polled) {
      if (ready.revents == 0) continue;
      if (ready.fd == listener_) {
        const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) callers[fd];
        continue;
      }
      char data[16384];
      const ssize_t count = recv(ready.fd, data, sizeof data, MSG_DONTWAIT);
      std::string& bytes = callers[ready.fd];
      if (count > 0) bytes.append(data, static_cast<size_t>(count));
      while (const size_t end = WholeMessage(bytes)) {
        if (bytes.find("no answer") > end) SendAll(ready.fd, Completion(++answers));
        bytes.erase(0, end);
      }
      if (count != 0) continue;
      close(ready.fd);
      callers.erase(ready.fd);
    }
  }
  for (const auto& [fd, bytes] : callers) close(fd);
}

ChatClient::ChatClient(const NetLab& lab, std::string api_key) : api_key_(std::move(api_key)) {
  bool connected = false;
  lab.client.Call([&] {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const sockaddr_in address = ServerAddress();
    connected = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  });
  if (!connected) throw std::runtime_error("cannot connect through the daemon");
}

ChatClient::~ChatClient() { close(fd_); }

void ChatClient::Send(const std::string& text) {
  const std::string body = R"({"model":"demo-1","messages":[{"role":"user","content":")" + text + R"("}]})";
  const std::string request = "POST /v1/chat/completions HTTP/1.1\r\nHost: api.example\r\nAuthorization: Bearer " + api_key_ +
                              "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  if (!SendAll(fd_, request)) throw std::runtime_error("the connection broke at a request");
}

void ChatClient::Receive() {
  std::string bytes;
  while (WholeMessage(bytes) == 0) {
    char data[4096];
    const ssize_t count = recv(fd_, data, sizeof data, 0);
    if (count <= 0) throw std::runtime_error("the connection broke at an answer");
    bytes.append(data, static_cast<size_t>(count));
  }
}

}  // namespace stillwatch::e2e
