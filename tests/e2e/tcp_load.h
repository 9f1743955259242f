// One TCP connection from the client to the server that carries a known pattern, as fast as it goes or paced,
// checked byte by byte at the other end, and a trickle back.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "net_lab.h"

namespace stillwatch::e2e {

class TcpLoad {
 public:
  // `pause_ms` between pieces of 16 KiB; 0: as fast as it goes.
  explicit TcpLoad(const NetLab& lab, int pause_ms = 0, uint16_t port = 8080);
  ~TcpLoad();

  uint64_t received() const { return received_.load(); }
  // Ends the connection in an orderly way and waits for both ends. Empty: everything that was sent
  // arrived as it was sent. Else what went wrong.
  std::string Finish();

 private:
  void Serve(int listener);
  void Send(const NetLab& lab);
  void Fail(const std::string& what);

  const int pause_ms_;
  const uint16_t port_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> sent_{0}, received_{0}, answered_{0};
  std::string error_;
  std::atomic<bool> failed_{false};
  std::thread server_, client_;
};

// Resets that the TCP of this host has sent and connections that were reset, since it was made.
uint64_t TcpResets(const Namespace& host);

}  // namespace stillwatch::e2e
