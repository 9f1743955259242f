#include "dataplane/packet/flow_hash.h"

#include <cstring>
#include <utility>

#include "base/endian.h"

namespace stillwatch::dataplane {

FlowKey FlowKeyOf(const Packet& packet, bool* from_low) {
  const int order = std::memcmp(packet.src.bytes, packet.dst.bytes, 16);
  *from_low = order < 0 || (order == 0 && packet.src_port <= packet.dst_port);
  FlowKey key;
  std::memcpy(key.low, *from_low ? packet.src.bytes : packet.dst.bytes, 16);
  std::memcpy(key.high, *from_low ? packet.dst.bytes : packet.src.bytes, 16);
  key.low_port = *from_low ? packet.src_port : packet.dst_port;
  key.high_port = *from_low ? packet.dst_port : packet.src_port;
  return key;
}

uint64_t FlowIdOf(const FlowKey& key, int64_t first_ns, uint64_t first_packet, Salt salt) {
  uint8_t identity[sizeof(FlowKey) + 16];
  std::memcpy(identity, &key, sizeof key);
  StoreLe(identity + sizeof key, first_ns);
  StoreLe(identity + sizeof key + 8, first_packet);
  return KeyedHash64(Bytes(identity, sizeof identity), salt);
}

FlowEnds EndsOf(const FlowKey& key, uint8_t address_length, uint8_t protocol) {
  FlowEnds ends;
  for (const auto& [to, from] : {std::pair(ends.source, key.low), {ends.destination, key.high}}) {
    if (address_length == 4) to[10] = to[11] = 0xff;
    std::memcpy(to + 16 - address_length, from, address_length);
  }
  ends.source_port = key.low_port;
  ends.destination_port = key.high_port;
  ends.protocol = protocol;
  return ends;
}

uint64_t HashOf(const FlowKey& key, Salt salt) {
  return KeyedHash64(Bytes(key.low, sizeof key), salt);
}

uint64_t FlowHash(Bytes frame, Salt salt, bool* fragment) {
  Packet packet;
  // How long the packet was on the wire is not known here: a capture that cut it must hash like the whole packet.
  const DecodeStatus status = DecodeFrame(frame, static_cast<uint32_t>(frame.size()) + 65'535,
                                          {.ignore_checksums = true}, &packet);
  if (fragment != nullptr) *fragment = status == DecodeStatus::kFragment;
  if (status != DecodeStatus::kTcp && status != DecodeStatus::kUdp) packet.src_port = packet.dst_port = 0;
  if (packet.src.length == 0) return 0;
  bool from_low;
  return HashOf(FlowKeyOf(packet, &from_low), salt);
}

}  // namespace stillwatch::dataplane
