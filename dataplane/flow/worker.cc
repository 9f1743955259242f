#include "dataplane/worker.h"

#include <algorithm>

#include "base/mutant.h"
#include "dataplane/flow/flow_worker.h"
#include "dataplane/packet/tcp_options.h"

namespace stillwatch::dataplane {

namespace {

constexpr int64_t kResetAhead = 1 << 24;  // a RST's distance from the stream's next byte
constexpr int64_t kResetWaitNs = 2 * kNsPerSecond;
constexpr int64_t kAckAheadMax = 1ll << 30;
constexpr int64_t kFirstAckMax = 1 << 24;  // beyond what anyone sends before the first acknowledgement

constexpr FlowCounter CounterOf(DecodeStatus status) {
  return static_cast<FlowCounter>(static_cast<int>(FlowCounter::kUdp) + static_cast<int>(status) -
                                  static_cast<int>(DecodeStatus::kUdp));
}
static_assert(CounterOf(DecodeStatus::kFragment) == FlowCounter::kFragment &&
              CounterOf(DecodeStatus::kTooManyTags) == FlowCounter::kTooManyTags &&
              CounterOf(DecodeStatus::kPartialTcpChecksum) == FlowCounter::kPartialTcpChecksum);

}  // namespace

FlowWorker::FlowWorker(const WorkerOptions& options, HttpObserver* http, WorkerOutput* output,
                       StreamObserver* streams, TlsObserver* tls)
    : options_(options),
      output_(output),
      streams_(streams),
      flow_salt_{DeriveSalt(options.salt, "flow").value ^ (MutantIs("flow.hash_by_salt_alone") ? 0 : options.boot_seed)},
      id_salt_(DeriveSalt(options.salt, "flow-id")),
      tcp_salt_(DeriveSalt(options.salt, "tcp")),
      proxy_id_salt_(DeriveSalt(options.salt, "proxy-id")),
      table_(options.flows_max),
      segments_(options.reassembly_bytes_max),
      records_(std::max(options.flows_max / 8, 256u)),
      proxied_(options.flows_max),
      fragments_({.datagrams_max = options.datagrams_max}),
      http_shared_(MakeHttpShared({.header_bytes_max = options.header_bytes_max,
                                   .decoded_body_bytes_max = options.decoded_body_bytes_max,
                                   .decoders_max = options.decoders_max,
                                   .window_bytes_max = options.window_bytes_max,
                                   .response_timeout_ns = options.response_timeout_ns,
                                   .streams_max = std::max(kStreamsPerParser * options.parsers_max, 256u),
                                   .hpack_bytes_max = std::max<uint64_t>(
                                       uint64_t{kHpackBytesPerParser} * options.parsers_max, 1u << 20),
                                   .connections_max = options.parsers_max,
                                   .transactions_max = std::max(options.flows_max, 1024u),
                                   .large_heads_max = std::min(2 * options.parsers_max, HttpLimits{}.large_heads_max)},
                                  http)),
      tls_(options.tls, options.salt, tls),
      quic_(std::max(options.flows_max / 16, 16u), options.salt, options.tell_connections,
            options.pass_uninteresting && !(options.tell_connections && options.trust_proxy_header), &tls_, &records_, output) {
  quic_due_.reserve(std::max(options.flows_max / 16, 16u));
  due_.reserve(options.flows_max);
}

FlowWorker::~FlowWorker() {
  // Parsers use http_shared_, so they go first. Nothing is told: Finish does that.
  table_.ForEach([this](Flow* flow) {
    flow->http.reset();
    DropTls(flow);
  });
}

void FlowWorker::RegisterCounters(CounterRegistry* registry) {
  registry->Register(counters_);
  registry->Register(fragments_.counters());
  http_shared_->RegisterCounters(registry);
  tls_.RegisterCounters(registry);
  registry->Register(quic_.counters());
}

// Equal keys in tunnels of different class get different hashes, always: Mix64 is a bijection. So the table tells them apart.
uint64_t FlowWorker::ClassMark(const Packet& packet) const {
  return MutantIs("flow.tunnel_class_ignored") ? 0 : Mix64(options_.tunnel_classes.Of(packet));
}

// All but the TCP checksum; for TCP the flow's key and hash too.
DecodeStatus FlowWorker::Decode(Bytes bytes, uint32_t wire_length, Expected* into) const {
  into->packet = Packet{};
  into->status = DecodeFrame(bytes, wire_length,
                             {.ignore_checksums = options_.ignore_checksums, .defer_tcp_checksum = true}, &into->packet);
  if (into->status == DecodeStatus::kTcp) {
    into->key = FlowKeyOf(into->packet, &into->from_low);
    into->hash = HashOf(into->key, flow_salt_) ^ ClassMark(into->packet);
    into->flow = nullptr;
  }
  return into->status;
}

void FlowWorker::Expect(const Frame& frame) {
  if (expected_end_ - expected_begin_ == kExpectedMax) return;
  Expected& expected = expected_[expected_end_++ % kExpectedMax];
  expected.number = frame.number;
  if (Decode(frame.bytes, frame.wire_length, &expected) != DecodeStatus::kTcp) return;
  table_.Prefetch(expected.hash);
  for (size_t at = 0; at < std::min<size_t>(expected.packet.payload.size(), 256); at += 64) {
    __builtin_prefetch(expected.packet.payload.data() + at);
  }
}

// The buckets of the frames announced last have arrived by now: fetches their flows.
void FlowWorker::FetchFlows() {
  for (; expected_fetched_ != expected_end_; ++expected_fetched_) {
    Expected& expected = expected_[expected_fetched_ % kExpectedMax];
    if (expected.status != DecodeStatus::kTcp) continue;
    expected.flow = table_.Bucket(expected.hash);
    const auto* line = reinterpret_cast<const std::byte*>(expected.flow);
    if (line == nullptr) continue;
    for (size_t at = 0; at < sizeof(Flow); at += 64) __builtin_prefetch(line + at);
  }
}

// The frame, decoded: as it was announced, else now.
FlowWorker::Expected& FlowWorker::TakeExpected(const Frame& frame) {
  FetchFlows();
  if (expected_begin_ == expected_end_ || expected_[expected_begin_ % kExpectedMax].number != frame.number) {
    expected_begin_ = expected_fetched_ = expected_end_;  // what was announced did not come
    Decode(frame.bytes, frame.wire_length, &unexpected_);
    return unexpected_;
  }
  Expected& found = expected_[expected_begin_++ % kExpectedMax];
  if (expected_begin_ != expected_end_) {
    // The next one's flow has arrived: fetch what it points to.
    const Expected& next = expected_[expected_begin_ % kExpectedMax];
    if (next.status == DecodeStatus::kTcp && next.flow != nullptr) {
      __builtin_prefetch(next.flow->http.get());
      const StepLog& log = next.flow->log;
      if (log.record != nullptr) __builtin_prefetch(&log.record->steps[log.steps]);
    }
  }
  return found;
}

LookResult FlowWorker::Look(const Frame& frame) {
  SetTime(frame.number, frame.time_ns);
  work_.flow = nullptr;
  if (!joined_.bytes.empty()) {
    fragments_.Release(joined_);
    joined_.bytes = {};
  }
  Count(FlowCounter::kPackets);
  tls_.Poll(now_ns_);
  Expected& found = TakeExpected(frame);
  DecodeStatus status = found.status;
  if (status == DecodeStatus::kFragment) {
    Count(FlowCounter::kFragment);
    if (!fragments_.Add(frame, found.packet, &joined_)) return LookResult::kDone;
    status = Decode(joined_.bytes, joined_.wire_length, &found);
  }
  if (status == DecodeStatus::kTcp && !options_.ignore_checksums && !MutantIs("flow.no_checksum")) status = CheckTcpChecksum(found.packet);
  if (status != DecodeStatus::kTcp) {
    Count(CounterOf(status));
    if (status == DecodeStatus::kUdp) OnUdp(found.packet);
    return LookResult::kDone;
  }
  OnTcp(found);
  return Pump();
}

void FlowWorker::OnUdp(const Packet& packet) {
  bool from_low;
  const FlowKey key = FlowKeyOf(packet, &from_low);
  quic_.OnDatagram(packet, key, HashOf(key, flow_salt_) ^ ClassMark(packet), from_low, packet_, now_ns_);
}

void FlowWorker::OnTcp(const Expected& found) {
  const Packet& packet = found.packet;
  // Its receiver drops it (RFC 9293, 3.10.7.4).
  if ((packet.flags & (kSyn | kAck | kRst)) == 0 && !MutantIs("flow.dropped_is_read")) return Count(FlowCounter::kUnacceptable);
  Flow* const flow = FlowOf(found);
  if (flow == nullptr) return;
  if (!flow->client_known) LearnClient(flow, packet, found.from_low);
  const int side = found.from_low == flow->client_is_low ? 0 : 1;
  if (flow->phase == FlowPhase::kClosed) {
    flow->reset_doubted |= ContradictsReset(*flow, side, packet);
    return Count(FlowCounter::kAfterClose);
  }
  flow->last_ns = now_ns_;
  flow->tunnelled |= packet.tunnels != 0;
  work_ = {};
  work_.flow = flow;
  work_.side = side;
  if ((packet.flags & kSyn) != 0) OnSyn(flow, side, packet);
  if ((packet.flags & kRst) != 0) return OnReset(flow, side, packet);
  // A SYN in the middle of a connection is answered by a challenge, and what it carries dropped (RFC 5961, 4.2).
  const bool dropped = (packet.flags & kSyn) != 0 && flow->direction[side].stream.OffsetOf(packet.seq + 1) != 0;
  if (dropped && packet.payload_wire != 0 && !MutantIs("flow.dropped_is_read")) return Count(FlowCounter::kUnacceptable);
  // Bytes that are thrown away acknowledge nothing either.
  const Belief belief = packet.payload_wire != 0 && side == 0 ? BeliefIn(*flow, packet) : kBelieved;
  if (belief == kBelieved && ContradictsReset(*flow, side, packet)) {
    flow->reset_ns = 0;
    Count(FlowCounter::kResetContradicted);
  }
  if (belief == kBelieved && (packet.flags & kAck) != 0) OnAck(flow, side, packet);
  if (packet.payload_wire != 0) OnPayload(flow, side, packet, belief);
  if ((packet.flags & kFin) != 0) OnFin(&flow->direction[side], packet);
}

Flow* FlowWorker::FlowOf(const Expected& found) {
  const Packet& packet = found.packet;
  const FlowKey& key = found.key;
  const uint64_t hash = found.hash;
  const bool from_low = found.from_low;
  Flow* flow = table_.Find(key, hash);
  if (flow != nullptr && flow->restart_pending && FollowsRestart(*flow, packet, from_low)) {
    const uint32_t isn = flow->restart_isn;
    const int64_t syn_ns = flow->restart_ns;
    Count(FlowCounter::kPortReused);
    if (flow->phase != FlowPhase::kClosed) CloseFlow(flow, HttpEnd::kFlowEnded);
    ReleaseFlow(flow);
    const bool syn_ack = (packet.flags & kSyn) != 0;
    flow = Open(packet, key, hash, from_low != syn_ack);
    flow->client_known = true;
    Direction& client = flow->direction[0];
    client.stream.Start(isn + 1);
    client.isn = isn;
    client.syn_seen = true;
    flow->syn_ns = syn_ns;
    return flow;
  }
  if (flow != nullptr && BeginsAnew(flow, packet, from_low)) {
    Count(FlowCounter::kPortReused);
    if (flow->phase != FlowPhase::kClosed) CloseFlow(flow, HttpEnd::kFlowEnded);
    ReleaseFlow(flow);
    flow = nullptr;
  }
  if (flow != nullptr) return flow;
  if (packet.payload_wire == 0 && (packet.flags & kSyn) == 0) {
    Count(FlowCounter::kNoFlow);
    return nullptr;
  }
  return Open(packet, key, hash, from_low);
}

// Whether the packet is the first of a new connection between the ends of `flow`.
bool FlowWorker::BeginsAnew(Flow* flow, const Packet& packet, bool from_low) {
  const int side = from_low == flow->client_is_low ? 0 : 1;
  const Direction& from = flow->direction[side];
  const Direction& to = flow->direction[1 - side];
  if ((packet.flags & (kSyn | kAck | kRst)) != kSyn) {
    // Data of the side in whose name the RST came: the connection lived on.
    return flow->phase == FlowPhase::kClosed && flow->reset_ns != 0 && packet.payload_wire != 0 &&
           (side == flow->reset_side || flow->reset_doubted) &&
           static_cast<int32_t>(packet.seq + packet.payload_wire - from.stream.next_seq()) > 0;
  }
  if (flow->phase == FlowPhase::kClosed) return true;
  if (from.syn_seen && packet.seq == from.isn) return false;  // sent again
  if (!from.stream.started() && (to.syn_seen || flow->phase == FlowPhase::kOpening)) return false;
  if (flow->phase == FlowPhase::kOpening || flow->reset_ns != 0 || from.fin_seen || to.fin_seen) return true;
  Count(FlowCounter::kSynOnLiveFlow);
  flow->restart_pending = true;
  flow->restart_from_low = from_low;
  flow->restart_isn = packet.seq;
  flow->restart_ns = now_ns_;
  return false;
}

// The SYN that came on this living flow was answered, or, where answers are not seen, its sender went on from it.
bool FlowWorker::FollowsRestart(const Flow& flow, const Packet& packet, bool from_low) const {
  if ((packet.flags & kRst) != 0) return false;
  const bool syn_ack = (packet.flags & (kSyn | kAck)) == (kSyn | kAck);
  if (from_low != flow.restart_from_low) return syn_ack && packet.ack == flow.restart_isn + 1;
  // Where the other end is seen it has to answer: anybody may go on from a SYN that it has refused.
  const bool other_seen = flow.direction[from_low == flow.client_is_low ? 0 : 1].acked && !MutantIs("flow.syn_needs_no_answer");
  return !other_seen && (packet.flags & kSyn) == 0 && packet.seq == flow.restart_isn + 1;
}

// `from_low`: the client, as far as is known, is the lower end.
Flow* FlowWorker::Open(const Packet& packet, const FlowKey& key, uint64_t hash, bool from_low) {
  Flow* flow = table_.Add(key, hash, now_ns_);
  if (flow == nullptr) {
    EvictOne();
    flow = table_.Add(key, hash, now_ns_);
  }
  Count(FlowCounter::kOpened);
  flow->address_length = packet.src.length;
  flow->client_is_low = from_low;
  flow->id = FlowIdOf(key, now_ns_, packet_, id_salt_);
  wheel_.Arm(flow, now_ns_ + options_.syn_idle_ns, now_ns_);
  return flow;
}

// The client is the sender of a SYN, the receiver of a SYN-ACK; in the middle of a connection it is told by what
// the first payload looks like, else it has the higher port.
void FlowWorker::LearnClient(Flow* flow, const Packet& packet, bool from_low) {
  bool sender_is_client = true;
  if ((packet.flags & kSyn) != 0) {
    sender_is_client = (packet.flags & kAck) == 0;
  } else if (SniffHttp1(packet.payload, true) == HttpSniff::kHttp ||
             SniffHttp2(packet.payload, true) == HttpSniff::kHttp) {
    sender_is_client = true;
  } else if (SniffHttp1(packet.payload, false) == HttpSniff::kHttp) {
    sender_is_client = false;
  } else if (const HandshakeSide hello = SniffHello(packet.payload); hello != HandshakeSide::kUnknown) {
    sender_is_client = hello == HandshakeSide::kClient;
  } else {
    sender_is_client = packet.src_port >= packet.dst_port;
  }
  if ((packet.flags & kSyn) == 0) Count(FlowCounter::kMidStream);
  flow->client_known = true;
  flow->client_is_low = sender_is_client == from_low;
}

void FlowWorker::OnSyn(Flow* flow, int side, const Packet& packet) {
  Direction& direction = flow->direction[side];
  Reassembly& stream = direction.stream;
  const bool first = !direction.syn_seen;
  if (!first) flow->syn_repeated = true;
  // Again with another number and nothing carried yet: the peer started over (a SYN that was refused).
  const bool untouched = stream.next_offset() == 0 && !stream.holds_early();
  if (!stream.started() || (untouched && !direction.anchored && stream.next_seq() != packet.seq + 1)) {
    stream.Start(packet.seq + 1);
    direction.isn = packet.seq;
    direction.syn_seen = true;
    LearnTerms(&direction, packet);
  }
  if ((packet.flags & kAck) == 0) {
    flow->reset_ns = 0;
    if (flow->syn_ns == 0) flow->syn_ns = now_ns_;
    if (first) flow->tcp_hash = TcpFingerprint(packet.window, ParseTcpOptions(packet.tcp_options), tcp_salt_);
    return;
  }
  if (flow->syn_ack_ns == 0) flow->syn_ack_ns = now_ns_;
  // It names the client's first byte, should the SYN be missing.
  Reassembly& other = flow->direction[1 - side].stream;
  if (!other.started()) other.Start(packet.ack);
}

void FlowWorker::OnAck(Flow* flow, int side, const Packet& packet) {
  Direction& other = flow->direction[1 - side];
  other.acked = true;
  if (!other.stream.started()) {
    // The first acknowledgement after a SYN names the peer's first byte, should its SYN be missing.
    const Direction& from = flow->direction[side];
    if (!from.syn_seen || from.stream.next_offset() != 0) return;
    other.stream.Start(packet.ack);
  }
  const int64_t acked = other.stream.OffsetOf(packet.ack);
  if (!other.anchored) {
    // The peer may have answered the SYN several times, each with another number: the one that is taken up counts.
    const bool far = acked < 0 || acked > kFirstAckMax;
    if (far && other.stream.next_offset() == 0 && !other.stream.holds_early()) {
      other.stream.Start(packet.ack);
      other.anchored = true;
      return;
    }
    other.anchored = !far;
  }
  if (acked > static_cast<int64_t>(other.acked_offset) &&
      acked <= static_cast<int64_t>(other.stream.next_offset()) + kAckAheadMax) {
    other.acked_offset = static_cast<uint64_t>(acked);
    if (other.doubted != nullptr) TakeDoubted(&other, other.acked_offset);
  }
  LearnWindow(*flow, side, packet, acked);
  if (side == 0 && flow->rtt_us == 0 && flow->syn_ns != 0 && flow->syn_ack_ns != 0 && !flow->syn_repeated &&
      (packet.flags & kSyn) == 0) {
    flow->rtt_us = static_cast<uint32_t>(std::clamp<int64_t>((now_ns_ - flow->syn_ns) / 1000, 1, UINT32_MAX));
  }
}

void FlowWorker::OnPayload(Flow* flow, int side, const Packet& packet, Belief belief) {
  Direction& direction = flow->direction[side];
  const uint32_t seq = packet.seq + ((packet.flags & kSyn) != 0 ? 1 : 0);
  flow->phase = FlowPhase::kActive;
  if (!direction.stream.started()) {
    direction.stream.Start(seq);
    flow->mid_stream = true;
  }
  if (direction.ended) {
    const bool old = static_cast<int32_t>(seq + packet.payload_wire - direction.fin_seq) <= 0;
    return Count(old ? FlowCounter::kOldSegments : FlowCounter::kAfterFin);
  }
  NoteSent(&direction, seq + packet.payload_wire);
  if (direction.doubted != nullptr) Contest(flow, &direction, packet, belief);
  if (belief != kBelieved) return SetAside(&direction, packet, belief);
  if (direction.fin_seen && static_cast<int32_t>(seq + packet.payload_wire - direction.fin_seq) > 0) {
    direction.fin_seen = false;
    Count(FlowCounter::kFinContradicted);
  }
  work_.place = true;
  work_.seq = seq;
  work_.payload = packet.payload;
  work_.payload_wire = packet.payload_wire;
}

void FlowWorker::OnFin(Direction* direction, const Packet& packet) {
  if (direction->ended) return;
  direction->fin_seen = true;
  direction->fin_seq = packet.seq + packet.payload_wire + ((packet.flags & kSyn) != 0 ? 1 : 0);
  if (!direction->stream.started()) direction->stream.Start(direction->fin_seq);
  NoteSent(direction, direction->fin_seq + 1);
}

// What a RST carries is a diagnosis for people (RFC 9293, 3.5.3), not part of the stream.
void FlowWorker::OnReset(Flow* flow, int side, const Packet& packet) {
  if (!InWindow(*flow, side, packet)) return Count(FlowCounter::kResetOutOfWindow);
  Count(FlowCounter::kReset);
  if (MutantIs("flow.believe_reset")) return CloseFlow(flow, HttpEnd::kFlowEnded);
  flow->reset_ns = std::max<int64_t>(1, now_ns_);
  flow->reset_side = static_cast<uint8_t>(side);
  const Direction& other = flow->direction[1 - side];
  flow->reset_exact = flow->direction[side].stream.next_seq() == packet.seq;
  flow->reset_seq_known = other.stream.started();
  flow->reset_seq = other.fin_seen ? other.fin_seq + 1 : other.stream.next_seq();
  if (other.stream.holds_early()) flow->reset_seq += static_cast<uint32_t>(options_.reassembly_flow_bytes_max);
  ArmBy(flow, now_ns_ + kResetWaitNs);
}

// Not behind what its receiver has acknowledged (one for the FIN's number): it would be refused (RFC 9293, 3.10.7.4). A
// RST that answers a SYN must acknowledge it (3.10.7.3).
bool FlowWorker::InWindow(const Flow& flow, int side, const Packet& packet) {
  const Direction& from = flow.direction[side];
  const Direction& to = flow.direction[1 - side];
  if (!from.stream.started()) return !to.syn_seen || (packet.flags & kAck) == 0 || packet.ack == to.isn + 1;
  const int64_t offset = from.stream.OffsetOf(packet.seq);
  return offset + 1 >= static_cast<int64_t>(from.acked_offset) &&
         offset <= static_cast<int64_t>(from.stream.next_offset()) + kResetAhead;
}

bool FlowWorker::ContradictsReset(const Flow& flow, int side, const Packet& packet) {
  if (flow.reset_ns == 0 || (packet.flags & (kAck | kRst)) != kAck) return false;
  // A RST at another place than the next byte is not obeyed but answered by an acknowledgement (RFC 5961, 3.2).
  if (side != flow.reset_side) return !flow.reset_exact && packet.payload_wire == 0;
  if ((packet.flags & kSyn) != 0) return true;  // it accepts what it is said to have refused
  const Reassembly& read = flow.direction[1 - side].stream;
  return flow.reset_seq_known && static_cast<int32_t>(packet.ack - flow.reset_seq) > 0 &&
         read.OffsetOf(packet.ack) <= static_cast<int64_t>(read.next_offset()) + kAckAheadMax;
}

std::unique_ptr<Worker> MakeWorker(const WorkerOptions& options, HttpObserver* http, WorkerOutput* output,
                                   StreamObserver* streams, TlsObserver* tls) {
  return std::make_unique<FlowWorker>(options, http, output, streams, tls);
}

}  // namespace stillwatch::dataplane
