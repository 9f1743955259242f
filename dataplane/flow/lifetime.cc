// How flows end: closed, reset, silent, evicted, at the end of it all.
#include <algorithm>
#include <limits>
#include <tuple>

#include "base/mutant.h"
#include "dataplane/flow/flow_worker.h"

namespace stillwatch::dataplane {

namespace {

constexpr int64_t kLingerNs = 10 * kNsPerSecond;  // late copies after a close; a close whose last ACKs are missing
constexpr int64_t kResetWaitNs = 2 * kNsPerSecond;
constexpr int64_t kHoleWaitNs = 2 * kNsPerSecond;
constexpr int64_t kRecordQuietNs = 60 * kNsPerSecond;
// Room for timeouts above any time stamp that a capture may hold.
constexpr int64_t kTimeMaxNs = std::numeric_limits<int64_t>::max() - 2 * kNsPerDay;

}  // namespace

void FlowWorker::SetTime(uint64_t packet, int64_t time_ns) {
  packet_ = packet;
  now_ns_ = std::clamp<int64_t>(time_ns, 0, kTimeMaxNs);
}

void FlowWorker::EvictOne() {
  Count(FlowCounter::kEvicted);
  Flow* const victim = table_.Victim();
  if (victim->phase != FlowPhase::kClosed) CloseFlow(victim, HttpEnd::kFlowEnded);
  ReleaseFlow(victim);
}

// Tells everybody that the flow is over, and gives back all that it holds but its place in the table.
void FlowWorker::CloseFlow(Flow* flow, HttpEnd reason) {
  work_.in_chunk = false;
  work_.in_order = {};
  for (int side = 0; side < 2; ++side) {
    Direction& direction = flow->direction[side];
    Reassembly& stream = direction.stream;
    TakeUncontested(&direction);
    DeliverAll(flow, side);
    while (stream.holds_early()) {
      SkipTo(flow, side, stream.early_offset(), FlowCounter::kGapBytes);
      DeliverAll(flow, side);
    }
    if (direction.fin_seen && !direction.ended) {
      const int64_t fin = stream.OffsetOf(direction.fin_seq);
      if (fin > static_cast<int64_t>(stream.next_offset())) {
        SkipTo(flow, side, static_cast<uint64_t>(fin), FlowCounter::kGapBytes);
      }
      EndSide(flow, side);
    }
  }
  while (!RetryTls(flow, true)) {
  }
  DropTls(flow);
  DropParser(flow, reason);
  EmitRecord(flow);
  if (flow->told) TellConnection(flow, ConnectionKind::kEnded);
  for (int side = 0; side < 2; ++side) {
    Direction& direction = flow->direction[side];
    direction.stream.Clear(&segments_);
    DropFirstBytes(&direction);
    if (streams_ != nullptr) streams_->OnStreamEnd(At(*flow), side == 0);
  }
  Count(FlowCounter::kClosed);
  flow->phase = FlowPhase::kClosed;
  wheel_.Arm(flow, flow->last_ns + kLingerNs, now_ns_);
}

void FlowWorker::ReleaseFlow(Flow* flow) {
  wheel_.Disarm(flow);
  if (flow->proxied != nullptr) proxied_.Give(flow->proxied);
  table_.Remove(flow);
}

// Both directions have come to their FIN (or were never seen), but an acknowledgement is missing.
bool FlowWorker::OverButForAcks(const Flow& flow) const {
  bool fin = false;
  for (const Direction& direction : flow.direction) {
    if (!direction.fin_seen) {
      if (direction.stream.next_offset() != 0 || direction.stream.holds_early()) return false;
      continue;
    }
    fin = true;
    if (direction.stream.OffsetOf(direction.fin_seq) > static_cast<int64_t>(direction.stream.next_offset())) {
      return false;
    }
  }
  return fin && (flow.direction[0].fin_seen == flow.direction[1].fin_seen ||
                 !flow.direction[0].acked || !flow.direction[1].acked);
}

int64_t FlowWorker::NextDeadline(const Flow& flow) const {
  if (flow.phase == FlowPhase::kClosed) return flow.last_ns + kLingerNs;
  int64_t next = flow.last_ns + (flow.phase == FlowPhase::kOpening ? options_.syn_idle_ns : options_.flow_idle_ns);
  if (OverButForAcks(flow)) next = std::min(next, flow.last_ns + kLingerNs);
  if (flow.reset_ns != 0) next = std::min(next, flow.reset_ns + kResetWaitNs);
  if (flow.log.record != nullptr) next = std::min(next, flow.log.last_step_ns + kRecordQuietNs);
  if (flow.http != nullptr) next = std::min(next, flow.http->next_deadline_ns());
  if (flow.tls != nullptr) next = std::min(next, flow.tls->next_deadline_ns());
  for (const Direction& direction : flow.direction) {
    if (!direction.acked && direction.stream.holds_early()) {
      next = std::min(next, direction.hole_since_ns + kHoleWaitNs);
    }
  }
  return next;
}

void FlowWorker::ArmBy(Flow* flow, int64_t deadline_ns) {
  if (!TimerWheel::ArmedBy(*flow, deadline_ns)) wheel_.Arm(flow, deadline_ns, now_ns_);
}

void FlowWorker::OnTimer(Flow* flow) {
  const auto past = [this](int64_t since_ns, int64_t wait_ns) { return since_ns + wait_ns <= now_ns_; };
  if (flow->phase == FlowPhase::kClosed) {
    if (past(flow->last_ns, kLingerNs)) return ReleaseFlow(flow);
    return wheel_.Arm(flow, NextDeadline(*flow), now_ns_);
  }
  for (int side = 0; side < 2; ++side) {
    Direction& direction = flow->direction[side];
    if (direction.acked || !direction.stream.holds_early() || !past(direction.hole_since_ns, kHoleWaitNs)) continue;
    SkipTo(flow, side, direction.stream.early_offset(), FlowCounter::kGapBytes);
    DeliverAll(flow, side);
  }
  if (flow->tls != nullptr && flow->tls->next_deadline_ns() <= now_ns_) {
    while (!RetryTls(flow, false)) {
    }
  }
  if (flow->http != nullptr && flow->http->next_deadline_ns() <= now_ns_) flow->http->Tick(At(*flow));
  const bool opening = flow->phase == FlowPhase::kOpening;
  if (past(flow->last_ns, opening ? options_.syn_idle_ns : options_.flow_idle_ns)) {
    Count(FlowCounter::kTimedOut);
    CloseFlow(flow, HttpEnd::kTimedOut);
    return ReleaseFlow(flow);
  }
  // A connection that is over is kept while its secret may still come.
  const bool waits = flow->tls != nullptr && flow->tls->waiting();
  if (!waits && ((flow->reset_ns != 0 && past(flow->reset_ns, kResetWaitNs)) ||
                 (OverButForAcks(*flow) && past(flow->last_ns, kLingerNs)))) {
    return CloseFlow(flow, HttpEnd::kFlowEnded);
  }
  if (flow->log.record != nullptr && past(flow->log.last_step_ns, kRecordQuietNs)) EmitRecord(flow);
  wheel_.Arm(flow, NextDeadline(*flow), now_ns_);
}

// What one tick tells comes in the order of hashes, whatever the transport.
void FlowWorker::EndQuicBefore(uint64_t hash, size_t* next) {
  for (; *next < quic_due_.size() && quic_due_[*next]->hash <= hash; ++*next) quic_.End(quic_due_[*next], packet_, now_ns_);
}

void FlowWorker::Tick(uint64_t packet, int64_t time_ns) {
  SetTime(packet, time_ns);
  tls_.Poll(now_ns_);
  tls_.Expire(now_ns_);
  due_.clear();
  wheel_.Advance(now_ns_, &due_);
  std::sort(due_.begin(), due_.end(), [](const Flow* a, const Flow* b) {
    return std::tie(a->hash, a->id) < std::tie(b->hash, b->id);
  });
  if (MutantIs("flow.ticks_unordered")) std::reverse(due_.begin(), due_.end());
  quic_due_.clear();
  quic_.Due(now_ns_, false, &quic_due_);
  size_t next = 0;
  for (Flow* flow : due_) {
    EndQuicBefore(flow->hash, &next);
    OnTimer(flow);
  }
  EndQuicBefore(UINT64_MAX, &next);
}

void FlowWorker::Finish(uint64_t packet, int64_t time_ns) {
  SetTime(packet, time_ns);
  due_.clear();
  table_.ForEach([this](Flow* flow) { due_.push_back(flow); });
  std::sort(due_.begin(), due_.end(), [](const Flow* a, const Flow* b) {
    return std::tie(a->hash, a->id) < std::tie(b->hash, b->id);
  });
  quic_due_.clear();
  quic_.Due(now_ns_, true, &quic_due_);
  size_t next = 0;
  for (Flow* flow : due_) {
    EndQuicBefore(flow->hash, &next);
    if (flow->phase != FlowPhase::kClosed) CloseFlow(flow, HttpEnd::kFlowEnded);
    ReleaseFlow(flow);
  }
  EndQuicBefore(UINT64_MAX, &next);
}

}  // namespace stillwatch::dataplane
