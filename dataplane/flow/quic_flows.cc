#include "dataplane/flow/quic_flows.h"

#include <netinet/in.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/clock.h"

namespace stillwatch::dataplane {
namespace {

constexpr int64_t kSilenceNs = 60 * kNsPerSecond;
constexpr size_t kPacketsMax = 4;  // of one datagram
constexpr size_t kHandshakeHead = 4;
constexpr uint8_t kClientHello = 1;

// The client's first CRYPTO bytes, in any order.
struct CryptoPieces {
  static constexpr uint32_t kMax = 64;
  struct Range {
    uint32_t begin, end;
  };
  uint32_t count;
  Range ranges[kMax];
  uint8_t bytes[1];  // to the end of the buffer

  // False: another hole would be one too many.
  bool Mark(uint32_t begin, uint32_t end) {
    Range merged{begin, end};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; ++i) {
      const Range& r = ranges[i];
      if (r.begin <= merged.end && merged.begin <= r.end) {
        merged = {std::min(r.begin, merged.begin), std::max(r.end, merged.end)};
      } else {
        ranges[kept++] = r;
      }
    }
    count = kept;
    if (count == kMax) return false;
    ranges[count++] = merged;
    return true;
  }
  uint32_t Front() const {
    for (uint32_t i = 0; i < count; ++i) {
      if (ranges[i].begin == 0) return ranges[i].end;
    }
    return 0;
  }
};

CryptoPieces& PiecesOf(uint8_t* block) { return *reinterpret_cast<CryptoPieces*>(block); }

}  // namespace

QuicFlows::QuicFlows(size_t flows_max, Salt salt, bool tell, bool pass, TlsCore* tls, Slab<FlowRecord>* records, WorkerOutput* output)
    : tls_(tls), records_(records), output_(output), id_salt_(DeriveSalt(salt, "flow-id")), tell_(tell), pass_(pass), flows_(flows_max),
      buckets_(std::bit_ceil(flows_max)) {}

QuicFlows::~QuicFlows() {
  while (oldest_ != nullptr) {
    QuicFlow* const flow = oldest_;
    DropHello(flow);
    if (flow->log.record != nullptr) records_->Give(flow->log.record);
    Unlink(flow);
    flows_.Give(flow);
  }
}

// --- which connection ---------------------------------------------------------------------------

QuicFlow* QuicFlows::Find(const FlowKey& key, uint64_t hash) const {
  QuicFlow* flow = buckets_[hash & (buckets_.size() - 1)];
  while (flow != nullptr && !(flow->hash == hash && flow->key == key)) flow = flow->chain;
  return flow;
}

QuicFlow* QuicFlows::Add(const Packet& packet, const FlowKey& key, uint64_t hash, bool from_low) {
  QuicFlow* flow = flows_.Take();
  if (flow == nullptr) {
    Count(QuicCounter::kEvicted);
    End(oldest_, packet_, now_ns_);
    flow = flows_.Take();
  }
  Count(QuicCounter::kConnections);
  flow->key = key;
  flow->hash = hash;
  flow->address_length = packet.src.length;
  flow->client_is_low = from_low;
  flow->first_ns = now_ns_;
  flow->id = FlowIdOf(key, now_ns_, packet_, id_salt_);
  QuicFlow*& bucket = buckets_[hash & (buckets_.size() - 1)];
  flow->chain = bucket;
  bucket = flow;
  flow->older = newest_;
  (newest_ != nullptr ? newest_->newer : oldest_) = flow;
  newest_ = flow;
  return flow;
}

void QuicFlows::Touch(QuicFlow* flow) {
  flow->last_ns = now_ns_;
  if (flow == newest_) return;
  (flow->older != nullptr ? flow->older->newer : oldest_) = flow->newer;
  flow->newer->older = flow->older;
  flow->older = newest_;
  flow->newer = nullptr;
  newest_->newer = flow;
  newest_ = flow;
}

void QuicFlows::Unlink(QuicFlow* flow) {
  QuicFlow** at = &buckets_[flow->hash & (buckets_.size() - 1)];
  while (*at != flow) at = &(*at)->chain;
  *at = flow->chain;
  (flow->older != nullptr ? flow->older->newer : oldest_) = flow->newer;
  (flow->newer != nullptr ? flow->newer->older : newest_) = flow->older;
}

void QuicFlows::Due(int64_t now_ns, bool all, std::vector<QuicFlow*>* due) {
  for (QuicFlow* flow = oldest_; flow != nullptr; flow = flow->newer) {
    if (!all && now_ns - flow->last_ns < kSilenceNs) break;
    due->push_back(flow);
  }
  std::sort(due->begin(), due->end(), [](const QuicFlow* a, const QuicFlow* b) { return a->hash < b->hash; });
}

void QuicFlows::End(QuicFlow* flow, uint64_t number, int64_t now_ns) {
  packet_ = number;
  now_ns_ = now_ns;
  EmitRecord(flow);
  if (flow->ja4_hash != 0) TellConnection(*flow, ConnectionKind::kEnded);
  DropHello(flow);
  Unlink(flow);
  flows_.Give(flow);
}

StreamContext QuicFlows::At(const QuicFlow& flow) const {
  const auto address = [&](const uint8_t* bytes) {
    ClientAddress out;
    std::memcpy(out.bytes, bytes, sizeof out.bytes);
    out.length = flow.address_length;
    return out;
  };
  StreamContext at;
  const FlowKey& key = flow.key;
  at.flow_id = flow.id;
  at.flow_hash = flow.hash;
  at.packet = packet_;
  at.time_ns = now_ns_;
  at.client = address(flow.client_is_low ? key.low : key.high);
  at.server = address(flow.client_is_low ? key.high : key.low);
  at.client_port = flow.client_is_low ? key.low_port : key.high_port;
  at.server_port = flow.client_is_low ? key.high_port : key.low_port;
  at.ja4_hash = flow.ja4_hash;
  return at;
}

// --- datagrams ----------------------------------------------------------------------------------

void QuicFlows::OnDatagram(const Packet& packet, const FlowKey& key, uint64_t hash, bool from_low, uint64_t number,
                           int64_t now_ns) {
  packet_ = number;
  now_ns_ = now_ns;
  QuicFlow* flow = Find(key, hash);
  const bool from_client = flow == nullptr || from_low == flow->client_is_low;
  if (MayBeQuic(packet.udp)) {
    if (from_client) {
      flow = ReadInitials(flow, packet, key, hash, from_low);
    } else {
      Bytes left = packet.udp;
      QuicInitial servers;
      flow->retried |= NextQuicPacket(&left, &servers) == QuicNext::kRetry;
    }
  }
  if (flow == nullptr) return;
  Count(QuicCounter::kDatagrams);
  Touch(flow);
  flow->tunnelled |= packet.tunnels != 0;
  NoteStep(flow, from_low == flow->client_is_low, packet.udp_wire);
}

// The flow that the datagram belongs to, which may be a new one.
QuicFlow* QuicFlows::ReadInitials(QuicFlow* flow, const Packet& packet, const FlowKey& key, uint64_t hash, bool from_low) {
  Bytes left = packet.udp;
  for (size_t i = 0; i < kPacketsMax; ++i) {
    QuicInitial initial;
    const QuicNext next = NextQuicPacket(&left, &initial);
    if (next == QuicNext::kOther) continue;
    if (next == QuicNext::kVersionUnknown && i == 0) Count(QuicCounter::kVersionUnknown);
    if (next == QuicNext::kMalformed) Count(QuicCounter::kMalformed);
    if (next != QuicNext::kInitial) break;
    // Once the server has spoken packets go to an id of its choice, under the keys of the first one.
    std::optional<Bytes> frames;
    if (flow != nullptr) frames = opener_.Open(initial, flow->keys);
    if (!frames) {
      QuicKeys keys;
      QuicOpener::DeriveClientKeys(initial.version, initial.connection_id, &keys);
      frames = opener_.Open(initial, keys);
      if (!frames) {
        Count(QuicCounter::kSealed);
        continue;
      }
      if (flow != nullptr && flow->hello_done && !flow->retried) {  // another connection on the same ports
        End(flow, packet_, now_ns_);
        flow = nullptr;
      }
      if (flow == nullptr) flow = Add(packet, key, hash, from_low);
      flow->keys = keys;  // the first ones, or after a Retry
      flow->retried = false;
    }
    Count(QuicCounter::kInitials);
    if (!flow->hello_done) ReadFrames(flow, *frames);
  }
  return flow;
}

void QuicFlows::ReadFrames(QuicFlow* flow, Bytes frames) {
  QuicFrames walk(frames);
  uint64_t offset;
  for (Bytes data;;) {
    const QuicFrames::Next next = walk.Take(&offset, &data);
    if (next == QuicFrames::Next::kMalformed) Count(QuicCounter::kMalformed);
    if (next != QuicFrames::Next::kCrypto || !Place(flow, offset, data)) return;
  }
}

// False: no more of this hello is to be read.
bool QuicFlows::Place(QuicFlow* flow, uint64_t offset, Bytes data) {
  const auto give_up = [&](QuicCounter why) {
    Count(why);
    DropHello(flow);
    flow->hello_done = true;
    return false;
  };
  if (flow->hello == nullptr) {
    flow->hello = static_cast<uint8_t*>(tls_->buffers.Take());
    if (flow->hello == nullptr) return give_up(QuicCounter::kBuffersEmpty);
    PiecesOf(flow->hello).count = 0;
  }
  CryptoPieces& pieces = PiecesOf(flow->hello);
  const size_t bytes_max = tls_->buffers.block_bytes() - offsetof(CryptoPieces, bytes);
  if (offset > bytes_max || data.size() > bytes_max - offset) return give_up(QuicCounter::kHelloTooLarge);
  if (data.empty()) return true;
  if (!pieces.Mark(static_cast<uint32_t>(offset), static_cast<uint32_t>(offset + data.size()))) {
    Count(QuicCounter::kHelloInPieces);
    return true;
  }
  std::memcpy(flow->hello + offsetof(CryptoPieces, bytes) + offset, data.data(), data.size());
  const uint8_t* const bytes = flow->hello + offsetof(CryptoPieces, bytes);
  const size_t front = pieces.Front();
  if (front < kHandshakeHead) return true;
  const size_t length = size_t{bytes[1]} << 16 | size_t{bytes[2]} << 8 | bytes[3];
  if (bytes[0] != kClientHello) return give_up(QuicCounter::kMalformed);
  if (kHandshakeHead + length > bytes_max) return give_up(QuicCounter::kHelloTooLarge);
  if (front < kHandshakeHead + length) return true;
  ReadHello(flow, Bytes(bytes + kHandshakeHead, length));
  DropHello(flow);
  flow->hello_done = true;
  return false;
}

void QuicFlows::ReadHello(QuicFlow* flow, Bytes body) {
  ClientHello hello;
  if (!ParseClientHello(body, &hello)) return Count(QuicCounter::kMalformed);
  if (hello.malformed) Count(QuicCounter::kMalformed);
  Count(QuicCounter::kHellos);
  if (hello.ech) Count(QuicCounter::kEch);
  const Fingerprint ja4 = tls_->fingerprinter.Ja4(hello, 'q');
  flow->ja4_hash = tls_->HashJa4(ja4.view());
  TellConnection(*flow, ConnectionKind::kFront);
  if (tls_->observer == nullptr) return;
  const Fingerprint ja3 = tls_->fingerprinter.Ja3(hello);
  tls_->observer->OnClientHello(At(*flow), hello, ja3.view(), ja4.view());
}

void QuicFlows::DropHello(QuicFlow* flow) {
  if (flow->hello != nullptr) tls_->buffers.Give(flow->hello);
  flow->hello = nullptr;
}

// --- flow records -------------------------------------------------------------------------------

void QuicFlows::NoteStep(QuicFlow* flow, bool from_client, uint32_t bytes) {
  const StepNoted noted = dataplane::NoteStep(&flow->log, records_, from_client, bytes, now_ns_);
  if (noted != StepNoted::kFull) return;
  EmitRecord(flow);
  if (!pass_ || flow->tunnelled || !flow->hello_done || now_ns_ - flow->first_ns < kPassAgeNs) return;
  if (output_->OnUninteresting(EndsOf(flow->key, flow->address_length, IPPROTO_UDP), now_ns_)) Count(QuicCounter::kPassed);
}

void QuicFlows::EmitRecord(QuicFlow* flow) {
  if (flow->log.record == nullptr) return;
  output_->OnFlowRecord(FillRecord(flow->log, At(*flow), packet_));
  records_->Give(flow->log.record);
  flow->log.record = nullptr;
}

void QuicFlows::TellConnection(const QuicFlow& flow, ConnectionKind kind) {
  if (tell_) output_->OnConnection(NoteOf(At(flow), packet_, now_ns_, kind));
}

}  // namespace stillwatch::dataplane
