// Flow records: the sizes and times of what a flow carried.
#include <cstring>

#include "base/mutant.h"
#include "dataplane/flow/flow_worker.h"

namespace stillwatch::dataplane {

namespace {

constexpr int64_t kRecordQuietNs = 60 * kNsPerSecond;

ClientAddress ToClientAddress(const uint8_t* bytes, uint8_t length) {
  ClientAddress address;
  std::memcpy(address.bytes, bytes, sizeof address.bytes);
  address.length = length;
  return address;
}

}  // namespace

// One payload, or one TLS record.
void FlowWorker::NoteStep(Flow* flow, int side, uint32_t bytes) {
  switch (dataplane::NoteStep(&flow->log, &records_, side == 0, bytes, now_ns_)) {
    case StepNoted::kNoRecord: return Count(FlowCounter::kRecordPoolEmpty);
    case StepNoted::kBegun: return ArmBy(flow, now_ns_ + kRecordQuietNs);
    case StepNoted::kGoesOn: return;
    case StepNoted::kFull: return EmitRecord(flow);
  }
}

// The rest of a payload that the capture cut.
void FlowWorker::AddToLastStep(Flow* flow, int side, uint32_t bytes) {
  if (flow->log.record == nullptr || flow->log.steps == 0) return;
  FlowStep& step = flow->log.record->steps[flow->log.steps - 1];
  if ((step.from_client != 0) != (side == 0)) return;
  step.size_bytes += bytes;
  flow->log.bytes[side] += bytes;
}

void FlowWorker::EmitRecord(Flow* flow) {
  if (flow->log.record == nullptr) return;
  FlowRecord& record = FillRecord(flow->log, At(*flow), packet_);
  const uint64_t exchanges = flow->http == nullptr ? flow->exchanges_done : flow->http->transactions();
  record.http2_hash = flow->http != nullptr ? flow->http->http2_hash() : 0;
  record.tcp_hash = flow->tcp_hash;
  record.rtt_us = flow->rtt_us;
  record.exchanges = static_cast<uint32_t>(exchanges - flow->exchanges_told);
  flow->exchanges_told = exchanges;
  Count(FlowCounter::kRecords);
  output_->OnFlowRecord(record);
  records_.Give(flow->log.record);
  flow->log.record = nullptr;
}

// For joining both sides of a terminator.
void FlowWorker::TellConnection(Flow* flow, ConnectionKind kind) {
  if (!options_.tell_connections) return;
  flow->told = true;
  ConnectionNote note = NoteOf(At(*flow), packet_, now_ns_, kind);
  if (kind == ConnectionKind::kBehind) {
    note.server = flow->proxied->server;
    note.server_port = flow->proxied->server_port;
  }
  if (flow->proxied != nullptr) note.unique_id = flow->proxied->tlvs.unique_id();
  output_->OnConnection(note);
}

// Where the flow stands at the packet or tick at hand. Valid until the next call.
const StreamContext& FlowWorker::At(const Flow& flow) {
  at_.ja4_hash = flow.ja4_hash;
  at_.contested = flow.contested && !MutantIs("flow.contested_untold");
  if (at_.flow_id == flow.id && at_.packet == packet_ && at_.time_ns == now_ns_) return at_;
  const FlowKey& key = flow.key;
  at_.flow_id = flow.id;
  at_.flow_hash = flow.hash;
  at_.packet = packet_;
  at_.time_ns = now_ns_;
  at_.client = ToClientAddress(flow.client_is_low ? key.low : key.high, flow.address_length);
  at_.server = ToClientAddress(flow.client_is_low ? key.high : key.low, flow.address_length);
  at_.client_port = flow.client_is_low ? key.low_port : key.high_port;
  at_.server_port = flow.client_is_low ? key.high_port : key.low_port;
  const bool trusted = options_.trust_proxy_header || MutantIs("flow.proxy_always_trusted");
  at_.client_from_proxy = trusted && flow.proxied != nullptr && flow.proxied->client.length != 0;
  if (at_.client_from_proxy) {
    at_.client = flow.proxied->client;
    at_.client_port = flow.proxied->port;
  }
  return at_;
}

}  // namespace stillwatch::dataplane
