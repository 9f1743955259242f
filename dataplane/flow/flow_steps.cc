// Flow records: the sizes and times of what a flow carried.
#include <algorithm>
#include <cstring>
#include <limits>

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
  if (flow->record == nullptr) {
    flow->record = records_.TakeRaw();
    if (flow->record == nullptr) return Count(FlowCounter::kRecordPoolEmpty);
    // Steps are written before they are read; what is not written is not told.
    FlowRecord& fresh = *flow->record;
    fresh.first_ns = now_ns_;
    flow->record_bytes[0] = flow->record_bytes[1] = 0;
    flow->record_steps = 0;
    if (flow->last_step_ns == 0) flow->last_step_ns = now_ns_;
    ArmBy(flow, now_ns_ + kRecordQuietNs);
  }
  FlowStep& step = flow->record->steps[flow->record_steps++];
  step.size_bytes = bytes;
  step.gap_us = static_cast<uint32_t>(std::min<int64_t>((now_ns_ - flow->last_step_ns) / 1000, UINT32_MAX));
  step.from_client = side == 0;
  std::memset(step.reserved, 0, sizeof step.reserved);
  flow->last_step_ns = now_ns_;
  flow->record_bytes[side] += bytes;
  if (flow->record_steps == kFlowRecordSteps) EmitRecord(flow);
}

// The rest of a payload that the capture cut.
void FlowWorker::AddToLastStep(Flow* flow, int side, uint32_t bytes) {
  if (flow->record == nullptr || flow->record_steps == 0) return;
  FlowStep& step = flow->record->steps[flow->record_steps - 1];
  if ((step.from_client != 0) != (side == 0)) return;
  step.size_bytes += bytes;
  flow->record_bytes[side] += bytes;
}

void FlowWorker::EmitRecord(Flow* flow) {
  if (flow->record == nullptr) return;
  FlowRecord& record = *flow->record;
  const StreamContext& at = At(*flow);
  const uint64_t exchanges = flow->http == nullptr ? flow->exchanges_done : flow->http->transactions();
  record.order = {packet_, flow->hash, std::numeric_limits<uint64_t>::max()};  // behind the flow's exchanges
  record.flow_id = flow->id;
  record.client = at.client;
  record.server = at.server;
  record.client_port = at.client_port;
  record.server_port = at.server_port;
  record.last_ns = flow->last_step_ns;
  record.bytes_from_client = flow->record_bytes[0];
  record.bytes_from_server = flow->record_bytes[1];
  record.steps_count = flow->record_steps;
  record.ja4_hash = flow->ja4_hash;
  record.http2_hash = flow->http != nullptr ? flow->http->http2_hash() : 0;
  record.tcp_hash = flow->tcp_hash;
  record.rtt_us = flow->rtt_us;
  record.exchanges = static_cast<uint32_t>(exchanges - flow->exchanges_told);
  flow->exchanges_told = exchanges;
  Count(FlowCounter::kRecords);
  output_->OnFlowRecord(record);
  records_.Give(flow->record);
  flow->record = nullptr;
}

// Where the flow stands at the packet or tick at hand. Valid until the next call.
const StreamContext& FlowWorker::At(const Flow& flow) {
  at_.ja4_hash = flow.ja4_hash;
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
