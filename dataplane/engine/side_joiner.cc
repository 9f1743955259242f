#include "dataplane/engine/side_joiner.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"
#include "base/mutant.h"

namespace stillwatch::dataplane {

namespace {

// Taps of both sides need not agree better, and a request may reach the terminator's back end behind its client's RST.
constexpr int64_t kSlackNs = kNsPerSecond;

bool Same(const ClientAddress& a, const ClientAddress& b) {
  return a.length == b.length && std::memcmp(a.bytes, b.bytes, a.length) == 0;
}

}  // namespace

SideJoiner::SideJoiner(size_t connections_max, int64_t keep_ns, Salt salt)
    : connections_max_(connections_max), keep_ns_(keep_ns), salt_(DeriveSalt(salt, "side-joiner")) {
  CHECK(connections_max > 0 && connections_max < kNone);
  connections_.reserve(connections_max);
  const size_t buckets = std::bit_ceil(connections_max);
  mask_ = buckets - 1;
  for (std::vector<Index>& index : buckets_) index.assign(buckets, kNone);
}

// --- the table ----------------------------------------------------------------------------------

uint64_t SideJoiner::ClientKey(const ClientAddress& client, uint16_t port) const {
  uint8_t bytes[sizeof client.bytes + 3] = {};
  std::memcpy(bytes, client.bytes, client.length);
  bytes[16] = client.length;
  std::memcpy(bytes + 17, &port, sizeof port);
  return KeyedHash64(Bytes(bytes, sizeof bytes), salt_) | 1;
}

void SideJoiner::Enter(Key by, uint64_t key, Index i) {
  At(i).key[by] = key;
  if (key == 0) return;
  At(i).chain[by] = Bucket(by, key);
  Bucket(by, key) = i;
}

void SideJoiner::Leave(Key by, Index i) {
  if (At(i).key[by] == 0) return;
  Index* at = &Bucket(by, At(i).key[by]);
  while (*at != i) at = &At(*at).chain[by];
  *at = At(i).chain[by];
}

void SideJoiner::Push(List* list, Index i) {
  At(i).older = list->newest;
  At(i).newer = kNone;
  (list->newest != kNone ? At(list->newest).newer : list->oldest) = i;
  list->newest = i;
}

void SideJoiner::Unlink(List* list, Index i) {
  const Index older = At(i).older, newer = At(i).newer;
  (older != kNone ? At(older).newer : list->oldest) = newer;
  (newer != kNone ? At(newer).older : list->newest) = older;
}

SideJoiner::Index SideJoiner::FindFlow(uint64_t flow_id) {
  Index i = Bucket(kByFlow, flow_id | 1);
  while (i != kNone && At(i).note.flow_id != flow_id) i = At(i).chain[kByFlow];
  return i;
}

SideJoiner::Index SideJoiner::Add(const ConnectionNote& note) {
  if (free_ == kNone && connections_.size() == connections_max_) {
    counters_.Add(JoinCounter::kEvicted);
    Remove(ended_.oldest != kNone ? ended_.oldest : open_.oldest);
  }
  Index i = free_;
  if (i != kNone) {
    free_ = At(i).newer;
  } else {
    i = static_cast<Index>(connections_.size());
    connections_.emplace_back();
  }
  At(i) = {};
  At(i).note = note;
  Enter(kByFlow, note.flow_id | 1, i);
  const bool front = note.kind == ConnectionKind::kFront;
  Enter(kByClient, front ? ClientKey(note.client, note.client_port) : 0, i);
  Enter(kById, front ? note.unique_id : 0, i);
  Push(&open_, i);
  return i;
}

void SideJoiner::Remove(Index i) {
  for (const Key by : {kByFlow, kByClient, kById}) Leave(by, i);
  Unlink(&ListOf(i), i);
  At(i).newer = free_;
  free_ = i;
}

// --- what comes ---------------------------------------------------------------------------------

void SideJoiner::OnNote(const ConnectionNote& note) {
  const Index known = FindFlow(note.flow_id);
  if (note.kind == ConnectionKind::kEnded) {
    if (known == kNone || At(known).ended_ns != 0) return;
    Unlink(&open_, known);
    At(known).ended_ns = std::max<int64_t>(note.time_ns, 1);
    Push(&ended_, known);
    return;
  }
  if (known != kNone) {
    // A connection that carried a PROXY header and then TLS is one in front.
    if (At(known).note.kind == note.kind) {
      At(known).note.ja4_hash = note.ja4_hash;
      return;
    }
    Remove(known);
  }
  Add(note);
  if (note.kind != ConnectionKind::kFront) return;
  fronts_seen_ = true;
  counters_.Add(JoinCounter::kFronts);
}

// Whether the exchange's client may have sent it by this connection.
bool SideJoiner::Fits(const Connection& front, const ExchangeHeader& exchange) const {
  const ConnectionNote& note = front.note;
  if (!Same(note.client, exchange.client)) return false;
  if (exchange.client_port != 0 && note.client_port != exchange.client_port) return false;
  if (MutantIs("join.any_time")) return true;
  return note.time_ns <= exchange.request_start_ns + kSlackNs &&
         (front.ended_ns == 0 || exchange.request_start_ns <= front.ended_ns + kSlackNs);
}

// The one connection in front that fits; kNone, counted.
SideJoiner::Index SideJoiner::Match(const ExchangeHeader& exchange, const Connection* behind) {
  Index one = kNone;
  size_t fit = 0, fit_destination = 0;
  if (behind != nullptr && behind->note.unique_id != 0) {
    for (Index i = Bucket(kById, behind->note.unique_id); i != kNone; i = At(i).chain[kById]) {
      if (At(i).note.unique_id != behind->note.unique_id || !Fits(At(i), exchange)) continue;
      one = i;
      ++fit;
    }
  }
  if (fit == 0 && exchange.client_port == 0) {
    counters_.Add(JoinCounter::kNoPort);
    return kNone;
  }
  if (fit == 0) {
    const uint64_t key = ClientKey(exchange.client, exchange.client_port);
    for (Index i = Bucket(kByClient, key); i != kNone; i = At(i).chain[kByClient]) {
      if (!Fits(At(i), exchange)) continue;
      const bool destination = behind != nullptr && At(i).note.server_port == behind->note.server_port &&
                               Same(At(i).note.server, behind->note.server);
      if (destination || fit_destination == 0) one = i;
      ++fit;
      fit_destination += destination ? 1 : 0;
    }
  }
  if (fit == 1 || fit_destination == 1 || (fit != 0 && MutantIs("join.takes_any"))) return one;
  counters_.Add(fit == 0 ? JoinCounter::kNoFront : JoinCounter::kAmbiguous);
  return kNone;
}

void SideJoiner::OnExchange(ExchangeHeader* exchange) {
  if (!fronts_seen_ || exchange->client.length == 0) return;
  const Index own = FindFlow(exchange->flow_id);
  if (own != kNone && At(own).note.kind == ConnectionKind::kFront) {
    At(own).gave_exchanges = true;
    return;
  }
  const Index match = Match(*exchange, own == kNone ? nullptr : &At(own));
  if (match == kNone) return;
  Connection& front = At(match);
  counters_.Add(JoinCounter::kJoined);
  if (front.gave_exchanges) counters_.Add(JoinCounter::kSeenTwice);
  ++front.exchanges;
  exchange->flow_id = front.note.flow_id;
  exchange->ja4_hash = front.note.ja4_hash;
  exchange->http2_hash = 0;  // was the terminator's
  exchange->flags |= kClientJoined;
}

void SideJoiner::OnFlowRecord(FlowRecord* record) {
  if (!fronts_seen_) return;
  const Index i = FindFlow(record->flow_id);
  if (i == kNone) return;
  record->exchanges += At(i).exchanges;
  At(i).exchanges = 0;
}

void SideJoiner::OnTime(int64_t now_ns) {
  while (ended_.oldest != kNone && now_ns - At(ended_.oldest).ended_ns > keep_ns_) Remove(ended_.oldest);
}

void SideJoiner::Forget() {
  counters_.Add(JoinCounter::kForgotten);
  while (open_.oldest != kNone) Remove(open_.oldest);
  while (ended_.oldest != kNone) Remove(ended_.oldest);
}

}  // namespace stillwatch::dataplane
