// Numbered frames sent by a raw socket at a steady rate, and what became of them at the other end:
// lost, late, double. Counted outside the process that is tested.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "net_lab.h"

namespace stillwatch::e2e {

// Ethernet frame with an IPv4 TCP segment to a host that is not there, so that nobody answers.
// `vlan` 0: untagged.
std::string TcpFrame(uint16_t port, const std::string& payload, uint16_t vlan = 0);

// A raw socket on `interface` of the namespace, without the host's stack.
class RawSocket {
 public:
  RawSocket(const Namespace& in, const std::string& interface);
  ~RawSocket();
  bool Send(const std::string& frame);
  // A frame that came in by the interface (with its VLAN tag back in place), or empty after
  // `timeout_ms`. When it came by the kernel's stamp: *unix_ns.
  std::string Receive(int timeout_ms, int64_t* unix_ns = nullptr);

 private:
  int fd_ = -1;
};

struct ProbeResult {
  uint64_t sent = 0, received = 0, lost = 0, reordered = 0, doubled = 0;
  double rate = 0;         // frames a second, as sent
  double latest_ms = 0;    // of the frames that arrived, the longest on its way (sending host's clock to the
                           // receiving kernel's stamp)
};

class Probe {
 public:
  static constexpr uint16_t kPort = 7;

  enum class Way { kToServer, kToClient };
  // Of the segments: each like the first, or each behind the one before, as the bytes of a connection.
  enum class Sequence { kStands, kAdvances };

  // Sends from c0 of the client to s0 of the server, or back, until Finish: so many frames in each round.
  Probe(const NetLab& lab, int frames_a_round, Way way = Way::kToServer, Sequence sequence = Sequence::kStands, int round_ms = 1);
  ~Probe();
  uint64_t sent() const { return sent_.load(); }
  uint64_t received() const { return received_.load(); }
  // Stops sending, waits for what is on its way.
  ProbeResult Finish();

 private:
  void Send(int frames_a_round, Sequence sequence, int round_ms);
  void Receive();

  RawSocket out_, in_;
  std::atomic<bool> stop_{false}, stop_receiving_{false};
  std::atomic<uint64_t> sent_{0}, received_{0};
  int64_t begin_ns_ = 0, end_ns_ = 0;
  std::vector<uint64_t> arrivals_;
  int64_t latest_ns_ = 0;
  std::thread sender_, receiver_;
};

}  // namespace stillwatch::e2e
