// A stand-in model API server: answers the four dialects over HTTP/1.1 keep-alive, whole or streamed,
// with the responder that captures use. One thread, epoll; no TLS.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "tools/stillgen/responder.h"
#include "tools/stillgen/sockets.h"

namespace stillwatch::stillgen {

// What this end has seen.
struct ServeCounts {
  uint64_t connections = 0, requests = 0, responses = 0, rate_limited = 0;
  uint64_t bytes_in = 0, bytes_out = 0;
  uint64_t bad_requests = 0;   // answered 400 or 404, or not HTTP
  uint64_t broken = 0;         // connections that ended while a request was under way
};

class Server {
 public:
  Server(const Responder* responder, Fd listener);
  ~Server();
  // Serves until `stop` becomes readable or `for_ms` have passed (negative: no limit).
  void Run(int stop, int64_t for_ms);
  const ServeCounts& counts() const;
  uint16_t port() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stillwatch::stillgen
