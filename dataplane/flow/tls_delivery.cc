// TLS between the byte streams and the protocols: what a TlsConnection opens goes on to the same recognition and the
// same parsers as bytes in clear. Flow records note TLS records, whatever is in them.
#include <utility>

#include "dataplane/flow/flow_worker.h"

namespace stillwatch::dataplane {

// A ClientHello behind another protocol's first words (STARTTLS, CONNECT, an upgrade of a database's protocol).
bool FlowWorker::BeginsTlsInside(Flow* flow, int side, Bytes data) {
  if (flow->protocol == Protocol::kHttp && (flow->http == nullptr || !flow->http->tunnelled())) return false;
  if (flow->sniffs >= kSniffsInsideMax) return false;
  ++flow->sniffs;
  return side == 0 && SniffHello(data) == HandshakeSide::kClient;
}

// The bytes held so far were noted as steps when they came; records that end in them are not noted again.
size_t FlowWorker::BeginTls(Flow* flow, int side, Bytes data, DecodeBudget* budget) {
  Count(FlowCounter::kTls);
  flow->over_tls = true;
  flow->protocol = Protocol::kUndecided;
  flow->tls = tls_.Open();
  flow->sniffs = 0;
  tls_flow_ = flow;
  tls_budget_ = budget;
  if (flow->mid_stream && SniffHello(data) == HandshakeSide::kUnknown) {
    // Joined in the middle: no hello will come, and no key fits.
    flow->direction[1 - side].tls.Gap();
    for (int at_side = 0; at_side < 2 && flow->tls != nullptr; ++at_side) {
      flow->tls->Gap(At(*flow), at_side == 0, this);
    }
  }
  flow->mid_stream = false;
  for (const int at_side : {1 - side, side}) {
    Segment* const first = std::exchange(flow->direction[at_side].first_bytes, nullptr);
    if (first == nullptr) continue;
    flow->direction[at_side].tls.Feed(first->bytes(), [](uint32_t) {});
    if (flow->tls != nullptr) flow->tls->Feed(At(*flow), at_side == 0, first->bytes(), this);
    segments_.Give(first);
  }
  flow->direction[side].tls.Feed(data, [](uint32_t) {});
  if (flow->tls == nullptr) return data.size();
  const size_t used = flow->tls->Feed(At(*flow), side == 0, data, this);
  AfterTls(flow);
  return used;
}

size_t FlowWorker::FeedTls(Flow* flow, int side, Bytes data, DecodeBudget* budget) {
  size_t used = data.size();
  if (flow->tls != nullptr) {
    tls_flow_ = flow;
    tls_budget_ = budget;
    used = flow->tls->Feed(At(*flow), side == 0, data, this);
  }
  flow->direction[side].tls.Feed(data.first(used), [&](uint32_t record) { NoteStep(flow, side, record); });
  if (flow->tls != nullptr) AfterTls(flow);
  return used;
}

void FlowWorker::GapTls(Flow* flow, int side) {
  if (flow->tls == nullptr) return;
  tls_flow_ = flow;
  flow->tls->Gap(At(*flow), side == 0, this);
  AfterTls(flow);
}

void FlowWorker::EndTls(Flow* flow, int side) {
  if (flow->tls == nullptr) return;
  tls_flow_ = flow;
  flow->tls->End(At(*flow), side == 0, this);
  AfterTls(flow);
}

// False when the step's budget is spent: to be called again.
bool FlowWorker::RetryTls(Flow* flow, bool last) {
  if (flow->tls == nullptr) return true;
  DecodeBudget budget;
  tls_flow_ = flow;
  tls_budget_ = &budget;
  if (!flow->tls->Retry(At(*flow), last, this)) return false;
  AfterTls(flow);
  return true;
}

// Of the latest ClientHello.
void FlowWorker::TakeJa4(Flow* flow) {
  if (flow->ja4_hash == flow->tls->ja4_hash()) return;
  flow->ja4_hash = flow->tls->ja4_hash();
  TellConnection(flow, ConnectionKind::kFront);
}

void FlowWorker::AfterTls(Flow* flow) {
  TakeJa4(flow);
  if (flow->tls->done()) return DropTls(flow);
  if (flow->tls->waiting()) ArmBy(flow, flow->tls->next_deadline_ns());
}

void FlowWorker::DropTls(Flow* flow) {
  if (flow->tls != nullptr) tls_.Close(flow->tls);
  flow->tls = nullptr;
}

size_t FlowWorker::OnTlsContent(bool from_client, Bytes data) {
  Flow* const flow = tls_flow_;
  TakeJa4(flow);
  return DeliverContent(flow, from_client ? 0 : 1, data, tls_budget_);
}

void FlowWorker::OnTlsEnd(bool from_client, bool lost) {
  Flow* const flow = tls_flow_;
  if (lost) DropFirstBytes(&flow->direction[from_client ? 0 : 1]);
  if (flow->http == nullptr) return;
  if (lost) {
    flow->http->Gap(At(*flow), from_client, 1);  // at least
  } else {
    flow->http->End(At(*flow), from_client);
  }
}

}  // namespace stillwatch::dataplane
