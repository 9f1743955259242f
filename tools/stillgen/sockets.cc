#include "tools/stillgen/sockets.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace stillwatch::stillgen {

Fd& Fd::operator=(Fd&& other) noexcept {
  Reset();
  fd_ = other.Release();
  return *this;
}

void Fd::Reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

Result<sockaddr_in> ParseEndpoint(const std::string& text) {
  const size_t colon = text.rfind(':');
  sockaddr_in at{};
  at.sin_family = AF_INET;
  int port = 0;
  if (colon != std::string::npos) std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  if (colon == std::string::npos || port < 0 || port > 65535 ||
      inet_pton(AF_INET, text.substr(0, colon).c_str(), &at.sin_addr) != 1) {
    return Error{"'" + text + "' is not IPV4:PORT"};
  }
  at.sin_port = htons(static_cast<uint16_t>(port));
  return at;
}

Result<Fd> Listen(const sockaddr_in& at) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (fd.open()) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!fd.open() || bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 || listen(fd.get(), 4096) != 0) {
    return Error{std::string("cannot listen: ") + std::strerror(errno)};
  }
  return fd;
}

Fd StartConnect(const sockaddr_in& to, uint32_t source) {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.open()) return fd;
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (source != 0) {
    setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    sockaddr_in from{};
    from.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(source);
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) return Fd();
  }
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS) return Fd();
  return fd;
}

Fd StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return Fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

Result<Prefix> ParsePrefix(const std::string& text) {
  const size_t slash = text.find('/');
  in_addr address{};
  int bits = 0;
  if (slash != std::string::npos) std::from_chars(text.data() + slash + 1, text.data() + text.size(), bits);
  if (bits < 8 || bits > 30 || inet_pton(AF_INET, text.substr(0, slash).c_str(), &address) != 1) {
    return Error{"--source-prefix is '" + text + "'; give A.B.C.D/N with N from 8 to 30"};
  }
  const uint32_t count = 1u << (32 - bits);
  return Prefix{ntohl(address.s_addr) & ~(count - 1), count};
}

}  // namespace stillwatch::stillgen
