// The few socket calls that the live ends need, IPv4, non-blocking.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace stillwatch::stillgen {

// Owns a file descriptor.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd() { Reset(); }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void Reset();
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

// "10.0.0.1:8080".
Result<sockaddr_in> ParseEndpoint(const std::string& text);

Result<Fd> Listen(const sockaddr_in& at);

// Starts a connection; `source` 0: any (host order otherwise, bound even where no interface has it yet).
// Invalid on failure, errno set.
Fd StartConnect(const sockaddr_in& to, uint32_t source);

// An interest in SIGINT and SIGTERM that epoll can wait for.
Fd StopSignals();

// As many descriptors as the system lets us have.
void RaiseDescriptorLimit();

// "10.77.0.0/16" -> first address (host order) and count; count is at least 4.
struct Prefix {
  uint32_t first = 0;
  uint32_t count = 0;
};
Result<Prefix> ParsePrefix(const std::string& text);

}  // namespace stillwatch::stillgen
