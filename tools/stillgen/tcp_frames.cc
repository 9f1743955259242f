#include "tools/stillgen/tcp_frames.h"

#include <cstring>

#include "base/endian.h"
#include "base/mutant.h"

namespace stillwatch::stillgen {
namespace {

uint16_t Fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace

uint64_t OnesSum(const uint8_t* bytes, size_t size, uint64_t sum) {
  for (; size >= 4; bytes += 4, size -= 4) sum += LoadBe32(bytes);
  if (size >= 2) {
    sum += LoadBe16(bytes);
    bytes += 2;
    size -= 2;
  }
  if (size == 1) sum += static_cast<uint64_t>(*bytes) << 8;
  return sum;
}

TcpFrames::TcpFrames(const Address& client, uint16_t client_port, const Address& server, uint16_t server_port,
                     Rng& rng)
    : ends_{{client, client_port, {2, 0, 0, 0, 0x0b, 2}, 0, 0}, {server, server_port, {2, 0, 0, 0, 0x0a, 1}, 0, 64}},
      ip_id_(static_cast<uint16_t>(rng.Next())) {
  for (End& end : ends_) end.sequence = static_cast<uint32_t>(rng.Next());
  ends_[0].hops = static_cast<uint8_t>(rng.Range(44, 60));
}

void TcpFrames::Append(int side, uint8_t flags, std::string_view payload, std::string* out) {
  End& from = ends_[side];
  const End& to = ends_[1 - side];
  const bool v6 = from.address.v6;
  const size_t options = flags & kSyn ? 12 : 0;
  const size_t tcp_size = 20 + options + payload.size(), ip_size = v6 ? 40 : 20, address = v6 ? 16 : 4;
  const size_t begin = out->size();
  out->resize(begin + 14 + ip_size + tcp_size);
  uint8_t* p = reinterpret_cast<uint8_t*>(out->data()) + begin;
  std::memcpy(p, to.mac, 6);
  std::memcpy(p + 6, from.mac, 6);
  StoreBe16(p + 12, v6 ? 0x86dd : 0x0800);
  uint8_t* ip = p + 14;
  uint8_t* tcp = ip + ip_size;
  if (v6) {
    StoreBe32(ip, 0x60000000);
    StoreBe16(ip + 4, static_cast<uint16_t>(tcp_size));
    ip[6] = 6;
    ip[7] = from.hops;
  } else {
    StoreBe16(ip, 0x4500);
    StoreBe16(ip + 2, static_cast<uint16_t>(ip_size + tcp_size));
    StoreBe16(ip + 4, ++ip_id_);
    StoreBe16(ip + 6, 0x4000);
    ip[8] = from.hops;
    ip[9] = 6;
    StoreBe16(ip + 10, 0);
  }
  std::memcpy(ip + (v6 ? 8 : 12), from.address.bytes, address);
  std::memcpy(ip + (v6 ? 24 : 16), to.address.bytes, address);
  if (!v6) StoreBe16(ip + 10, Fold(OnesSum(ip, 20, 0)));
  StoreBe16(tcp, from.port);
  StoreBe16(tcp + 2, to.port);
  StoreBe32(tcp + 4, from.sequence);
  StoreBe32(tcp + 8, flags & kAck ? to.sequence : 0);
  tcp[12] = static_cast<uint8_t>((20 + options) / 4 << 4);
  tcp[13] = flags;
  StoreBe16(tcp + 14, flags & kSyn ? 65535 : 502);
  StoreBe32(tcp + 16, 0);
  if (options != 0) {
    const uint8_t list[12] = {2, 4, 0, 0, 4, 2, 1, 3, 3, 7, 0, 0};
    std::memcpy(tcp + 20, list, 12);
    StoreBe16(tcp + 22, static_cast<uint16_t>(mss()));
  }
  if (!payload.empty()) std::memcpy(tcp + 20 + options, payload.data(), payload.size());
  const uint64_t pseudo = MutantIs("stillgen.no_pseudo_header") ? 0 : OnesSum(ip + (v6 ? 8 : 12), 2 * address, 6 + tcp_size);
  StoreBe16(tcp + 16, Fold(OnesSum(tcp, tcp_size, pseudo)));
  from.sequence += static_cast<uint32_t>(payload.size()) + (flags & (kSyn | kFin) ? 1 : 0);
}

}  // namespace stillwatch::stillgen
