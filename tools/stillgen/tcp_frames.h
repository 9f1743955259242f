// Ethernet, IPv4 or IPv6 and TCP frames of one connection, with correct lengths, numbers and checksums
// (RFC 791, 8200, 9293). Sides: 0 client, 1 server. Appends to a byte buffer; allocates nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tools/stillgen/world.h"

namespace stillwatch::stillgen {

enum TcpFlag : uint8_t { kFin = 1, kSyn = 2, kPsh = 8, kAck = 16 };

class TcpFrames {
 public:
  TcpFrames(const Address& client, uint16_t client_port, const Address& server, uint16_t server_port, Rng& rng);

  // Appends one frame; sequence numbers move on by the payload, SYN and FIN. SYNs carry MSS, window
  // scale and SACK-permitted.
  void Append(int side, uint8_t flags, std::string_view payload, std::string* out);

  static constexpr size_t kMss4 = 1460, kMss6 = 1440;
  size_t mss() const { return ends_[0].address.v6 ? kMss6 : kMss4; }

 private:
  struct End {
    Address address;
    uint16_t port;
    uint8_t mac[6];
    uint32_t sequence;
    uint8_t hops;
  };
  End ends_[2];
  uint16_t ip_id_;
};

// One's complement sum of `bytes`, not yet folded (RFC 1071).
uint64_t OnesSum(const uint8_t* bytes, size_t size, uint64_t sum);

}  // namespace stillwatch::stillgen
