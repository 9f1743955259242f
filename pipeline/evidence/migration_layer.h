// Layer 2, family identity: what a server gave to one owner comes back from another. Three memories, each a bounded table
// whose oldest rows make room:
//   ids      response, tool call and reasoning ids, file ids: the owner they were issued to
//   prefixes the whole of an answered conversation of three turns and 64 tokens or more: who held it. Another owner that
//            goes on from it (more messages after the same ones) carries a conversation that is not its own
//   retries  bodies that met a 429 or 5xx, for 120 s: who sent them
// An event is a pair of accounts of different owners, a conversation and a kind; it rests on what came back last. Two accounts of one organisation make no
// event, and an edge falls when its ends turn out to have one owner. What comes back from more than three owners in a day, or
// was issued twice, is public (a shared conversation, an id that is a constant) and says nothing, of the past either.
// An edge needs events of two conversations, or of one and a retry: one may be a person who changed keys, and a retry alone
// is what two runs of one benchmark do while the service is down. One conversation is enough between accounts each of which has
// to do with three such owners at least, in as many conversations: a relay spreads its callers over so many keys that few pairs meet twice.
// Expires after tunables.retention_days. Evidence that accounts are run by one hand, never that they harvest.
// Batch thread only. Ids from the wire are only looked up: an invented one finds nothing.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "dataplane/llm/exchange.h"
#include "pipeline/evidence/edge.h"
#include "pipeline/policy/tunables.h"
#include "pipeline/profile/profile_table.h"

namespace stillwatch::pipeline {

enum class MigrationCounter {
  kIdEvents,      // exchanges that returned an id issued to another owner
  kPrefixEvents,  // exchanges that went on with a conversation of another owner
  kRetryEvents,   // exchanges with the body of another owner's that had just failed
  kSameOwner,     // of these, of one organisation: no event
  kShared,        // ids, conversations and bodies given up because many owners have them
  kRowsReplaced,  // rows forgotten before their time because their set was full
  kPairsDropped,  // pairs of accounts forgotten because there were too many
  kCount
};
inline constexpr CounterNames<MigrationCounter> kMigrationCounterNames{
    "migration.id_events", "migration.prefix_events", "migration.retry_events", "migration.same_owner",
    "migration.shared", "migration.rows_replaced", "migration.pairs_dropped"};

// A key and who has it. Four rows a set; the oldest makes room.
class OriginTable {
 public:
  static constexpr uint32_t kShared = UINT32_MAX;  // as account: many have it

  struct Row {
    uint64_t key = 0;           // 0: empty
    uint32_t account = 0;       // index of the profile
    uint32_t check = 0;         // of its id: the place may have gone to another account
    uint32_t conversation = 0;
    uint32_t time_s = 0;
    uint16_t others[2] = {};    // other owners that had it on `day`, by 16 bits of their hash; 0: none
    uint16_t day = 0;
    uint16_t unused = 0;        // said, so that a snapshot holds no byte of chance
  };

  explicit OriginTable(uint32_t rows_max);  // rounded up to a power of two, at least 64

  Row* Find(uint64_t key);
  const Row* Find(uint64_t key) const { return const_cast<OriginTable*>(this)->Find(key); }
  // A row for a key that has none; `replaced`: one from `oldest_s` or later had to go.
  Row* Place(uint64_t key, uint32_t oldest_s, bool* replaced);

  // Rows with this check are empty; those of `moved` name `account` from now on.
  void Erase(uint32_t check, uint32_t account, uint32_t moved);

  uint64_t memory_bytes() const { return rows_.size() * sizeof(Row); }
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc

 private:
  static constexpr size_t kWays = 4;
  Row* SetOf(uint64_t key);
  std::vector<Row> rows_;
};

class MigrationLayer {
 public:
  explicit MigrationLayer(const Tunables& tunables);

  // An exchange of `account`, an element of `profiles`.
  void Note(const dataplane::ExchangeView& exchange, const Profile& account, const ProfileTable& profiles);
  // Whether it comes back with something that was issued: it goes on with a conversation that the server keeps. True of a file
  // that had been uploaded, too: ids tell no kinds.
  bool GoesOn(const dataplane::ExchangeView& exchange) const;
  // Sorted by (a, b).
  std::vector<EdgeRecord> FindEdges(const ProfileTable& profiles, const Tunables& tunables) const;
  void ExpireBefore(uint32_t time_s);
  // Forgets an account: its rows and its pairs, whose number it gives. `moved`: the place whose profile is at `index` from now
  // on; UINT32_MAX: none moved.
  size_t Erase(const AccountId& id, uint32_t index, uint32_t moved);

  CounterBlock<MigrationCounter>& counters() { return counters_; }
  const CounterBlock<MigrationCounter>& counters() const { return counters_; }
  uint64_t memory_bytes() const;
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc

 private:
  enum Kind : uint32_t { kId, kPrefix, kRetry };
  static constexpr uint32_t kEventsKept = 8;  // of a pair; more say no more
  struct Event {
    uint64_t key = 0;
    uint32_t conversation = 0, time_s = 0;
    uint32_t kind = 0, unused = 0;
  };
  struct Pair {
    uint32_t first_s = 0, last_s = 0;
    uint32_t kept = 0, unused = 0;
    Event events[kEventsKept] = {};
  };
  struct Turn;  // the exchange that is noted
  struct Tie;   // a pair of accounts with what moved between them
  static std::set<AccountId> HandledByOne(const std::vector<Tie>& ties, const Tunables& tunables);

  OriginTable& TableOf(uint32_t kind) { return kind == kId ? ids_ : kind == kPrefix ? prefixes_ : retries_; }
  const OriginTable& TableOf(uint32_t kind) const { return const_cast<MigrationLayer*>(this)->TableOf(kind); }
  void Return(Kind kind, uint64_t key, Turn* turn);
  void Issue(Kind kind, uint64_t key, const Turn& turn);
  void AddEvent(const AccountId& from, Kind kind, uint64_t key, uint32_t conversation, const Turn& turn);
  void DropOldPairs();

  const uint32_t pairs_max_;
  uint32_t oldest_s_ = 0;
  OriginTable ids_, prefixes_, retries_;
  std::map<std::pair<AccountId, AccountId>, Pair> pairs_;
  CounterBlock<MigrationCounter> counters_{kMigrationCounterNames};
};

}  // namespace stillwatch::pipeline
