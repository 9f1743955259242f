// Bytes to protocols: what is contiguous goes on to the flow's decoder, a step's budget at a time.
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "dataplane/flow/flow_worker.h"

namespace stillwatch::dataplane {

namespace {

constexpr uint8_t kSniffsMax = 32;  // segments of a flow first seen in the middle that may tell its protocol
constexpr int64_t kHoleWaitNs = 2 * kNsPerSecond;
constexpr int64_t kPassAgainNs = 10 * kNsPerSecond;  // after which the kernel is asked again to keep a flow that goes on here

}  // namespace

LookResult FlowWorker::Pump() {
  Flow* const flow = work_.flow;
  if (flow == nullptr) return LookResult::kDone;
  DecodeBudget budget;
  // First what the packet acknowledges: it is older than what the packet carries.
  if (!DeliverReady(flow, 1 - work_.side, &budget)) return LookResult::kMore;
  do {
    if (!DeliverReady(flow, work_.side, &budget)) return LookResult::kMore;
  } while (work_.place && PlacePending());
  const bool waits = flow->tls != nullptr && flow->tls->waiting();  // for a secret that may still come
  if (flow->direction[0].ended && flow->direction[1].ended && !waits) {
    CloseFlow(flow, HttpEnd::kFlowEnded);
  } else if (OverButForAcks(*flow)) {
    ArmBy(flow, NextDeadline(*flow));
  } else if (options_.pass_uninteresting && MayPass(*flow) &&
             output_->OnUninteresting(EndsOf(flow->key, flow->address_length, IPPROTO_TCP), now_ns_)) {
    Count(FlowCounter::kPassed);
    flow->passed_ns = now_ns_;
    // What the kernel does not keep, or gives back, is looked at no more than before.
    DropParser(flow, HttpEnd::kFlowEnded);
    flow->sniffs = kSniffsInsideMax;
  }
  work_.flow = nullptr;
  return LookResult::kDone;
}

// Whatever the flow still carries, this worker would look for nothing in it.
bool FlowWorker::NothingWillCome(const Flow& flow) const {
  if (MutantIs("flow.passed_too_soon")) return flow.protocol != Protocol::kUndecided || flow.over_tls;
  if (flow.over_tls || flow.mid_stream) return false;  // what began unseen may have been anything
  if (flow.protocol == Protocol::kOther) return flow.sniffs >= kSniffsInsideMax;
  return flow.http != nullptr && flow.http->nothing_follows();
}

bool FlowWorker::MayPass(const Flow& flow) const {
  // Its end would not be seen, and requests behind a terminator are joined with connections that are open.
  const bool is_front = flow.told && options_.trust_proxy_header;
  const bool ends = flow.reset_ns != 0 || flow.restart_pending || flow.direction[0].fin_seen || flow.direction[1].fin_seen;
  return !is_front && !ends && (!flow.tunnelled || MutantIs("flow.tunnels_passed")) && now_ns_ - flow.syn_ns >= kPassAgeNs &&
         now_ns_ - flow.passed_ns >= kPassAgainNs && NothingWillCome(flow);
}

// Places what is left of the packet's payload. True when there may be something to deliver now.
bool FlowWorker::PlacePending() {
  Flow* const flow = work_.flow;
  Direction& direction = flow->direction[work_.side];
  Reassembly& stream = direction.stream;
  const bool held_before = stream.holds_early();
  const uint32_t conflicts_before = stream.conflict_bytes();
  const PlaceResult result =
      stream.Place(work_.seq, work_.payload, options_.reassembly_flow_bytes_max, &segments_,
                   &work_.in_order, work_.again);
  if (stream.conflict_bytes() != conflicts_before) {
    Count(FlowCounter::kConflicts);
    Count(FlowCounter::kConflictBytes, stream.conflict_bytes() - conflicts_before);
    flow->contested = true;
  }
  const bool again = work_.again;
  work_.again = true;
  switch (result) {
    case PlaceResult::kInOrder:
    case PlaceResult::kEarly:
      // What the other side had on its way when the RST came contradicts nothing.
      if (flow->reset_ns != 0 && (work_.side == flow->reset_side || MutantIs("flow.any_data_cancels_reset"))) {
        flow->reset_ns = 0;
        Count(FlowCounter::kResetContradicted);
      }
      if (result == PlaceResult::kInOrder) {
        // Alone it is placed whole.
        if (!held_before && work_.payload.size() == work_.payload_wire) work_.place = false;
        return true;
      }
      Count(FlowCounter::kEarlySegments);
      if (!held_before) OnEarly(flow, &direction);
      break;
    case PlaceResult::kOld: {
      if (!again) Count(FlowCounter::kOldSegments);
      // The end of a payload that the capture cut will not come.
      const uint64_t cut = work_.payload_wire - work_.payload.size();
      const uint32_t cut_seq = work_.seq + static_cast<uint32_t>(work_.payload.size());
      if (cut == 0 || cut_seq != stream.next_seq()) break;
      uint64_t until = stream.next_offset() + cut;
      if (stream.holds_early()) until = std::min(until, stream.early_offset());
      AddToLastStep(flow, work_.side, static_cast<uint32_t>(until - stream.next_offset()));
      SkipTo(flow, work_.side, until, FlowCounter::kCutBytes);
      work_.place = false;
      return true;
    }
    case PlaceResult::kOutOfWindow:
      Count(FlowCounter::kOutOfWindow);
      break;
    case PlaceResult::kFlowFull:
    case PlaceResult::kPoolEmpty:
      Count(FlowCounter::kReassemblyFull);
      SkipTo(flow, work_.side,
             stream.holds_early() ? stream.early_offset() : static_cast<uint64_t>(stream.OffsetOf(work_.seq)),
             FlowCounter::kGapBytes);
      return true;
  }
  work_.place = false;
  // What is held may be acknowledged already.
  return result == PlaceResult::kEarly;
}

void FlowWorker::OnEarly(Flow* flow, Direction* direction) {
  direction->hole_since_ns = now_ns_;
  if (!direction->acked) ArmBy(flow, now_ns_ + kHoleWaitNs);
}

// Delivers what is contiguous, over holes that will not be filled. False when the budget is spent.
bool FlowWorker::DeliverReady(Flow* flow, int side, DecodeBudget* budget) {
  Direction& direction = flow->direction[side];
  Reassembly& stream = direction.stream;
  for (;;) {
    const bool from_packet = side == work_.side && !work_.in_order.empty();
    const Bytes data = from_packet ? work_.in_order : stream.Next();
    if (!data.empty()) {
      const size_t used = Deliver(flow, side, data, budget);
      stream.Consume(used, &segments_);
      if (from_packet) work_.in_order = data.subspan(used);
      work_.in_chunk = used < data.size();
      if (work_.in_chunk) return false;
      continue;
    }
    if (stream.holds_early()) {
      if (direction.acked_offset < stream.early_offset() && !MutantIs("flow.skip_unacked")) return true;
      SkipTo(flow, side, stream.early_offset(), FlowCounter::kGapBytes);
      continue;
    }
    if (!direction.fin_seen || direction.ended) return true;
    const int64_t fin = stream.OffsetOf(direction.fin_seq);
    const int64_t next = static_cast<int64_t>(stream.next_offset());
    if (fin < next && !MutantIs("flow.fin_behind_ends")) {
      // Its reader has bytes from there on and throws it away (RFC 9293, 3.10.7.4).
      direction.fin_seen = false;
      Count(FlowCounter::kFinContradicted);
      return true;
    }
    const bool fin_acked = static_cast<int64_t>(direction.acked_offset) > fin;
    if (fin > next && fin_acked) {
      SkipTo(flow, side, static_cast<uint64_t>(fin), FlowCounter::kGapBytes);
    } else if (fin <= next && (fin_acked || !direction.acked)) {
      EndSide(flow, side);
    }
    if (fin <= next || !fin_acked) return true;
  }
}

// Delivers what is contiguous, whatever it decodes to: at a flow's end.
void FlowWorker::DeliverAll(Flow* flow, int side) {
  for (DecodeBudget budget; !DeliverReady(flow, side, &budget); budget = {}) {
  }
}

// Gives bytes to the flow's decoder; returns how many it took, fewer than given only when the budget is spent.
size_t FlowWorker::Deliver(Flow* flow, int side, Bytes data, DecodeBudget* budget) {
  size_t used = data.size();
  const bool new_chunk = !work_.in_chunk;
  if (!flow->over_tls && flow->protocol != Protocol::kUndecided && new_chunk && BeginsTlsInside(flow, side, data)) {
    DropParser(flow, HttpEnd::kUpgraded);
    NoteStep(flow, side, static_cast<uint32_t>(data.size()));
    used = BeginTls(flow, side, data, budget);
  } else if (flow->over_tls) {
    used = FeedTls(flow, side, data, budget);
  } else {
    if (new_chunk) NoteStep(flow, side, static_cast<uint32_t>(data.size()));
    used = DeliverContent(flow, side, data, budget);
  }
  if (streams_ != nullptr) streams_->OnStreamBytes(At(*flow), side == 0, 0, data.first(used));
  return used;
}

// The same for bytes in clear, or decrypted ones.
size_t FlowWorker::DeliverContent(Flow* flow, int side, Bytes data, DecodeBudget* budget) {
  if (flow->protocol == Protocol::kUndecided) return Recognise(flow, side, data, budget);
  if (flow->protocol == Protocol::kHttp) return FeedHttp(flow, side, data, budget);
  return data.size();
}

size_t FlowWorker::Recognise(Flow* flow, int side, Bytes data, DecodeBudget* budget) {
  if (side == 0 && flow->proxied != nullptr && flow->proxied->header_left != 0 && !flow->mid_stream) {
    return PassProxyHeader(flow, data, budget);
  }
  Direction& direction = flow->direction[side];
  const size_t held = direction.first_bytes == nullptr ? 0 : direction.first_bytes->size;
  Bytes head = data;
  if (held != 0) {
    CollectFirstBytes(&direction, data);
    head = direction.first_bytes->bytes();
  }
  HttpVersion version;
  HttpSniff sniff = SniffHttp(head, side == 0, flow->mid_stream, &version);
  if (side == 0 && flow->proxied == nullptr && !flow->mid_stream && !flow->over_tls) {
    const ProxyHeader header = ReadProxyHeader(head);
    switch (header.status) {
      case ProxyStatus::kNone: break;
      case ProxyStatus::kNeedMore: sniff = HttpSniff::kNeedMore; break;
      case ProxyStatus::kFound: return BeginProxied(flow, header, held, data, budget);
      case ProxyStatus::kMalformed: Count(FlowCounter::kProxyMalformed); break;
      case ProxyStatus::kTooLong: Count(FlowCounter::kProxyTooLong); break;
    }
  }
  if (sniff == HttpSniff::kNeedMore) {
    if (head.size() < Segment::kBytes) {
      if (held != 0 || CollectFirstBytes(&direction, data) != 0) return data.size();
      Count(FlowCounter::kSniffPoolEmpty);
    }
    sniff = HttpSniff::kNotHttp;
  }
  if (sniff == HttpSniff::kHttp) {
    if (held != 0) direction.first_bytes->size = static_cast<uint32_t>(held);
    Count(FlowCounter::kHttp);
    flow->protocol = Protocol::kHttp;
    flow->http_version = version;
    flow->http_client_first = side == 0;
    for (const int at_side : {1 - side, side}) {
      Segment* const first = std::exchange(flow->direction[at_side].first_bytes, nullptr);
      if (first == nullptr) continue;
      FeedHttpWhole(flow, at_side, first->bytes());
      segments_.Give(first);
    }
    return flow->protocol == Protocol::kHttp ? FeedHttp(flow, side, data, budget) : data.size();
  }
  // A handshake record, or in the middle of a connection any record.
  if (!flow->over_tls &&
      ((BeginsTlsRecord(head) && (head[0] == 22 || flow->mid_stream)) || (side == 0 && BeginsSsl2Hello(head)))) {
    if (held != 0) direction.first_bytes->size = static_cast<uint32_t>(held);
    return BeginTls(flow, side, data, budget);
  }
  if (flow->mid_stream && ++flow->sniffs < kSniffsMax) {
    DropFirstBytes(&direction);
    return data.size();
  }
  Count(FlowCounter::kNotHttp);
  flow->protocol = Protocol::kOther;
  for (Direction& each : flow->direction) DropFirstBytes(&each);
  return data.size();
}

// A PROXY header was read from the `held` bytes collected before and from `data`.
size_t FlowWorker::BeginProxied(Flow* flow, const ProxyHeader& header, size_t held, Bytes data, DecodeBudget* budget) {
  Count(FlowCounter::kProxied);
  DropFirstBytes(&flow->direction[0]);
  flow->proxied = proxied_.Take();
  CHECK(flow->proxied != nullptr);  // as many as flows
  CHECK(header.bytes > held);       // it was not whole before
  CHECK(header.tlvs_at > held);
  *flow->proxied = {.client = header.client,
                    .server = header.server,
                    .port = header.client_port,
                    .server_port = header.server_port,
                    .header_left = static_cast<uint16_t>(header.bytes - held),
                    .before_tlvs = static_cast<uint16_t>(header.tlvs_at - held)};
  at_ = {};  // its client is known now
  return PassProxyHeader(flow, data, budget);
}

size_t FlowWorker::PassProxyHeader(Flow* flow, Bytes data, DecodeBudget* budget) {
  ProxiedClient& proxied = *flow->proxied;
  const size_t passed = std::min<size_t>(proxied.header_left, data.size());
  const size_t before = std::min<size_t>(proxied.before_tlvs, passed);
  proxied.before_tlvs = static_cast<uint16_t>(proxied.before_tlvs - before);
  if (options_.tell_connections) proxied.tlvs.Feed(data.subspan(before, passed - before), proxy_id_salt_);
  proxied.header_left = static_cast<uint16_t>(proxied.header_left - passed);
  if (proxied.header_left == 0 && At(*flow).client_from_proxy) TellConnection(flow, ConnectionKind::kBehind);
  if (passed == data.size()) return passed;
  return passed + Recognise(flow, 0, data.subspan(passed), budget);
}

void FlowWorker::DropFirstBytes(Direction* direction) {
  if (direction->first_bytes != nullptr) segments_.Give(direction->first_bytes);
  direction->first_bytes = nullptr;
}

// Copies as much of `data` as there is room for; returns how much. 0: no chunk is left.
size_t FlowWorker::CollectFirstBytes(Direction* direction, Bytes data) {
  if (direction->first_bytes == nullptr) {
    direction->first_bytes = segments_.Take();
    if (direction->first_bytes == nullptr) return 0;
    direction->first_bytes->size = 0;
  }
  Segment& segment = *direction->first_bytes;
  const size_t take = std::min<size_t>(data.size(), Segment::kBytes - segment.size);
  std::memcpy(segment.data + segment.size, data.data(), take);
  segment.size += static_cast<uint32_t>(take);
  return take;
}

// False when no parser is left: the flow's protocol is looked for again at later segments.
bool FlowWorker::HasParser(Flow* flow) {
  if (flow->http != nullptr) return true;
  if (parsers_ < options_.parsers_max) {
    ++parsers_;
    flow->http = MakeHttpConnection(http_shared_.get(), flow->exchanges_done, flow->http_version,
                                    flow->http_client_first);
    return true;
  }
  Count(FlowCounter::kParserPoolEmpty);
  flow->protocol = Protocol::kUndecided;
  flow->mid_stream = true;
  flow->sniffs = 0;
  for (Direction& each : flow->direction) DropFirstBytes(&each);
  return false;
}

// Between messages a connection needs none, and most connections are between messages.
void FlowWorker::RestParser(Flow* flow) {
  flow->exchanges_done = flow->http->transactions();
  flow->http.reset();
  --parsers_;
}

void FlowWorker::DropParser(Flow* flow, HttpEnd reason) {
  if (flow->http == nullptr) return;
  flow->http->Close(At(*flow), reason);
  RestParser(flow);
  flow->protocol = Protocol::kOther;
}

size_t FlowWorker::FeedHttp(Flow* flow, int side, Bytes data, DecodeBudget* budget) {
  if (!HasParser(flow)) return data.size();
  const size_t used = flow->http->Feed(At(*flow), side == 0, data, budget);
  CHECK(used == data.size() || budget->bytes_left == 0);  // a decoder stops for its budget only
  if (used < data.size()) return used;
  if (flow->http->finished()) {
    DropParser(flow, HttpEnd::kUpgraded);
  } else if (flow->http->idle()) {
    RestParser(flow);
  }
  return used;
}

void FlowWorker::FeedHttpWhole(Flow* flow, int side, Bytes data) {
  while (!data.empty() && flow->protocol == Protocol::kHttp) {
    DecodeBudget budget;
    data = data.subspan(FeedHttp(flow, side, data, &budget));
  }
}

// Moves over bytes that will not come.
void FlowWorker::SkipTo(Flow* flow, int side, uint64_t offset, FlowCounter bytes_counter) {
  Direction& direction = flow->direction[side];
  if (offset <= direction.stream.next_offset()) return;
  const uint64_t skipped = offset - direction.stream.next_offset();
  if (bytes_counter == FlowCounter::kGapBytes) Count(FlowCounter::kGaps);
  Count(bytes_counter, skipped);
  direction.stream.Skip(skipped);
  direction.hole_since_ns = now_ns_;  // of the next hole, should there be one
  direction.tls.Gap();
  DropFirstBytes(&direction);
  if (flow->over_tls) {
    GapTls(flow, side);
  } else {
    if (flow->protocol == Protocol::kUndecided) flow->mid_stream = true;
    if (flow->protocol == Protocol::kHttp && HasParser(flow)) flow->http->Gap(At(*flow), side == 0, skipped);
  }
  if (streams_ != nullptr) streams_->OnStreamBytes(At(*flow), side == 0, skipped, {});
}

void FlowWorker::EndSide(Flow* flow, int side) {
  flow->direction[side].ended = true;
  if (flow->over_tls) return EndTls(flow, side);
  if (flow->http != nullptr) flow->http->End(At(*flow), side == 0);
}

}  // namespace stillwatch::dataplane
