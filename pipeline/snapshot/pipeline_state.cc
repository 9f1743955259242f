// Which members are state: one list a structure, read and written by it. What is not named here is lost at a restart;
// tests/pipeline/snapshot goes on from a snapshot in the middle of a crowd and compares every record.
#include <algorithm>
#include <bit>
#include <cstddef>

#include "base/clock.h"
#include "base/mutant.h"
#include "pipeline/pipeline.h"
#include "pipeline/snapshot/archive.h"

namespace stillwatch::pipeline {

namespace {
template <typename S>
inline constexpr bool kReads = std::is_same_v<S, StateReader>;
}  // namespace

template <typename S>
void ProfileTable::VisitState(S& state) {
  static_assert(kIsRaw<Profile> && kIsRaw<RememberedRequest>);
  uint32_t count = count_;
  state(count, hand_, unproven_);
  if constexpr (std::is_same_v<S, StateLayout>) {
    state(Profile{}, RememberedRequest{});
  } else {
    if constexpr (kReads<S>) {
      if (count > profiles_max_) return state.Fail("holds more accounts than detect.profiles_max allows; raise it");
      if (unproven_.size() != kUnprovenRows) return state.Fail("its tables have another size");
    }
    for (Profile& profile : std::span(profiles_.get(), count)) {
      state.Raw(&profile, offsetof(Profile, requests));
      if constexpr (kReads<S>) {
        if (profile.requests_count > kRequestsRemembered) return state.Fail("holds an account that nothing writes");
      }
      state.Raw(profile.requests, profile.requests_count * sizeof(RememberedRequest));
    }
  }
  if constexpr (kReads<S>) {
    count_ = count;
    requests_ = 0;
    for (uint32_t i = 0; i < count_; ++i) {
      *SlotOf(profiles_[i].id) = i + 1;
      requests_ += profiles_[i].requests_count;
    }
  }
}

template <typename S>
void FragmentTable::VisitState(S& state) {
  state.Table(sets_);
  state.Table(rows_);
  state.Table(door_);
}

template <typename S>
void OriginTable::VisitState(S& state) {
  static_assert(kIsRaw<Row>);
  state.Table(rows_);
}

template <typename S>
void MigrationLayer::VisitState(S& state) {
  static_assert(kIsRaw<Pair>);
  state(oldest_s_, ids_, prefixes_, retries_, pairs_);
}

template <typename S>
void SemanticClusters::VisitState(S& state) {
  static_assert(kIsRaw<Head> && kIsRaw<Stratum>);
  state.Table(heads_);
  state.Table(centres_);
  state.Table(sums_);
  state.Table(buckets_);
  state.Table(strata_);
  state(day_, learned_, next_free_);
  if constexpr (kReads<S>) {
    const auto too_far = [&](uint16_t entry) { return entry > heads_.size(); };
    if (next_free_ > heads_.size() || std::any_of(buckets_.begin(), buckets_.end(), too_far)) return state.Fail("holds a cluster that nothing writes");
    for (size_t row = 0; row < heads_.size(); ++row) owners_[row] = static_cast<uint8_t>(std::popcount(heads_[row].owners));
    free_count_ = static_cast<uint32_t>(std::count_if(heads_.begin(), heads_.end(), [](const Head& head) { return head.owners == 0; }));
  }
}

template <typename S>
void TiedCores::VisitState(S& state) {
  state(anchors_);
  if constexpr (kReads<S>) index_.Build(anchors_);
}

template <typename Value>
template <typename S>
void FlatMap<Value>::VisitState(S& state) {
  std::vector<std::pair<uint64_t, Value>> used;
  if constexpr (!kReads<S>) {
    for (const Slot& slot : slots_) {
      if (slot.used) used.emplace_back(slot.key, slot.value);
    }
    std::sort(used.begin(), used.end());  // the same content gives the same bytes
  }
  state(used);
  if constexpr (kReads<S>) {
    Clear(used.size());
    for (const auto& [key, value] : used) (*this)[key] = value;
  }
}

// Only the cores: the rest serves the evaluation that found them.
template <typename S>
void CoreSet::VisitState(S& state) {
  state(cores, sampled_one_in);
}

template <typename S>
void CampaignBook::VisitState(S& state) {
  state(campaigns_);
}

template <typename S>
void FeedbackBook::VisitState(S& state) {
  state(opinions_, ids_);
}

template <typename S>
void ImportBook::VisitState(S& state) {
  state(imports_);
  if constexpr (kReads<S>) Restored();
}

template <typename S>
void AdviceBook::VisitState(S& state) {
  state(standing_, waiting_);
}

template <typename S>
void EndUsers::VisitState(S& state) {
  static_assert(kIsRaw<Row>);
  std::vector<Row> rows;
  if constexpr (!kReads<S>) {
    for (const auto& [id, row] : rows_) rows.push_back(row);
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.user.id < b.user.id; });  // the same content gives the same bytes
  }
  state(rows);
  if constexpr (kReads<S>) {
    for (const Row& row : rows) Note(row.user, row.last_s * kNsPerSecond);
  }
}

template <typename S>
void Pipeline::VisitMemory(S& state) {
  // As of the last closed batch.
  Totals totals{before_.exchanges + counters_.Get(PipelineCounter::kExchanges) - block_at_.size(),
                before_.one_sided + counters_.Get(PipelineCounter::kOneSided), before_.skipped + coverage_skipped_};
  uint64_t epoch = options_.epoch;
  state(totals, newest_ns_, remembered_, evaluated_ns_, epoch, sequence_, edge_weights_, profiles_, tied_);
  if (!MutantIs("snapshot.forgets_end_users")) state(end_users_);
  if (!MutantIs("snapshot.forgets_fragments")) state(fragments_);
  if (!MutantIs("snapshot.forgets_migration")) state(migration_);
  gpu::SketchVersions versions = versions_;
  state(versions);
  if (!MutantIs("snapshot.forgets_clusters")) state(clusters_);
  if constexpr (kReads<S>) {
    if (versions != versions_) {  // embeddings of another table: none is like any of before
      clusters_.Clear();
      for (Profile& profile : profiles_.all()) profile.clusters = {};
    }
    before_ = totals;
    if (epoch != options_.epoch) sequence_ = 0;  // counts within an epoch; only replay keeps its own
  }
}

template <typename S>
void Pipeline::VisitBooks(S& state) {
  state(book_, feedback_, advice_, spared_, next_renewal_ns_, imports_);
}

void Pipeline::SaveState(std::string* out) const {
  // Growing would copy what is there and leave it readable in freed memory.
  out->reserve(out->size() + profiles_.size() * sizeof(Profile) + fragments_.memory_bytes() + migration_.memory_bytes() + clusters_.memory_bytes() + (16u << 20));
  StateWriter writer(out);
  const_cast<Pipeline*>(this)->VisitMemory(writer);
  const_cast<Pipeline*>(this)->VisitBooks(writer);
}

Status Pipeline::LoadState(std::string_view state) {
  StateReader reader(state, &restored_names_);
  VisitMemory(reader);
  VisitBooks(reader);
  if (reader.ok() && !reader.at_end()) reader.Fail("goes on after its end");
  if (!reader.ok()) return Error{reader.why()};
  counters_.Set(PipelineCounter::kCampaigns, book_.campaigns().size());
  return {};
}

std::string Pipeline::SealedBooks() const {
  std::string books;
  StateWriter writer(&books);
  const_cast<Pipeline*>(this)->VisitBooks(writer);
  std::string sealed = SealText(books, options_.seal_key, StateLayoutId());
  Wipe(&books);
  return sealed;
}

Status Pipeline::LoadSealedBooks(std::string_view sealed) {
  Result<std::string> books = OpenText(sealed, options_.seal_key, StateLayoutId(), "campaigns in the outbox");
  if (!books.ok()) return books.error();
  StateReader reader(books.value(), &restored_names_);
  VisitBooks(reader);
  if (!reader.at_end()) return Error{"campaigns in the outbox: " + (reader.ok() ? "go on after their end" : reader.why())};
  counters_.Set(PipelineCounter::kCampaigns, book_.campaigns().size());
  return {};
}

uint64_t Pipeline::StateLayoutId() {
  PipelineOptions options;
  options.tunables.profiles_max = options.tunables.fragment_rows_max = options.tunables.doorkeeper_rows = options.tunables.migration_rows_max = 1;
  Pipeline empty(std::move(options), nullptr, nullptr, nullptr);
  StateLayout layout;
  empty.VisitMemory(layout);
  empty.VisitBooks(layout);
  return layout.value();
}

}  // namespace stillwatch::pipeline
