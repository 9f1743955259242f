#include "dataplane/worker.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/clock.h"
#include "base/endian.h"
#include "dataplane/flow/flow_counters.h"
#include "dataplane/flow/flow_table.h"
#include "dataplane/packet/packet.h"

namespace stillwatch::dataplane {

namespace {

constexpr int64_t kQuietNs = 60 * kNsPerSecond;    // flow record goes out after this silence
constexpr int64_t kClosedNs = 10 * kNsPerSecond;   // late copies after a close
constexpr int64_t kResetNs = 2 * kNsPerSecond;     // a forged RST is followed by data within this
// Room for timeouts above any time stamp that a capture may hold.
constexpr int64_t kTimeMaxNs = std::numeric_limits<int64_t>::max() - 2 * kNsPerDay;
constexpr int64_t kEarlyWaitNs = 2 * kNsPerSecond; // one-sided: a hole is given up after this

ClientAddress ToClientAddress(const uint8_t* bytes, uint8_t length) {
  ClientAddress address;
  std::memcpy(address.bytes, bytes, 16);
  address.length = length;
  return address;
}

bool LooksLikeTls(Bytes head) {
  return head.size() >= 3 && head[0] == 0x16 && head[1] == 3 && head[2] <= 4;
}

class FlowWorker final : public Worker {
 public:
  FlowWorker(const WorkerOptions& options, HttpObserver* http, WorkerOutput* output, StreamObserver* streams)
      : options_(options), output_(output), streams_(streams), table_(options.flows_max),
        segments_(options.reassembly_bytes_max),
        http_shared_(MakeHttpShared({.header_bytes_max = options.header_bytes_max,
                                     .decoded_body_bytes_max = options.decoded_body_bytes_max,
                                     .decoders_max = options.decoders_max},
                                    http)),
        flow_salt_(DeriveSalt(options.salt, "flow")), id_salt_(DeriveSalt(options.salt, "flow-id")) {
    expiring_.reserve(1024);
  }

  LookResult Look(const Frame& frame) override;
  LookResult Continue() override { return Pump(); }
  void Tick(uint64_t packet, int64_t time_ns) override;
  void Finish(uint64_t packet, int64_t time_ns) override;
  void RegisterCounters(CounterRegistry* registry) override {
    registry->Register(counters_);
    http_shared_->RegisterCounters(registry);
  }

 private:
  // What is left to do for the frame at hand: sides to hand on, in this order.
  struct Work {
    Flow* flow = nullptr;
    uint8_t sides[2];
    uint8_t count = 0;
  };

  void Count(FlowCounter counter, uint64_t amount = 1) { counters_.Add(counter, amount); }
  void CountUndecoded(DecodeStatus status);
  Flow* FlowOf(const Packet& packet);
  Flow* Open(const Packet& packet, const FlowKey& key, uint64_t hash, bool from_low);
  void LearnClient(Flow* flow, const Packet& packet, bool from_low);
  void OnTcp(const Packet& packet);
  void OnAck(Flow* flow, int side, const Packet& packet);
  void OnPayload(Flow* flow, int side, const Packet& packet);
  void NoteStep(Flow* flow, int side, uint32_t bytes);
  void EmitRecord(Flow* flow);
  LookResult Pump();
  bool PumpSide(Flow* flow, int side, DecodeBudget* budget);
  size_t Deliver(Flow* flow, int side, Bytes data, DecodeBudget* budget);
  size_t Sniff(Flow* flow, int side, Bytes data, DecodeBudget* budget);
  void SkipTo(Flow* flow, int side, uint64_t offset);
  void EndSide(Flow* flow, int side);
  void CloseFlow(Flow* flow, HttpEnd reason);
  void Drain(Flow* flow);
  StreamContext ContextOf(const Flow& flow) const;

  const WorkerOptions options_;
  WorkerOutput* const output_;
  StreamObserver* const streams_;
  FlowTable table_;
  SegmentPool segments_;
  std::unique_ptr<HttpShared> http_shared_;
  const Salt flow_salt_, id_salt_;
  uint64_t packet_ = 0;
  int64_t now_ns_ = 0;
  Work work_;
  uint32_t parsers_ = 0;
  uint32_t records_ = 0;
  std::vector<Flow*> expiring_;
  CounterBlock<FlowCounter> counters_{kFlowCounterNames};
};

void FlowWorker::CountUndecoded(DecodeStatus status) {
  switch (status) {
    case DecodeStatus::kUdp: return Count(FlowCounter::kUdp);
    case DecodeStatus::kFragment: return Count(FlowCounter::kFragment);
    case DecodeStatus::kOtherTransport: return Count(FlowCounter::kOtherTransport);
    case DecodeStatus::kArp: return Count(FlowCounter::kArp);
    case DecodeStatus::kNonIp: return Count(FlowCounter::kNonIp);
    case DecodeStatus::kTooManyTags: return Count(FlowCounter::kTooManyTags);
    case DecodeStatus::kTruncatedHeader: return Count(FlowCounter::kTruncatedHeader);
    case DecodeStatus::kBadIpHeader: return Count(FlowCounter::kBadIpHeader);
    case DecodeStatus::kBadIpChecksum: return Count(FlowCounter::kBadIpChecksum);
    case DecodeStatus::kBadTcpHeader: return Count(FlowCounter::kBadTcpHeader);
    case DecodeStatus::kBadTcpChecksum: return Count(FlowCounter::kBadTcpChecksum);
    case DecodeStatus::kTcp:
    case DecodeStatus::kCount: return;
  }
}

LookResult FlowWorker::Look(const Frame& frame) {
  packet_ = frame.number;
  now_ns_ = std::min(frame.time_ns, kTimeMaxNs);
  work_ = {};
  Count(FlowCounter::kPackets);
  Packet packet;
  const DecodeStatus status =
      DecodeFrame(frame.bytes, frame.wire_length, {options_.ignore_checksums}, &packet);
  if (status != DecodeStatus::kTcp) {
    CountUndecoded(status);
    return LookResult::kDone;
  }
  OnTcp(packet);
  return Pump();
}

Flow* FlowWorker::FlowOf(const Packet& packet) {
  bool from_low;
  const FlowKey key = FlowKeyOf(packet, &from_low);
  const uint64_t hash = HashOf(key, flow_salt_);
  Flow* flow = table_.Find(key, hash);
  const bool opens = (packet.flags & (kSyn | kAck | kRst)) == kSyn;
  if (flow != nullptr && opens) {
    const Direction& side = flow->direction[from_low == flow->client_is_low ? 0 : 1];
    const bool again = side.syn_seen && packet.seq == side.isn;
    if (flow->phase == FlowPhase::kClosed || (!again && side.stream.started())) {
      Count(FlowCounter::kPortReused);
      if (flow->phase != FlowPhase::kClosed) CloseFlow(flow, HttpEnd::kFlowEnded);
      table_.Remove(flow);
      flow = nullptr;
    }
  }
  if (flow == nullptr) {
    if (packet.payload_wire == 0 && (packet.flags & kSyn) == 0) {
      Count(FlowCounter::kNoFlow);
      return nullptr;
    }
    flow = Open(packet, key, hash, from_low);
  }
  if (!flow->client_known) LearnClient(flow, packet, from_low);
  return flow;
}

Flow* FlowWorker::Open(const Packet& packet, const FlowKey& key, uint64_t hash, bool from_low) {
  Flow* flow = table_.Add(key, hash, now_ns_);
  if (flow == nullptr) {
    Count(FlowCounter::kEvicted);
    Flow* victim = nullptr;
    for (const FlowPhase phase : {FlowPhase::kClosed, FlowPhase::kReset, FlowPhase::kQuiet, FlowPhase::kOpening, FlowPhase::kActive}) {
      if ((victim = table_.Oldest(phase)) != nullptr) break;
    }
    if (victim->phase != FlowPhase::kClosed) CloseFlow(victim, HttpEnd::kFlowEnded);
    table_.Remove(victim);
    flow = table_.Add(key, hash, now_ns_);
  }
  Count(FlowCounter::kOpened);
  flow->address_length = packet.src.length;
  flow->client_is_low = from_low;
  uint8_t identity[sizeof(FlowKey) + 16];
  std::memcpy(identity, &key, sizeof key);
  StoreLe(identity + sizeof key, now_ns_);
  StoreLe(identity + sizeof key + 8, packet_);
  flow->id = KeyedHash64(Bytes(identity, sizeof identity), id_salt_);
  return flow;
}

// Who is the client: the sender of a SYN, the receiver of a SYN-ACK; in the middle of a connection by what the
// first payload looks like, else the higher port.
void FlowWorker::LearnClient(Flow* flow, const Packet& packet, bool from_low) {
  bool sender_is_client;
  if ((packet.flags & kSyn) != 0) {
    sender_is_client = (packet.flags & kAck) == 0;
    flow->client_known = true;
  } else {
    if (packet.payload.empty()) return;
    Count(FlowCounter::kMidStream);
    flow->client_known = true;
    if (SniffHttp1(packet.payload, true) == HttpSniff::kHttp) sender_is_client = true;
    else if (SniffHttp1(packet.payload, false) == HttpSniff::kHttp) sender_is_client = false;
    else sender_is_client = packet.src_port >= packet.dst_port;
  }
  flow->client_is_low = sender_is_client == from_low;
}

void FlowWorker::OnTcp(const Packet& packet) {
  Flow* flow = FlowOf(packet);
  if (flow == nullptr) return;
  bool from_low;
  FlowKeyOf(packet, &from_low);
  const int side = from_low == flow->client_is_low ? 0 : 1;
  flow->last_ns = now_ns_;
  if (flow->phase == FlowPhase::kClosed) {
    Count(FlowCounter::kAfterClose);
    return;
  }
  Direction& direction = flow->direction[side];
  if ((packet.flags & kSyn) != 0) {
    // Again with another number and nothing carried yet: the peer started over (a SYN that was refused).
    if (!direction.stream.started() || (direction.stream.next_offset() == 0 && !direction.stream.holds_early())) {
      direction.stream.Start(packet.seq + 1);
      direction.syn_seen = true;
      direction.isn = packet.seq;
    }
    if ((packet.flags & kAck) == 0) flow->syn_ns = now_ns_;
    else flow->syn_ack_ns = now_ns_;
  } else if (flow->rtt_us == 0 && flow->syn_ns != 0 && flow->syn_ack_ns != 0 && side == 0) {
    flow->rtt_us = static_cast<uint32_t>(std::min<int64_t>((now_ns_ - flow->syn_ns) / 1000, UINT32_MAX));
  }
  if (flow->http != nullptr && flow->http->next_deadline_ns() <= now_ns_) flow->http->Tick(ContextOf(*flow));
  work_.flow = flow;
  if ((packet.flags & kAck) != 0) OnAck(flow, side, packet);
  if (packet.payload_wire != 0) OnPayload(flow, side, packet);
  if ((packet.flags & kFin) != 0 && !direction.fin_seen) {
    direction.fin_seen = true;
    direction.fin_seq = packet.seq + packet.payload_wire + ((packet.flags & kSyn) != 0 ? 1 : 0);
    if (!direction.stream.started()) direction.stream.Start(direction.fin_seq);
  }
  // After a RST bare acknowledgements change nothing; data shows that the RST was none of the peer's.
  const bool data = packet.payload_wire != 0;
  if (data || flow->phase != FlowPhase::kReset) {
    table_.Move(flow, data || flow->phase != FlowPhase::kOpening ? FlowPhase::kActive : FlowPhase::kOpening);
  }
  work_.sides[work_.count++] = static_cast<uint8_t>(side);
  if ((packet.flags & kRst) != 0) {
    const int64_t ahead = direction.stream.OffsetOf(packet.seq) - static_cast<int64_t>(direction.stream.next_offset());
    if (direction.stream.started() && (ahead < -65'536 || ahead > (1 << 24))) {
      Count(FlowCounter::kResetOutOfWindow);
      return;
    }
    Count(FlowCounter::kReset);
    table_.Move(flow, FlowPhase::kReset);
  }
}

// The other side has received up to `ack`: a hole below it, with later bytes held, will never be filled for us.
void FlowWorker::OnAck(Flow* flow, int side, const Packet& packet) {
  Reassembly& other = flow->direction[1 - side].stream;
  if (!other.started() || !other.holds_early()) return;
  const int64_t acked = other.OffsetOf(packet.ack);
  if (acked < static_cast<int64_t>(other.early_offset())) return;
  SkipTo(flow, 1 - side, other.early_offset());
  work_.sides[work_.count++] = static_cast<uint8_t>(1 - side);
}

void FlowWorker::OnPayload(Flow* flow, int side, const Packet& packet) {
  Reassembly& stream = flow->direction[side].stream;
  const uint32_t seq = packet.seq + ((packet.flags & kSyn) != 0 ? 1 : 0);
  if (!stream.started()) stream.Start(seq);
  NoteStep(flow, side, packet.payload_wire);
  if (stream.holds_early() && !flow->direction[1 - side].stream.started() &&
      now_ns_ - flow->direction[side].early_since_ns > kEarlyWaitNs) {
    SkipTo(flow, side, stream.early_offset());  // one-sided: no acknowledgement will tell
    Drain(flow);
  }
  const uint32_t held_max = static_cast<uint32_t>(std::min<uint64_t>(options_.reassembly_flow_bytes_max, UINT32_MAX));
  for (;;) {
    switch (stream.Place(seq, packet.payload, held_max, &segments_)) {
      case PlaceResult::kInOrder: break;
      case PlaceResult::kEarly:
        if (stream.held_bytes() == packet.payload.size()) flow->direction[side].early_since_ns = now_ns_;
        Count(FlowCounter::kEarlySegments);
        break;
      case PlaceResult::kOld: Count(FlowCounter::kOldSegments); break;
      case PlaceResult::kOutOfWindow: Count(FlowCounter::kOutOfWindow); break;
      case PlaceResult::kFlowFull:
      case PlaceResult::kPoolEmpty:
        Count(FlowCounter::kReassemblyFull);
        if (stream.holds_early()) SkipTo(flow, side, stream.early_offset());
        else SkipTo(flow, side, static_cast<uint64_t>(stream.OffsetOf(seq)));
        Drain(flow);
        continue;
    }
    return;
  }
}

void FlowWorker::NoteStep(Flow* flow, int side, uint32_t bytes) {
  if (flow->record == nullptr) {
    if (records_ >= options_.parsers_max) return Count(FlowCounter::kRecordPoolEmpty);
    flow->record = std::make_unique<FlowRecord>();
    ++records_;
    flow->record->first_ns = now_ns_;
    flow->last_step_ns = now_ns_;
  }
  FlowRecord& record = *flow->record;
  FlowStep& step = record.steps[record.steps_count++];
  step.size_bytes = bytes;
  step.gap_us = static_cast<uint32_t>(std::min<int64_t>((now_ns_ - flow->last_step_ns) / 1000, UINT32_MAX));
  step.from_client = side == 0;
  flow->last_step_ns = now_ns_;
  (side == 0 ? record.bytes_from_client : record.bytes_from_server) += bytes;
  if (record.steps_count == kFlowRecordSteps) EmitRecord(flow);
}

void FlowWorker::EmitRecord(Flow* flow) {
  if (flow->record == nullptr) return;
  FlowRecord& record = *flow->record;
  const StreamContext at = ContextOf(*flow);
  record.order = {packet_, flow->hash, std::numeric_limits<uint64_t>::max()};
  record.flow_id = flow->id;
  record.client = at.client;
  record.server = at.server;
  record.client_port = at.client_port;
  record.server_port = at.server_port;
  record.last_ns = flow->last_step_ns;
  record.rtt_us = flow->rtt_us;
  record.exchanges = flow->http == nullptr ? 0 : static_cast<uint32_t>(flow->http->transactions());
  Count(FlowCounter::kRecords);
  output_->OnFlowRecord(record);
  flow->record.reset();
  --records_;
}

StreamContext FlowWorker::ContextOf(const Flow& flow) const {
  StreamContext at;
  at.flow_id = flow.id;
  at.flow_hash = flow.hash;
  at.packet = packet_;
  at.time_ns = now_ns_;
  const FlowKey& key = flow.key;
  at.client = ToClientAddress(flow.client_is_low ? key.low : key.high, flow.address_length);
  at.server = ToClientAddress(flow.client_is_low ? key.high : key.low, flow.address_length);
  at.client_port = flow.client_is_low ? key.low_port : key.high_port;
  at.server_port = flow.client_is_low ? key.high_port : key.low_port;
  return at;
}

// Hands on what is contiguous; stops when the step's budget is spent.
LookResult FlowWorker::Pump() {
  if (work_.flow == nullptr) return LookResult::kDone;
  DecodeBudget budget;
  while (work_.count > 0) {
    if (!PumpSide(work_.flow, work_.sides[0], &budget)) return LookResult::kMore;
    work_.sides[0] = work_.sides[1];
    --work_.count;
  }
  Flow* flow = work_.flow;
  work_ = {};
  if (flow->direction[0].ended && flow->direction[1].ended) CloseFlow(flow, HttpEnd::kFlowEnded);
  return LookResult::kDone;
}

bool FlowWorker::PumpSide(Flow* flow, int side, DecodeBudget* budget) {
  Direction& direction = flow->direction[side];
  for (;;) {
    const Bytes data = direction.stream.Next();
    if (data.empty()) break;
    const size_t used = Deliver(flow, side, data, budget);
    direction.stream.Consume(used, &segments_);
    if (used < data.size()) return false;
  }
  if (direction.fin_seen && !direction.ended && direction.stream.next_seq() == direction.fin_seq) EndSide(flow, side);
  return true;
}

size_t FlowWorker::Deliver(Flow* flow, int side, Bytes data, DecodeBudget* budget) {
  size_t used = data.size();
  switch (flow->protocol) {
    case Protocol::kUndecided: used = Sniff(flow, side, data, budget); break;
    case Protocol::kHttp:
      used = flow->http->Feed(ContextOf(*flow), side == 0, data, budget);
      CHECK(used == data.size() || budget->bytes_left == 0);  // a decoder stops for its budget only
      break;
    case Protocol::kTls:
    case Protocol::kOther: break;
  }
  if (streams_ != nullptr) streams_->OnStreamBytes(ContextOf(*flow), side == 0, 0, data.first(used));
  return used;
}

size_t FlowWorker::Sniff(Flow* flow, int side, Bytes data, DecodeBudget* budget) {
  Direction& direction = flow->direction[side];
  uint8_t joined[kSniffBytes];
  Bytes head = data;
  if (direction.sniff_size != 0) {
    const size_t more = std::min<size_t>(data.size(), kSniffBytes - direction.sniff_size);
    std::memcpy(joined, direction.sniff, direction.sniff_size);
    std::memcpy(joined + direction.sniff_size, data.data(), more);
    head = Bytes(joined, direction.sniff_size + more);
  }
  HttpSniff sniff = SniffHttp1(head, side == 0);
  if (sniff == HttpSniff::kNeedMore && head.size() >= kSniffBytes) sniff = HttpSniff::kNotHttp;
  if (sniff == HttpSniff::kNeedMore) {
    std::memcpy(direction.sniff + direction.sniff_size, data.data(), data.size());
    direction.sniff_size = static_cast<uint8_t>(direction.sniff_size + data.size());
    return data.size();
  }
  if (sniff == HttpSniff::kNotHttp) {
    flow->protocol = LooksLikeTls(head) ? Protocol::kTls : Protocol::kOther;
    Count(flow->protocol == Protocol::kTls ? FlowCounter::kTls : FlowCounter::kNotHttp);
    return data.size();
  }
  if (parsers_ >= options_.parsers_max) {
    flow->protocol = Protocol::kOther;
    Count(FlowCounter::kParserPoolEmpty);
    return data.size();
  }
  ++parsers_;
  flow->protocol = Protocol::kHttp;
  flow->http = MakeHttpConnection(http_shared_.get());
  Count(FlowCounter::kHttp);
  for (int other = 0; other < 2; ++other) {
    Direction& held = flow->direction[other];
    if (held.sniff_size == 0) continue;
    DecodeBudget enough;
    flow->http->Feed(ContextOf(*flow), other == 0, Bytes(held.sniff, held.sniff_size), &enough);
    held.sniff_size = 0;
  }
  return flow->http->Feed(ContextOf(*flow), side == 0, data, budget);
}

void FlowWorker::SkipTo(Flow* flow, int side, uint64_t offset) {
  Direction& direction = flow->direction[side];
  if (offset <= direction.stream.next_offset()) return;
  const uint64_t skipped = offset - direction.stream.next_offset();
  Count(FlowCounter::kGaps);
  Count(FlowCounter::kGapBytes, skipped);
  direction.stream.Skip(skipped);
  direction.sniff_size = 0;
  if (flow->http != nullptr) flow->http->Gap(ContextOf(*flow), side == 0, skipped);
  if (streams_ != nullptr) streams_->OnStreamBytes(ContextOf(*flow), side == 0, skipped, {});
}

void FlowWorker::EndSide(Flow* flow, int side) {
  flow->direction[side].ended = true;
  if (flow->http != nullptr) flow->http->End(ContextOf(*flow), side == 0);
}

// Hands on everything that is contiguous, without a budget: for resets, timeouts and skipped holes.
void FlowWorker::Drain(Flow* flow) {
  for (int side = 0; side < 2; ++side) {
    for (DecodeBudget budget; !PumpSide(flow, side, &budget); budget = {}) {
    }
  }
}

void FlowWorker::CloseFlow(Flow* flow, HttpEnd reason) {
  for (int side = 0; side < 2; ++side) {
    Reassembly& stream = flow->direction[side].stream;
    while (stream.holds_early()) {
      SkipTo(flow, side, stream.early_offset());
      Drain(flow);
    }
    Direction& direction = flow->direction[side];
    if (direction.fin_seen && !direction.ended && stream.OffsetOf(direction.fin_seq) > static_cast<int64_t>(stream.next_offset())) {
      SkipTo(flow, side, static_cast<uint64_t>(stream.OffsetOf(direction.fin_seq)));
      EndSide(flow, side);
    }
  }
  EmitRecord(flow);
  if (flow->http != nullptr) {
    flow->http->Close(ContextOf(*flow), reason);
    flow->http.reset();
    --parsers_;
    flow->protocol = Protocol::kOther;
  }
  for (int side = 0; side < 2; ++side) {
    flow->direction[side].stream.Clear(&segments_);
    if (streams_ != nullptr) streams_->OnStreamEnd(ContextOf(*flow), side == 0);
  }
  Count(FlowCounter::kClosed);
  table_.Move(flow, FlowPhase::kClosed);
}

void FlowWorker::Tick(uint64_t packet, int64_t time_ns) {
  packet_ = packet;
  now_ns_ = time_ns = std::min(time_ns, kTimeMaxNs);
  while (Flow* flow = table_.Oldest(FlowPhase::kClosed)) {
    if (flow->last_ns + kClosedNs > time_ns) break;
    table_.Remove(flow);
  }
  // Collected first and sorted, so that what one tick ends comes out in the same order whichever worker holds it.
  expiring_.clear();
  while (Flow* flow = table_.Oldest(FlowPhase::kActive)) {
    if (flow->last_ns + kQuietNs > time_ns) break;
    table_.Move(flow, FlowPhase::kQuiet);
    expiring_.push_back(flow);
  }
  std::sort(expiring_.begin(), expiring_.end(), [](const Flow* a, const Flow* b) { return a->hash < b->hash; });
  for (Flow* flow : expiring_) EmitRecord(flow);

  expiring_.clear();
  for (Flow* flow = table_.Oldest(FlowPhase::kOpening);
       flow != nullptr && flow->last_ns + options_.syn_idle_ns <= time_ns; flow = flow->newer) {
    expiring_.push_back(flow);
  }
  for (Flow* flow = table_.Oldest(FlowPhase::kReset);
       flow != nullptr && flow->last_ns + kResetNs <= time_ns; flow = flow->newer) {
    expiring_.push_back(flow);
  }
  for (Flow* flow = table_.Oldest(FlowPhase::kQuiet);
       flow != nullptr && flow->last_ns + options_.flow_idle_ns <= time_ns; flow = flow->newer) {
    expiring_.push_back(flow);
  }
  std::sort(expiring_.begin(), expiring_.end(), [](const Flow* a, const Flow* b) { return a->hash < b->hash; });
  for (Flow* flow : expiring_) {
    const bool reset = flow->phase == FlowPhase::kReset;
    if (!reset) Count(FlowCounter::kTimedOut);
    CloseFlow(flow, reset ? HttpEnd::kFlowEnded : HttpEnd::kTimedOut);
    if (!reset) table_.Remove(flow);
  }
}

void FlowWorker::Finish(uint64_t packet, int64_t time_ns) {
  packet_ = packet;
  now_ns_ = time_ns;
  expiring_.clear();
  for (const FlowPhase phase : {FlowPhase::kOpening, FlowPhase::kActive, FlowPhase::kQuiet, FlowPhase::kReset}) {
    for (Flow* flow = table_.Oldest(phase); flow != nullptr; flow = flow->newer) expiring_.push_back(flow);
  }
  std::sort(expiring_.begin(), expiring_.end(), [](const Flow* a, const Flow* b) { return a->hash < b->hash; });
  for (Flow* flow : expiring_) {
    CloseFlow(flow, HttpEnd::kFlowEnded);
    table_.Remove(flow);
  }
  while (Flow* flow = table_.Oldest(FlowPhase::kClosed)) table_.Remove(flow);
}

}  // namespace

std::unique_ptr<Worker> MakeWorker(const WorkerOptions& options, HttpObserver* http, WorkerOutput* output,
                                   StreamObserver* streams) {
  return std::make_unique<FlowWorker>(options, http, output, streams);
}

}  // namespace stillwatch::dataplane
