#include "pipeline/evidence/migration_layer.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mutant.h"
#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint32_t kRetryWindowS = 120;
constexpr uint32_t kSecondsPerDay = 86'400;
constexpr uint32_t kRowsOfPair = 16;
constexpr uint32_t kRetryShare = 16;  // bodies live two minutes: a table of 1/16 of the rows holds them

uint32_t CheckOf(const AccountId& id) {
  uint32_t check;
  std::memcpy(&check, id.bytes, sizeof check);
  return check;
}

uint16_t TagOf(uint64_t owner) { return static_cast<uint16_t>(std::max<uint64_t>(Mix64(owner) >> 48, 1)); }

uint32_t SecondsOf(int64_t ns) { return static_cast<uint32_t>(std::max<int64_t>(ns, 0) / kNsPerSecond); }

// The account that a row names; null: it is gone.
const Profile* OriginOf(const OriginTable::Row& row, const ProfileTable& profiles) {
  if (row.account >= profiles.size()) return nullptr;
  const Profile& profile = profiles.all()[row.account];
  return CheckOf(profile.id) == row.check ? &profile : nullptr;
}

}  // namespace

// --- OriginTable --------------------------------------------------------------------------------------

OriginTable::OriginTable(uint32_t rows_max) : rows_(std::bit_ceil(std::max(rows_max, 64u))) {}

OriginTable::Row* OriginTable::SetOf(uint64_t key) {
  return rows_.data() + (Mix64(key) & (rows_.size() / kWays - 1)) * kWays;
}

OriginTable::Row* OriginTable::Find(uint64_t key) {
  Row* const set = SetOf(key);
  for (size_t way = 0; way < kWays; ++way) {
    if (set[way].key == key && key != 0) return set + way;
  }
  return nullptr;
}

OriginTable::Row* OriginTable::Place(uint64_t key, uint32_t oldest_s, bool* replaced) {
  Row* const set = SetOf(key);
  Row* row = std::min_element(set, set + kWays, [](const Row& a, const Row& b) {
    return (a.key != 0 ? a.time_s + 1ull : 0) < (b.key != 0 ? b.time_s + 1ull : 0);
  });
  *replaced = row->key != 0 && row->time_s >= oldest_s;
  *row = Row{};
  row->key = key;
  return row;
}

void OriginTable::Erase(uint32_t check, uint32_t account, uint32_t moved) {
  for (Row& row : rows_) {
    if (row.check == check && row.account != kShared) row = Row{};
    else if (row.account == moved && moved != kShared) row.account = account;
  }
}

// --- MigrationLayer -----------------------------------------------------------------------------------

struct MigrationLayer::Turn {
  const Profile& account;
  const ProfileTable& profiles;
  uint32_t asked_s, ended_s;
  uint32_t conversation;
  bool inherited = false;  // `conversation` is that of what came back
};

MigrationLayer::MigrationLayer(const Tunables& tunables)
    : pairs_max_(std::max(tunables.migration_rows_max / kRowsOfPair, 16u)),
      ids_(tunables.migration_rows_max),
      prefixes_(tunables.migration_rows_max),
      retries_(tunables.migration_rows_max / kRetryShare) {}

uint64_t MigrationLayer::memory_bytes() const {
  return ids_.memory_bytes() + prefixes_.memory_bytes() + retries_.memory_bytes() + pairs_.size() * (sizeof(Pair) + 2 * sizeof(AccountId));
}

void MigrationLayer::Note(const dataplane::ExchangeView& exchange, const Profile& account, const ProfileTable& profiles) {
  const dataplane::ExchangeHeader& h = exchange.header();
  const auto chain = exchange.prefix_chain();
  Turn turn{account, profiles, SecondsOf(h.request_start_ns), SecondsOf(h.response_end_ns),
            static_cast<uint32_t>(Mix64(chain.empty() ? h.body_hash : chain.front()) >> 32)};
  for (uint64_t id : exchange.ids_returned()) Return(kId, id, &turn);
  // A conversation goes on: longer than what was held. Its whole self again is no migration but a repetition.
  if (h.prefix_deep_from != 0) {
    for (size_t k = h.prefix_deep_from; k < chain.size(); ++k) Return(kPrefix, chain[k - 1], &turn);
  }
  if (h.body_hash != 0) Return(kRetry, h.body_hash, &turn);

  for (uint64_t id : exchange.ids_issued()) Issue(kId, id, turn);
  const bool answered = h.status >= 200 && h.status < 300;
  const bool failed = h.status == 429 || h.status >= 500;
  if (answered && h.prefix_deep_from != 0 && h.prefix_deep_from <= chain.size()) Issue(kPrefix, chain.back(), turn);
  if (failed && h.body_hash != 0) Issue(kRetry, h.body_hash, turn);
}

bool MigrationLayer::GoesOn(const dataplane::ExchangeView& exchange) const {
  if (MutantIs("migration.kept_conversations_begin")) return false;
  return std::ranges::any_of(exchange.ids_returned(), [&](uint64_t id) { return ids_.Find(id) != nullptr; });
}

void MigrationLayer::Return(Kind kind, uint64_t key, Turn* turn) {
  OriginTable::Row* const row = TableOf(kind).Find(key);
  if (row == nullptr || row->account == OriginTable::kShared || row->time_s < oldest_s_) return;
  if (kind == kRetry && (turn->asked_s + 1 < row->time_s || turn->asked_s > row->time_s + kRetryWindowS)) return;
  if (kind != kRetry && !turn->inherited) turn->conversation = row->conversation, turn->inherited = true;
  const Profile* const origin = OriginOf(*row, turn->profiles);
  if (origin == nullptr || origin == &turn->account) return;
  if (origin->owner == turn->account.owner && !MutantIs("migration.ignores_owners")) {
    counters_.Add(MigrationCounter::kSameOwner);
    return;
  }
  const uint16_t day = static_cast<uint16_t>(turn->asked_s / kSecondsPerDay);
  if (row->day != day) row->day = day, row->others[0] = row->others[1] = 0;
  const uint16_t tag = TagOf(turn->account.owner);
  uint16_t* const end = row->others + 2;
  uint16_t* const place = std::find_if(row->others, end, [&](uint16_t other) { return other == tag || other == 0; });
  if (place == end && !MutantIs("migration.public_counts")) {
    row->account = OriginTable::kShared;
    counters_.Add(MigrationCounter::kShared);
    return;
  }
  if (place != end) *place = tag;
  counters_.Add(kind == kId       ? MigrationCounter::kIdEvents
                : kind == kPrefix ? MigrationCounter::kPrefixEvents
                                  : MigrationCounter::kRetryEvents);
  AddEvent(origin->id, kind, key, turn->conversation, *turn);
}

void MigrationLayer::Issue(Kind kind, uint64_t key, const Turn& turn) {
  if (key == 0) return;
  OriginTable& table = TableOf(kind);
  OriginTable::Row* row = table.Find(key);
  if (row != nullptr && kind != kRetry) {
    if (row->account == OriginTable::kShared) return;
    const Profile* const origin = OriginOf(*row, turn.profiles);
    if (origin != nullptr && origin->owner != turn.account.owner) {  // given to two: it names nobody
      row->account = OriginTable::kShared;
      counters_.Add(MigrationCounter::kShared);
      return;
    }
  }
  if (row == nullptr) {
    const uint32_t oldest = kind == kRetry ? turn.ended_s - std::min(turn.ended_s, kRetryWindowS) : oldest_s_;
    bool replaced = false;
    row = table.Place(key, oldest, &replaced);
    if (replaced) counters_.Add(MigrationCounter::kRowsReplaced);
  }
  if (row->account == OriginTable::kShared) {  // a body that many send; as long as it keeps failing
    if (turn.ended_s <= row->time_s + kRetryWindowS) {
      row->time_s = turn.ended_s;
      return;
    }
    row->others[0] = row->others[1] = 0;
  }
  row->account = turn.profiles.IndexOf(&turn.account);
  row->check = CheckOf(turn.account.id);
  row->conversation = turn.conversation;
  row->time_s = turn.ended_s;
}

void MigrationLayer::AddEvent(const AccountId& from, Kind kind, uint64_t key, uint32_t conversation, const Turn& turn) {
  const std::pair<AccountId, AccountId> ends = std::minmax(from, turn.account.id);
  auto at = pairs_.find(ends);
  if (at == pairs_.end()) {
    if (pairs_.size() >= pairs_max_) DropOldPairs();
    at = pairs_.emplace(ends, Pair{}).first;
    at->second.first_s = turn.asked_s;
  }
  Pair& pair = at->second;
  pair.last_s = std::max(pair.last_s, turn.asked_s);
  for (Event& event : std::span(pair.events, pair.kept)) {
    if (event.kind == kind && event.conversation == conversation) {
      event.key = key;
      event.time_s = std::max(event.time_s, turn.asked_s);
      return;
    }
  }
  if (pair.kept < kEventsKept) pair.events[pair.kept++] = {key, conversation, turn.asked_s, kind, 0};
}

// The eighth that has been quiet longest, in one go.
void MigrationLayer::DropOldPairs() {
  std::vector<uint32_t> last;
  for (const auto& [ends, pair] : pairs_) last.push_back(pair.last_s);
  const auto cut = last.begin() + static_cast<ptrdiff_t>(last.size() / 8);
  std::nth_element(last.begin(), cut, last.end());
  size_t wanted = last.size() / 8 + 1;
  for (auto at = pairs_.begin(); at != pairs_.end() && wanted != 0;) {
    if (at->second.last_s > *cut) {
      ++at;
      continue;
    }
    at = pairs_.erase(at);
    --wanted;
    counters_.Add(MigrationCounter::kPairsDropped);
  }
}

size_t MigrationLayer::Erase(const AccountId& id, uint32_t index, uint32_t moved) {
  for (OriginTable* table : {&ids_, &prefixes_, &retries_}) table->Erase(CheckOf(id), index, moved);
  return std::erase_if(pairs_, [&](const auto& item) { return item.first.first == id || item.first.second == id; });
}

void MigrationLayer::ExpireBefore(uint32_t time_s) {
  oldest_s_ = time_s;
  std::erase_if(pairs_, [&](const auto& item) { return item.second.last_s < time_s; });
}

struct MigrationLayer::Tie {
  AccountId a, b;
  uint64_t owner_a, owner_b;
  std::vector<uint32_t> conversations;  // that moved
};

// Accounts that have to do with enough owners, in as many conversations, when only such accounts count: one conversation
// may be of a person who changed keys or a link that was passed on, but nobody has one with each of three who all do the same.
std::set<AccountId> MigrationLayer::HandledByOne(const std::vector<Tie>& ties, const Tunables& tunables) {
  struct Dealings {
    std::map<uint64_t, uint32_t> owners;         // how many ties say so
    std::map<uint32_t, uint32_t> conversations;
    std::vector<const Tie*> ties;
  };
  std::map<AccountId, Dealings> dealings;
  for (const Tie& tie : ties) {
    for (const auto& [id, other] : {std::pair(tie.a, tie.owner_b), std::pair(tie.b, tie.owner_a)}) {
      Dealings& of = dealings[id];
      ++of.owners[other];
      for (uint32_t conversation : tie.conversations) ++of.conversations[conversation];
      of.ties.push_back(&tie);
    }
  }
  const auto has_few = [&](const Dealings& of) {
    const size_t least = MutantIs("migration.one_talk_is_a_relay") ? of.owners.size() : std::min(of.owners.size(), of.conversations.size());
    return least < tunables.member_links_min;
  };
  const auto take = [](auto* counts, auto what) {
    const auto at = counts->find(what);
    if (--at->second == 0) counts->erase(at);
  };
  std::vector<AccountId> out;
  std::set<AccountId> pooled;
  for (const auto& [id, of] : dealings) {
    if (has_few(of)) out.push_back(id);
    else pooled.insert(pooled.end(), id);
  }
  // Who goes takes its ties along, each once, and so may let others go.
  for (size_t i = 0; i < out.size(); ++i) {
    const AccountId gone = out[i];
    for (const Tie* tie : dealings[gone].ties) {
      const bool is_a = tie->a == gone;
      const AccountId other = is_a ? tie->b : tie->a;
      if (!pooled.contains(other)) continue;
      Dealings& of = dealings[other];
      take(&of.owners, is_a ? tie->owner_a : tie->owner_b);
      for (uint32_t conversation : tie->conversations) take(&of.conversations, conversation);
      if (has_few(of)) pooled.erase(other), out.push_back(other);
    }
  }
  return pooled;
}

std::vector<EdgeRecord> MigrationLayer::FindEdges(const ProfileTable& profiles, const Tunables& tunables) const {
  std::vector<EdgeRecord> edges;
  std::vector<Tie> ties;
  for (const auto& [ends, pair] : pairs_) {
    const Profile* const a = profiles.Find(ends.first);
    const Profile* const b = profiles.Find(ends.second);
    if (a == nullptr || b == nullptr || a->owner == b->owner) continue;
    std::set<uint32_t> moved, retried;  // conversations
    EdgeRecord edge;
    edge.first_s = UINT32_MAX;
    for (const Event& event : std::span(pair.events, pair.kept)) {
      const OriginTable::Row* const row = TableOf(event.kind).Find(event.key);
      if (event.time_s < oldest_s_ || (row != nullptr && row->account == OriginTable::kShared)) continue;
      (event.kind == kRetry ? retried : moved).insert(event.conversation);
      ++edge.count;
      edge.first_s = std::min(edge.first_s, event.time_s);
      edge.last_s = std::max(edge.last_s, event.time_s);
    }
    if (moved.empty()) continue;
    edge.a = ends.first, edge.b = ends.second;
    edge.layer = Layer::kMigration;
    edge.weight = std::min(static_cast<int32_t>(moved.size() + !retried.empty()) * tunables.migration_nats, tunables.identity_nats_max);
    edges.push_back(edge);
    ties.push_back({ends.first, ends.second, a->owner, b->owner, {moved.begin(), moved.end()}});
  }
  if (MutantIs("migration.one_event")) return edges;
  const std::set<AccountId> pooled = HandledByOne(ties, tunables);
  std::erase_if(edges, [&](const EdgeRecord& edge) {
    return edge.weight < 2 * tunables.migration_nats && !(pooled.contains(edge.a) && pooled.contains(edge.b));
  });
  return edges;
}

}  // namespace stillwatch::pipeline
