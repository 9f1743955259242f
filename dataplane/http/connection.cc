#include "dataplane/http/connection.h"

#include <new>

#include "base/check.h"
#include "base/mutant.h"

namespace stillwatch::dataplane {
namespace {

// Anomalies that make a transaction ambiguous are the counters from kBareLf to kResynchronised, and stops that
// leave the reading open.
constexpr HttpAnomalies kMakesAmbiguous =
    ((AnomalyBit(HttpCounter::kResynchronised) << 1) - AnomalyBit(HttpCounter::kBareLf)) |
    AnomalyBit(HttpCounter::kBodyLengthUnknown) | AnomalyBit(HttpCounter::kChunkMalformed);
constexpr uint64_t kLongBodyBytes = 256u << 10;

}  // namespace

void* Connection::operator new(size_t bytes, HttpCore* core) {
  static_assert(sizeof(Connection) + kConnectionBlockHead <= kConnectionBlockBytes);
  return TakeConnectionBlock(core, bytes);
}
void Connection::operator delete(void* object) { GiveConnectionBlock(object); }
void Connection::operator delete(void* object, HttpCore*) { GiveConnectionBlock(object); }

Connection::Connection(HttpCore* core, uint64_t first_index)
    : core_(core), request_(core, this, true), response_(core, this, false), next_index_(first_index) {}

Connection::~Connection() {
  while (first_ != nullptr) Remove(first_);
}

size_t Connection::Feed(const StreamContext& at, bool from_client, Bytes data,
                        DecodeBudget* budget) {
  if (http2_ != nullptr) return http2_->Feed(at, from_client, data, budget);
  if (websocket_ != nullptr) return websocket_->Feed(at, from_client, data, budget);
  at_ = &at;
  const size_t used = (from_client ? request_ : response_).Feed(data, budget);
  // What follows the answer that upgraded.
  if (used == data.size()) return used;
  if (http2_ != nullptr) return used + http2_->Feed(at, from_client, data.subspan(used), budget);
  if (websocket_ != nullptr) return used + websocket_->Feed(at, from_client, data.subspan(used), budget);
  return used;
}

void Connection::Gap(const StreamContext& at, bool from_client, uint64_t skipped) {
  if (http2_ != nullptr) return http2_->Gap(at, from_client, skipped);
  if (websocket_ != nullptr) return websocket_->Gap(at, from_client, skipped);
  at_ = &at;
  (from_client ? request_ : response_).Gap(skipped);
}

void Connection::End(const StreamContext& at, bool from_client) {
  if (http2_ != nullptr) return http2_->End(at, from_client);
  if (websocket_ != nullptr) return websocket_->End(at, from_client);
  at_ = &at;
  (from_client ? request_ : response_).End();
}

void Connection::Close(const StreamContext& at, HttpEnd reason) {
  if (http2_ != nullptr) return http2_->Close(at, reason);
  if (websocket_ != nullptr) return websocket_->Close(at);
  at_ = &at;
  while (first_ != nullptr) {
    Transaction* const transaction = first_;
    TellEnd(transaction, transaction->request_broken ? HttpEnd::kMalformed : reason);
    Remove(transaction);
  }
  request_.Stop();
  response_.Stop();
  finished_ = true;
}

void Connection::Tick(const StreamContext& at) {
  if (http2_ != nullptr) return http2_->Tick(at);
  at_ = &at;
  for (Transaction* t = first_; t != nullptr; t = t->next) {
    if (!t->request_done) break;
    if (t->ended || at.time_ns - t->awaited_since_ns < core_->limits.response_timeout_ns) continue;
    core_->Count(HttpCounter::kTimedOut);
    TellEnd(t, HttpEnd::kTimedOut);
  }
}

int64_t Connection::next_deadline_ns() const {
  if (http2_ != nullptr) return http2_->next_deadline_ns();
  for (const Transaction* t = first_; t != nullptr && t->request_done; t = t->next) {
    if (!t->ended) return t->awaited_since_ns + core_->limits.response_timeout_ns;
  }
  return INT64_MAX;
}

// RFC 9112, 9.6: behind an answer that closes no request is answered.
bool Connection::nothing_follows() const {
  if (http2_ != nullptr || websocket_ != nullptr || responding_ == nullptr || responding_ != first_ || first_ != last_) return false;
  const Transaction& t = *responding_;
  return response_closed_ && t.request_done && t.handle == nullptr && !t.info.ambiguous && !t.asked_upgrade && !t.request.connect &&
         response_.body_bytes() >= kLongBodyBytes;
}

// ---- transactions

Transaction* Connection::Append() {
  void* const block = core_->transactions.Take();
  if (block == nullptr) return nullptr;
  auto* const transaction = new (block) Transaction;
  transaction->info.index = next_index_++;
  (last_ == nullptr ? first_ : last_->next) = transaction;
  last_ = transaction;
  ++open_;
  return transaction;
}

void Connection::Remove(Transaction* transaction) {
  Transaction* before = nullptr;
  for (Transaction* t = first_; t != transaction; t = t->next) before = t;
  (before == nullptr ? first_ : before->next) = transaction->next;
  if (last_ == transaction) last_ = before;
  if (requesting_ == transaction) requesting_ = nullptr;
  if (responding_ == transaction) responding_ = nullptr;
  --open_;
  core_->transactions.Give(transaction);
}

Transaction* Connection::AwaitingResponse() const {
  Transaction* t = first_;
  while (t != nullptr && (t->response_done || t == responding_)) t = t->next;
  return t;
}

// A response was found by searching: others may be lost before it. It is taken for the last request's, since clients wait for
// an answer before they ask again; for one that pipelines it may be an earlier one's, so all are marked.
void Connection::EndUnanswered() {
  Transaction* t = AwaitingResponse();
  const bool gap = t != nullptr && t->info.gap;
  while (t != nullptr && t->next != nullptr && !MutantIs("http.lost_answer_shifts")) {
    Transaction* const next = t->next;
    t->info.gap = gap;
    t->info.ambiguous = true;
    TellEnd(t, HttpEnd::kMalformed);
    Remove(t);
    t = next;
  }
}

void Connection::TellEnd(Transaction* transaction, HttpEnd end) {
  if (transaction->ended) return;
  transaction->ended = true;
  HttpTransactionInfo& info = transaction->info;
  info.ambiguous |= at_->contested;
  // Of messages still being read: as far as they came.
  if (transaction == requesting_) {
    info.request_body_bytes = request_.body_bytes();
    info.request_body_cut = request_.body_cut();
  }
  if (transaction == responding_) {
    info.response_body_bytes = response_.body_bytes();
    info.response_body_cut = response_.body_cut();
  }
  core_->Count(HttpCounter::kTransactions);
  if (transaction->handle != nullptr) {
    core_->observer->OnTransactionEnd(*at_, transaction->handle, end, info);
  }
  transaction->handle = nullptr;
}

void Connection::FinishIfDone(Transaction* transaction) {
  if (!transaction->request_done || !transaction->response_done) return;
  const bool whole = !transaction->request_broken && transaction->info.response_complete;
  TellEnd(transaction, whole ? HttpEnd::kComplete : HttpEnd::kMalformed);
  Remove(transaction);
}

void Connection::Mark(Transaction* transaction, HttpAnomalies anomalies) {
  if (transaction != nullptr && (anomalies & kMakesAmbiguous) != 0) transaction->info.ambiguous = true;
}

// ---- what the readers say

MessageEvents::Answer Connection::OnHead(bool is_request, Head* head) {
  return is_request ? OnRequest(head) : OnResponse(head);
}

MessageEvents::Answer Connection::OnRequest(Head* head) {
  if (open_ >= core_->limits.pipelined_requests_max) {
    GiveUp(HttpCounter::kPipelineTooDeep);
    return {};
  }
  Transaction* const t = Append();
  if (t == nullptr) {
    GiveUp(HttpCounter::kTransactionsEmpty);
    return {};
  }
  requesting_ = t;
  if (request_closed_) head->Mark(HttpCounter::kDataAfterClose);
  request_closed_ = !head->keeps_alive();
  t->request = {head->method == "HEAD", head->method == "CONNECT"};
  t->asked_upgrade = head->has_upgrade;
  t->http2_table_bytes = TableSizeOfHttp2Settings(head->http2_settings);
  t->simple = head->simple;
  HttpAnomalies stops = 0;
  Answer answer;
  answer.body = PlanRequestBody(head, &stops);
  core_->Count(HttpCounter::kRequests);
  core_->CountAll(head->anomalies | stops);
  Mark(t, head->anomalies | stops);
  t->handle = core_->observer->OnRequestHead(
      *at_, t->info.index, {head->method, head->target, head->host, head->fields});
  answer.deliver = t->handle != nullptr;
  return answer;
}

MessageEvents::Answer Connection::OnResponse(Head* head) {
  if (head->status >= 100 && head->status < 200 && head->status != 101) {
    core_->Count(HttpCounter::kInterim);
    return {{}, false, true};
  }
  if ((head->anomalies & AnomalyBit(HttpCounter::kResynchronised)) != 0) EndUnanswered();
  Transaction* t = AwaitingResponse();
  if (t == nullptr || MutantIs("http.orphan_responses")) {
    const bool too_deep = open_ >= core_->limits.pipelined_requests_max;
    t = too_deep ? nullptr : Append();
    if (t == nullptr) {
      GiveUp(too_deep ? HttpCounter::kPipelineTooDeep : HttpCounter::kTransactionsEmpty);
      return {};
    }
    core_->Count(HttpCounter::kRequestUnseen);
    t->request_done = true;
    t->awaited_since_ns = at_->time_ns;
  }
  responding_ = t;
  t->response_begun = true;
  if (response_closed_) head->Mark(HttpCounter::kDataAfterClose);
  response_closed_ = !head->keeps_alive();
  HttpAnomalies stops = 0;
  Answer answer;
  answer.body = PlanResponseBody(head, t->request, &stops);
  core_->Count(HttpCounter::kResponses);
  core_->CountAll(head->anomalies | stops);
  Mark(t, head->anomalies | stops);
  if (head->status == 101 && SwitchToHttp2(t, *head)) return {};
  if (!t->ended) {
    t->handle = core_->observer->OnResponseHead(*at_, t->handle, t->info.index,
                                                {head->status, head->fields});
  }
  answer.deliver = t->handle != nullptr;
  const bool success = head->status >= 200 && head->status < 300;
  if (head->status == 101 || (t->request.connect && success)) {
    if (head->status == 101 && SwitchToWebSocket(t, *head)) return {};
    SwitchProtocol(t, head->status != 101);
  } else if (t->asked_upgrade || t->request.connect) {
    request_.Resume();  // the other protocol was refused
  }
  return answer;
}

bool Connection::StartsRaw() {
  Transaction* const t = AwaitingResponse();
  if (t == nullptr || !t->simple) return false;
  responding_ = t;
  t->response_begun = true;
  core_->Count(HttpCounter::kResponses);
  if (!t->ended) t->handle = core_->observer->OnResponseHead(*at_, t->handle, t->info.index, {});
  return true;
}

// The response opened another protocol: this was the last transaction, unless a tunnel carries HTTP.
void Connection::SwitchProtocol(Transaction* transaction, bool tunnel) {
  core_->Count(tunnel ? HttpCounter::kTunnelled : HttpCounter::kUpgraded);
  transaction->info.response_complete = true;
  TellEnd(transaction, HttpEnd::kUpgraded);
  Remove(transaction);
  request_closed_ = response_closed_ = false;
  finished_ = true;
  if (tunnel) {
    request_.EnterTunnel();
    response_.EnterTunnel();
  } else {
    request_.Stop();
    response_.Stop();
  }
}

// 101 to "Upgrade: h2c" (RFC 7540, 3.2): the request, which must have been seen whole, is stream 1. False: it is
// another protocol, or the bytes do not allow it.
bool Connection::SwitchToHttp2(Transaction* transaction, const Head& head) {
  if (!head.upgrade_h2c || !transaction->info.request_complete || transaction->request_broken || open_ != 1) {
    return false;  // another request was pipelined behind it
  }
  core_->Count(HttpCounter::kUpgraded);
  core_->Count(Http2Counter::kUpgrades);
  using Start = Http2Reader::Start;
  const bool preface_comes = request_.awaits_peer() || request_.at_rest();
  http2_.reset(new (core_) Http2Connection(core_, next_index_, preface_comes ? Start::kPreface : Start::kJoined,
                                           Start::kFrame));
  if (!transaction->ended) {
    if (transaction->handle != nullptr) {
      core_->observer->OnSwitchedToHttp2(*at_, transaction->handle, transaction->info);
    }
    http2_->BeginUpgraded(*at_, transaction->handle, transaction->info, transaction->request,
                          transaction->awaited_since_ns, transaction->http2_table_bytes);
  }
  Remove(transaction);
  request_.HandOver();
  response_.HandOver();
  return true;
}

// 101 to "Upgrade: websocket" (RFC 6455, 4.2.2), where somebody wants to know; the handle goes on with the messages.
bool Connection::SwitchToWebSocket(Transaction* transaction, const Head& head) {
  WebSocketTerms terms;
  const bool client_waits = request_.awaits_peer() || request_.at_rest();
  if (core_->websockets == nullptr || open_ != 1 || !client_waits || !ReadWebSocketTerms(head.fields, &terms) ||
      !core_->websockets->Wants(transaction->handle)) {
    return false;
  }
  core_->Count(HttpCounter::kUpgraded);
  websocket_.reset(new (core_) WebSocketConnection(core_, terms, core_->websockets, transaction->handle));
  transaction->handle = nullptr;
  transaction->info.response_complete = true;
  TellEnd(transaction, HttpEnd::kUpgraded);
  Remove(transaction);
  request_closed_ = response_closed_ = false;
  request_.HandOver();
  response_.HandOver();
  return true;
}

void Connection::OnBody(bool is_request, Bytes data) {
  Transaction* const t = Current(is_request);
  if (t == nullptr || t->handle == nullptr) return;
  if (is_request) {
    core_->observer->OnRequestBody(*at_, t->handle, data);
  } else {
    core_->observer->OnResponseBody(*at_, t->handle, data);
  }
}

void Connection::OnMessageEnd(bool is_request) {
  Transaction* const t = Current(is_request);
  if (t == nullptr) return;
  HttpTransactionInfo& info = t->info;
  if (is_request) {
    info.request_complete = true;
    info.request_body_bytes = request_.body_bytes();
    info.request_body_cut = request_.body_cut();
    t->request_done = true;
    t->awaited_since_ns = at_->time_ns;
    requesting_ = nullptr;
    if (t->handle != nullptr) core_->observer->OnRequestEnd(*at_, t->handle);
    if ((t->asked_upgrade || t->request.connect) && !t->response_begun) request_.AwaitPeer();
  } else {
    info.response_complete = true;
    info.response_body_bytes = response_.body_bytes();
    info.response_body_cut = response_.body_cut();
    t->response_done = true;
    responding_ = nullptr;
  }
  FinishIfDone(t);
}

void Connection::OnBroken(bool is_request) {
  Transaction* const t = Current(is_request);
  if (t == nullptr) return;
  if (is_request) {
    t->info.request_body_bytes = request_.body_bytes();
    t->info.request_body_cut = true;
    t->request_broken = t->request_done = true;
    t->awaited_since_ns = at_->time_ns;
    requesting_ = nullptr;
  } else {
    t->info.response_body_bytes = response_.body_bytes();
    t->info.response_body_cut = true;
    t->response_done = true;
    responding_ = nullptr;
  }
  FinishIfDone(t);
}

void Connection::OnAnomalies(bool is_request, HttpAnomalies anomalies) {
  core_->CountAll(anomalies);
  Mark(Current(is_request), anomalies);
}

void Connection::OnGap(bool is_request) {
  Transaction* t = Current(is_request);
  // Between responses it is the next awaited one that may be hit.
  if (t == nullptr && !is_request) t = AwaitingResponse();
  if (t != nullptr) t->info.gap = true;
}

void Connection::OnGaveUp(bool) { GiveUp(HttpCounter::kGaveUp); }

void Connection::GiveUp(HttpCounter why) {
  core_->Count(why);
  Close(*at_, HttpEnd::kMalformed);
}

}  // namespace stillwatch::dataplane
