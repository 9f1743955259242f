#include "dataplane/packet/fragment_joiner.h"

#include <algorithm>
#include <bitset>
#include <cstring>

#include "base/endian.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "dataplane/packet/checksum.h"

namespace stillwatch::dataplane {

namespace {

constexpr uint32_t kPayloadMax = 65'535;
constexpr uint32_t kBlock = 8;  // fragments start and, but for the last, end on these
constexpr uint32_t kEthernetHeader = 14;
constexpr uint32_t kIpHeaderMax = 242;
constexpr uint32_t kHeadroom = kEthernetHeader + kIpHeaderMax;

// TCP, or what may carry it: IP in IP, UDP (tunnels), GRE, IPv6's authentication header and destination options. Of IPv6
// the first fragment alone says it (RFC 8200, 4.5).
bool MayCarryTcp(const Packet& packet) {
  if (packet.src.length == 16 && packet.fragment_offset != 0 && !MutantIs("fragment.each_says_what_follows")) return true;
  const uint8_t protocol = packet.protocol;
  return protocol == 6 || protocol == 4 || protocol == 17 || protocol == 41 || protocol == 47 || protocol == 51 || protocol == 60;
}

// What tells datagrams of one identification apart: the protocol in IPv4 (RFC 791, 2.3), nothing in IPv6 (RFC 8200, 4.5).
uint8_t KindOf(const Packet& packet) { return packet.src.length == 4 ? packet.protocol : 0; }

uint64_t HashOf(const Packet& packet) {
  uint8_t key[38];
  std::memcpy(key, packet.src.bytes, 16);
  std::memcpy(key + 16, packet.dst.bytes, 16);
  StoreLe(key + 32, packet.fragment_id);
  key[36] = packet.src.length;
  key[37] = KindOf(packet);
  return KeyedHash64(Bytes(key, sizeof key), Salt{});
}

}  // namespace

struct FragmentJoiner::Datagram {
  enum class State : uint8_t { kFree, kOpen, kSpoiled, kLent };
  State state = State::kFree;
  uint64_t hash = 0;
  Address src, dst;
  uint32_t id = 0;
  uint8_t kind = 0;
  int64_t first_ns = 0;
  uint32_t header_bytes = 0;   // 0: the first fragment has not come
  uint32_t payload_bytes = 0;  // in all; 0: the last fragment has not come
  uint32_t bytes_have = 0, bytes_end = 0;
  std::bitset<kPayloadMax / kBlock + 1> blocks;
  uint8_t header[kIpHeaderMax];
  std::unique_ptr<uint8_t[]> memory;  // kHeadroom, then the payload
};

FragmentJoiner::FragmentJoiner(const Options& options)
    : options_(options), datagrams_(std::make_unique<Datagram[]>(options.datagrams_max)) {
  for (uint32_t i = 0; i < options.datagrams_max; ++i) {
    datagrams_[i].memory = std::make_unique_for_overwrite<uint8_t[]>(kHeadroom + kPayloadMax);
  }
}
FragmentJoiner::~FragmentJoiner() = default;

FragmentJoiner::Datagram* FragmentJoiner::Find(const Packet& packet, uint64_t hash) {
  using State = Datagram::State;
  for (uint32_t i = 0; i < options_.datagrams_max; ++i) {
    Datagram& datagram = datagrams_[i];
    if ((datagram.state == State::kOpen || datagram.state == State::kSpoiled) && datagram.hash == hash &&
        datagram.id == packet.fragment_id && datagram.kind == KindOf(packet) && datagram.src == packet.src && datagram.dst == packet.dst) {
      return &datagram;
    }
  }
  return nullptr;
}

FragmentJoiner::Datagram* FragmentJoiner::Open(const Packet& packet, uint64_t hash, int64_t now_ns) {
  using State = Datagram::State;
  Datagram* place = nullptr;
  for (uint32_t i = 0; i < options_.datagrams_max; ++i) {
    Datagram& datagram = datagrams_[i];
    if (datagram.state == State::kLent) continue;
    if (datagram.state != State::kFree && now_ns - datagram.first_ns >= options_.timeout_ns) {
      if (datagram.state == State::kOpen) counters_.Add(FragmentCounter::kTimedOut);
      datagram.state = State::kFree;
    }
    if (datagram.state == State::kFree) {
      place = &datagram;
      break;
    }
    if (place == nullptr || datagram.first_ns < place->first_ns) place = &datagram;
  }
  if (place == nullptr) {  // all lent
    counters_.Add(FragmentCounter::kTableFull);
    return nullptr;
  }
  if (place->state != State::kFree) counters_.Add(FragmentCounter::kTableFull);
  place->state = State::kOpen;
  place->hash = hash;
  place->src = packet.src;
  place->dst = packet.dst;
  place->id = packet.fragment_id;
  place->kind = KindOf(packet);
  place->first_ns = now_ns;
  place->header_bytes = place->payload_bytes = place->bytes_have = place->bytes_end = 0;
  place->blocks.reset();
  return place;
}

void FragmentJoiner::Spoil(Datagram* datagram, FragmentCounter why) {
  counters_.Add(why);
  counters_.Add(FragmentCounter::kRefused);
  datagram->state = Datagram::State::kSpoiled;
}

// The IP header as it would be without fragmentation.
void FragmentJoiner::KeepHeader(Datagram* datagram, const Packet& packet) {
  datagram->header_bytes = packet.unfragmentable;
  std::memcpy(datagram->header, packet.ip_packet.data(), packet.unfragmentable);
  if (packet.src.length == 16) datagram->header[packet.next_header_at] = packet.protocol;
}

// False when the datagram was spoiled.
bool FragmentJoiner::Place(Datagram* datagram, const Packet& packet) {
  const uint32_t begin = packet.fragment_offset;
  const uint32_t size = static_cast<uint32_t>(packet.payload.size());
  const uint32_t end = begin + size;
  const bool last = !packet.more_fragments;
  if (size == 0 || end > kPayloadMax || (!last && size % kBlock != 0) || packet.unfragmentable > kIpHeaderMax ||
      (last && (datagram->bytes_end > end || (datagram->payload_bytes != 0 && datagram->payload_bytes != end))) ||
      (!last && datagram->payload_bytes != 0 && end > datagram->payload_bytes)) {
    Spoil(datagram, FragmentCounter::kMalformed);
    return false;
  }
  uint8_t* const to = datagram->memory.get() + kHeadroom + begin;
  const uint32_t block_begin = begin / kBlock, block_end = (end + kBlock - 1) / kBlock;
  uint32_t have = 0;
  for (uint32_t block = block_begin; block < block_end; ++block) have += datagram->blocks[block];
  if (have != 0 && !MutantIs("fragment.overlap_taken")) {
    const bool repeat = have == block_end - block_begin && end <= datagram->bytes_end &&
                        std::memcmp(to, packet.payload.data(), size) == 0;
    if (!repeat) Spoil(datagram, FragmentCounter::kOverlapped);
    return repeat;
  }
  std::memcpy(to, packet.payload.data(), size);
  for (uint32_t block = block_begin; block < block_end; ++block) datagram->blocks.set(block);
  datagram->bytes_have += size;
  datagram->bytes_end = std::max(datagram->bytes_end, end);
  if (last) datagram->payload_bytes = end;
  if (begin == 0) KeepHeader(datagram, packet);
  return true;
}

Frame FragmentJoiner::Finish(Datagram* datagram, const Frame& frame) {
  const uint32_t header_bytes = datagram->header_bytes;
  uint8_t* const ip = datagram->memory.get() + kHeadroom - header_bytes;
  uint8_t* const ethernet = ip - kEthernetHeader;
  std::memset(ethernet, 0, 12);
  std::memcpy(ip, datagram->header, header_bytes);
  if (datagram->src.length == 4) {
    StoreBe16(ethernet + 12, 0x0800);
    StoreBe16(ip + 2, static_cast<uint16_t>(header_bytes + datagram->payload_bytes));
    StoreBe16(ip + 6, 0);
    StoreBe16(ip + 10, 0);
    StoreLe(ip + 10, FoldSum(InternetSum(Bytes(ip, header_bytes))));
  } else {
    StoreBe16(ethernet + 12, 0x86dd);
    StoreBe16(ip + 4, static_cast<uint16_t>(header_bytes - 40 + datagram->payload_bytes));
  }
  datagram->state = Datagram::State::kLent;
  counters_.Add(FragmentCounter::kJoined);
  Frame joined = frame;
  joined.bytes = Bytes(ethernet, kEthernetHeader + header_bytes + datagram->payload_bytes);
  joined.wire_length = static_cast<uint32_t>(joined.bytes.size());
  joined.handle = static_cast<uint64_t>(datagram - datagrams_.get());
  return joined;
}

bool FragmentJoiner::Add(const Frame& frame, const Packet& packet, Frame* joined) {
  if (!MayCarryTcp(packet)) {
    counters_.Add(FragmentCounter::kOther);
    return false;
  }
  counters_.Add(FragmentCounter::kFragments);
  const uint64_t hash = HashOf(packet);
  Datagram* datagram = Find(packet, hash);
  if (datagram != nullptr && frame.time_ns - datagram->first_ns >= options_.timeout_ns) {
    if (datagram->state == Datagram::State::kOpen) counters_.Add(FragmentCounter::kTimedOut);
    datagram->state = Datagram::State::kFree;
    datagram = nullptr;
  }
  const bool cut = packet.payload.size() != packet.payload_wire;
  if (cut || (datagram != nullptr && datagram->state == Datagram::State::kSpoiled)) {
    counters_.Add(FragmentCounter::kRefused);
    return false;
  }
  if (datagram == nullptr) datagram = Open(packet, hash, frame.time_ns);
  if (datagram == nullptr || !Place(datagram, packet)) return false;
  if (datagram->payload_bytes == 0 || datagram->bytes_have != datagram->payload_bytes) return false;
  if (datagram->header_bytes + datagram->payload_bytes > kPayloadMax) {
    Spoil(datagram, FragmentCounter::kMalformed);
    return false;
  }
  *joined = Finish(datagram, frame);
  return true;
}

bool FragmentJoiner::Offer(const Frame& frame, Frame* joined, bool* complete) {
  Packet packet;
  *complete = false;
  if (DecodeFrame(frame.bytes, frame.wire_length, {.ignore_checksums = true}, &packet) != DecodeStatus::kFragment) {
    return false;
  }
  *complete = Add(frame, packet, joined);
  return true;
}

void FragmentJoiner::Release(const Frame& joined) {
  datagrams_[joined.handle].state = Datagram::State::kFree;
}

bool FragmentJoiner::Owns(const Frame& frame) const {
  for (uint32_t i = 0; i < options_.datagrams_max; ++i) {
    const uint8_t* const memory = datagrams_[i].memory.get();
    if (frame.bytes.data() >= memory && frame.bytes.data() < memory + kHeadroom + kPayloadMax) return true;
  }
  return false;
}

}  // namespace stillwatch::dataplane
