#include "dataplane/http/framing.h"

#include "base/mutant.h"

namespace stillwatch::dataplane {
namespace {

// How the transfer codings frame the body; kNone when they say nothing.
BodyKind TransferFraming(Head* head) {
  const CodingList& codings = head->transfer;
  uint8_t chunked = 0, others = 0;
  for (uint8_t i = 0; i < codings.count; ++i) {
    const Coding coding = codings.at[i];
    if (coding == Coding::kChunked) ++chunked;
    else if (coding != Coding::kIdentity) ++others;
    if (coding == Coding::kUnknown || coding == Coding::kIdentity) {
      head->Mark(HttpCounter::kTransferUnknown);
    }
  }
  const bool last = codings.count > 0 && !codings.too_many &&
                    codings.at[codings.count - 1] == Coding::kChunked;
  if (last && chunked == 1) return BodyKind::kChunked;
  if (chunked == 0 && others == 0 && !codings.too_many) {
    head->Mark(HttpCounter::kTransferUnknown);  // empty or identity: as if it were not there
    return BodyKind::kNone;
  }
  // A response may end its codings without chunked and with the connection (RFC 9112, 6.3 rule 4).
  if (!head->is_request && chunked == 0) return BodyKind::kUntilClose;
  head->Mark(HttpCounter::kTransferNotFinal);
  return BodyKind::kUnknown;
}

BodyKind LengthFraming(const Head& head) {
  if (head.length_unknown) return BodyKind::kUnknown;
  return head.has_length ? BodyKind::kLength : BodyKind::kNone;
}

BodyKind Framing(Head* head) {
  if (head->has_transfer) {
    if (head->has_length || head->length_unknown) head->Mark(HttpCounter::kLengthAndTransfer);
    if (head->version_major == 1 && head->version_minor == 0) {
      head->Mark(HttpCounter::kTransferInHttp10);
    }
    if (MutantIs("http.length_over_transfer") && head->has_length) return BodyKind::kLength;
    const BodyKind kind = TransferFraming(head);
    if (kind != BodyKind::kNone) return kind;
  }
  return LengthFraming(*head);
}

void AddDecoder(Coding coding, BodyPlan* plan, HttpAnomalies* stops) {
  if (coding == Coding::kIdentity) return;
  if (coding == Coding::kUnsupported || coding == Coding::kUnknown || coding == Coding::kChunked) {
    plan->undecodable = true;
    *stops |= AnomalyBit(HttpCounter::kEncodingUnsupported);
  } else if (plan->decode_count == kCodingsMax) {
    plan->undecodable = true;
    *stops |= AnomalyBit(HttpCounter::kEncodingTooDeep);
  } else {
    plan->decode[plan->decode_count++] = coding;
  }
}

// Codings come off in the reverse order of application: transfer first (chunked is undone by the reader).
void PlanDecoding(const Head& head, BodyPlan* plan, HttpAnomalies* stops) {
  if (plan->kind == BodyKind::kNone || plan->kind == BodyKind::kUnknown) return;
  if (plan->kind == BodyKind::kLength && plan->length == 0) return;
  for (const CodingList* list : {&head.transfer, &head.content}) {
    if (list->too_many) {
      plan->undecodable = true;
      *stops |= AnomalyBit(HttpCounter::kEncodingTooDeep);
      continue;
    }
    for (uint8_t i = list->count; i-- > 0;) {
      if (list == &head.transfer && list->at[i] == Coding::kChunked) continue;
      AddDecoder(list->at[i], plan, stops);
    }
  }
}

BodyPlan Plan(Head* head, BodyKind when_silent, HttpAnomalies* stops) {
  BodyPlan plan;
  plan.kind = Framing(head);
  if (plan.kind == BodyKind::kNone) plan.kind = when_silent;
  if (plan.kind == BodyKind::kLength) plan.length = head->length;
  if (plan.kind == BodyKind::kUnknown) *stops |= AnomalyBit(HttpCounter::kBodyLengthUnknown);
  PlanDecoding(*head, &plan, stops);
  return plan;
}

}  // namespace

bool HasNoBody(uint16_t status, RequestTraits request) {
  return request.head || (status >= 100 && status < 200) || status == 204 || status == 304;
}

BodyPlan PlanRequestBody(Head* head, HttpAnomalies* stops) {
  if (head->simple) return {};
  return Plan(head, BodyKind::kNone, stops);
}

BodyPlan PlanResponseBody(Head* head, RequestTraits request, HttpAnomalies* stops) {
  const uint16_t status = head->status;
  const bool tunnel = request.connect && status >= 200 && status < 300;
  if (tunnel || HasNoBody(status, request)) return {};
  return Plan(head, BodyKind::kUntilClose, stops);
}

BodyPlan PlanHttp2Body(const Head& head, RequestTraits request, bool ends, HttpAnomalies* stops) {
  BodyPlan plan;
  if (ends || (!head.is_request && HasNoBody(head.status, request))) return plan;
  plan.kind = BodyKind::kUntilClose;
  PlanDecoding(head, &plan, stops);
  return plan;
}

}  // namespace stillwatch::dataplane
