#include "tcp_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace stillwatch::e2e {

namespace {

constexpr size_t kPiece = 64 << 10;
constexpr size_t kPacedPiece = 16 << 10;
constexpr size_t kPeriod = 65'521;  // prime: no alignment with pieces or segments

uint8_t PatternAt(uint64_t offset) {
  const uint64_t x = offset % kPeriod;
  return static_cast<uint8_t>((x * x) >> 7 ^ x);
}

sockaddr_in Server(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, "10.77.0.2", &address.sin_addr);
  return address;
}

}  // namespace

TcpLoad::TcpLoad(const NetLab& lab, int pause_ms, uint16_t port) : pause_ms_(pause_ms), port_(port) {
  int listener = -1;
  lab.server.Call([&] {
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = Server(port_);
    if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener, 1) != 0) {
      close(listener);
      listener = -1;
    }
  });
  if (listener < 0) throw std::runtime_error("no listening socket");
  server_ = std::thread([this, listener] { Serve(listener); });
  client_ = std::thread([this, &lab] { lab.client.Call([&] { Send(lab); }); });
}

TcpLoad::~TcpLoad() {
  stop_ = true;
  if (client_.joinable()) client_.join();
  if (server_.joinable()) server_.join();
}

void TcpLoad::Fail(const std::string& what) {
  if (failed_.exchange(true)) return;
  error_ = what + ": " + std::strerror(errno);
}

void TcpLoad::Send(const NetLab&) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{20, 0};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const sockaddr_in address = Server(port_);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    Fail("connect");
    close(fd);
    stop_ = true;
    return;
  }
  std::vector<uint8_t> piece(kPiece);
  uint64_t sent = 0;
  while (!stop_ && !failed_) {
    for (size_t i = 0; i < kPiece; ++i) piece[i] = PatternAt(sent + i);
    const ssize_t count = send(fd, piece.data(), pause_ms_ == 0 ? kPiece : kPacedPiece, MSG_NOSIGNAL);
    if (count <= 0) {
      Fail("send");
      break;
    }
    sent += static_cast<uint64_t>(count);
    sent_ = sent;
    if (pause_ms_ != 0) usleep(static_cast<useconds_t>(pause_ms_) * 1'000);
  }
  shutdown(fd, SHUT_WR);
  // The server answers with how much it got.
  uint64_t answer = 0;
  if (recv(fd, &answer, sizeof answer, MSG_WAITALL) != sizeof answer) Fail("recv of the answer");
  answered_ = answer;
  close(fd);
}

void TcpLoad::Serve(int listener) {
  const timeval patience{20, 0};
  setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  close(listener);
  if (fd < 0) return Fail("accept");
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::vector<uint8_t> piece(kPiece);
  uint64_t received = 0;
  for (;;) {
    const ssize_t count = recv(fd, piece.data(), piece.size(), 0);
    if (count < 0) {
      Fail("recv");
      break;
    }
    if (count == 0) break;
    for (ssize_t i = 0; i < count; ++i) {
      if (piece[static_cast<size_t>(i)] == PatternAt(received + static_cast<uint64_t>(i))) continue;
      errno = 0;
      Fail("wrong byte at " + std::to_string(received + static_cast<uint64_t>(i)));
      break;
    }
    received += static_cast<uint64_t>(count);
    received_ = received;
  }
  if (send(fd, &received, sizeof received, MSG_NOSIGNAL) != sizeof received)
    Fail("send of the answer");
  close(fd);
}

std::string TcpLoad::Finish() {
  stop_ = true;
  client_.join();
  server_.join();
  if (failed_) return error_;
  if (sent_ != received_ || answered_ != received_) {
    return "sent " + std::to_string(sent_) + ", received " + std::to_string(received_) +
           ", answered " + std::to_string(answered_);
  }
  return "";
}

uint64_t TcpResets(const Namespace& host) {
  std::vector<std::string> names, values;
  host.Call([&] {
    std::ifstream file("/proc/thread-self/net/snmp");
    for (std::string line; std::getline(file, line);) {
      if (!line.starts_with("Tcp:")) continue;
      std::istringstream words(line);
      std::vector<std::string>& row = names.empty() ? names : values;
      for (std::string word; words >> word;) row.push_back(word);
    }
  });
  uint64_t resets = 0;
  size_t found = 0;
  for (size_t i = 0; i < names.size() && i < values.size(); ++i) {
    if (names[i] != "OutRsts" && names[i] != "EstabResets") continue;
    resets += std::stoull(values[i]);
    ++found;
  }
  if (found != 2) throw std::runtime_error("no TCP counters");
  return resets;
}

}  // namespace stillwatch::e2e
