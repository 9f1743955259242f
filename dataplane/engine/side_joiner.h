// Joins what a box sees on both sides of a TLS terminator: a request in clear behind it is given the client's own
// connection in front of it, with that one's JA4 and flow id (which flow records carry, too).
//
// A request names its client by address and port: from a PROXY header, or from the entry of Forwarded or
// X-Forwarded-For that llm.trusted_hops believes, where that has a port. It is joined to the one connection in front
// that had this address and port when the request began. A PROXY header's unique id, where both sides carry it, comes
// first; its destination decides between several. Where two are left, or none, nothing is joined and a counter says so:
// an exchange without a fingerprint is better than one with another client's.
//
// On the merger's thread, in the merged order, so that any number of workers gives the same. Bounds: connections_max
// connections; those that ended are kept for `keep_ns`, as long as an exchange may come late; when the table is full
// the one that ended first goes, else the oldest. All memory is taken at construction.
#pragma once

#include <cstdint>
#include <vector>

#include "base/counters.h"
#include "base/hash.h"
#include "dataplane/llm/connection_note.h"
#include "dataplane/llm/exchange.h"
#include "dataplane/llm/flow_record.h"

namespace stillwatch::dataplane {

enum class JoinCounter {
  kFronts,      // TLS and QUIC connections remembered to be joined with requests behind the terminator
  kJoined,      // exchanges that were given their client's connection in front of the terminator
  kNoFront,     // exchanges whose client's connection was not seen in front
  kNoPort,      // exchanges whose client is named without its port, so that it cannot be joined; make the terminator write the port
  kAmbiguous,   // exchanges to which two connections in front fit: not joined
  kSeenTwice,   // joined exchanges whose connection in front is decrypted as well: each request counts twice; give no session secrets where both sides are tapped
  kEvicted,     // connections forgotten before their time because the table was full; raise flow.fronts_max
  kForgotten,   // times that all were forgotten because word of one was lost (engine.connection_note_dropped)
  kCount
};
inline constexpr CounterNames<JoinCounter> kJoinCounterNames{
    "join.fronts",    "join.joined",     "join.no_front", "join.no_port",
    "join.ambiguous", "join.seen_twice", "join.evicted",  "join.forgotten"};

class SideJoiner {
 public:
  static constexpr size_t kConnectionBytes = 256;  // its share of buckets included

  SideJoiner(size_t connections_max, int64_t keep_ns, Salt salt);

  void OnNote(const ConnectionNote& note);
  void OnExchange(ExchangeHeader* exchange);
  // A joined connection's record tells how many exchanges it carried.
  void OnFlowRecord(FlowRecord* record);
  // Traffic time.
  void OnTime(int64_t now_ns);
  // Word of a connection was lost: what is known may be wrong.
  void Forget();

  const CounterBlock<JoinCounter>& counters() const { return counters_; }

 private:
  using Index = uint32_t;
  static constexpr Index kNone = ~Index{0};
  static constexpr size_t kKeys = 3;
  enum Key { kByFlow, kByClient, kById };

  struct Connection {
    ConnectionNote note;
    int64_t ended_ns;        // 0: not yet
    uint32_t exchanges;      // joined, not told by a flow record yet
    bool gave_exchanges;     // itself: it is decrypted
    uint64_t key[kKeys];     // 0: not in that index
    Index chain[kKeys];      // same bucket
    Index newer, older;      // in its list
  };
  static_assert(sizeof(Connection) + kKeys * 2 * sizeof(Index) <= kConnectionBytes);
  // Oldest first.
  struct List {
    Index oldest = kNone, newest = kNone;
  };

  Connection& At(Index i) { return connections_[i]; }
  Index& Bucket(Key by, uint64_t key) { return buckets_[by][key & mask_]; }
  uint64_t ClientKey(const ClientAddress& client, uint16_t port) const;
  Index FindFlow(uint64_t flow_id);
  Index Add(const ConnectionNote& note);
  void Remove(Index i);
  void Enter(Key by, uint64_t key, Index i);
  void Leave(Key by, Index i);
  List& ListOf(Index i) { return At(i).ended_ns == 0 ? open_ : ended_; }
  void Push(List* list, Index i);
  void Unlink(List* list, Index i);
  bool Fits(const Connection& front, const ExchangeHeader& exchange) const;
  Index Match(const ExchangeHeader& exchange, const Connection* behind);

  const size_t connections_max_;
  const int64_t keep_ns_;
  const Salt salt_;
  uint64_t mask_ = 0;
  std::vector<Connection> connections_;
  std::vector<Index> buckets_[kKeys];
  List open_, ended_;
  Index free_ = kNone;
  bool fronts_seen_ = false;
  CounterBlock<JoinCounter> counters_{kJoinCounterNames};
};

}  // namespace stillwatch::dataplane
