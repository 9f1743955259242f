#include "pipeline/evidence/work_division.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <tuple>

#include "base/mutant.h"
#include "base/hash.h"
#include "pipeline/evidence/fixed_point.h"
#include "pipeline/evidence/flat_map.h"

namespace stillwatch::pipeline {

namespace {

// Equal payloads: the same fragments, or, of requests that are cores and nothing else (a grid dealt out), the same cores.
uint64_t PayloadKey(const WorkItem& item, uint32_t fragments_min) {
  if (item.payload.size() < fragments_min) return item.cores_held | 1;
  uint64_t key = 0x243f6a8885a308d3ull;
  for (uint32_t fragment : item.payload) key = Mix64(key + fragment);
  return key | 1;
}

uint64_t PairsOf(uint64_t n) { return n * (n - (n != 0)) / 2; }

struct Keyed {
  uint64_t payload;
  uint32_t core, owner;
};

// Pairs with equal (group key) and different owners, over a list sorted by (key, owner).
template <typename SameKey>
uint64_t PairsAcrossOwners(const std::vector<Keyed>& sorted, SameKey same) {
  uint64_t pairs = 0;
  for (size_t i = 0; i < sorted.size();) {
    size_t end = i;
    uint64_t own = 0;
    while (end < sorted.size() && same(sorted[i], sorted[end])) {
      size_t run = end;
      while (run < sorted.size() && same(sorted[i], sorted[run]) && sorted[run].owner == sorted[end].owner) ++run;
      own += PairsOf(run - end);
      end = run;
    }
    pairs += PairsOf(end - i) - own;
    i = end;
  }
  return pairs;
}

// Of a list of items, those that may be compared with this one: whose text is another.
uint16_t OtherTexts(const WorkItem& item, std::span<const WorkItem* const> items) {
  uint16_t others = 0;
  for (size_t i = 0; i < items.size(); ++i) others |= static_cast<uint16_t>((items[i]->text != item.text) << i);
  return others;
}

uint32_t MedianOf(std::vector<uint32_t>& values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

void ContinuityCount::Add(const Recurrence& own, const Recurrence& other, const Tunables& tunables) {
  constexpr uint64_t kComparedMin = 24;   // fragments of one owner, before its share means anything
  constexpr uint32_t kFloorPpm = 5'000;   // so many come back by chance at least: below that a ratio is noise
  if (own.of < kComparedMin || other.of < kComparedMin) return;
  ++result_.compared;
  result_.returning += own.hits >= 2 && own.ppm() > uint64_t{tunables.continuity_ratio} * std::max(other.ppm(), kFloorPpm);
  own_ppm_.push_back(own.ppm()), other_ppm_.push_back(other.ppm());
}

Continuity ContinuityCount::Take() {
  result_.own_ppm = MedianOf(own_ppm_);
  result_.other_ppm = MedianOf(other_ppm_);
  return result_;
}

std::pair<Recurrence, Recurrence> Recurrences::Of(std::span<const WorkItem* const> mine, std::span<const WorkItem* const> theirs, bool without_habits) {
  mine_.Fill(mine.size(), [&](size_t i) { return std::span<const uint32_t>(mine[i]->payload); });
  theirs_.Fill(theirs.size(), [&](size_t i) { return std::span<const uint32_t>(theirs[i]->payload); });
  Recurrence own, other;
  for (const WorkItem* item : mine) {
    const uint16_t own_others = OtherTexts(*item, mine), their_others = OtherTexts(*item, theirs);
    const auto own_count = static_cast<uint32_t>(std::popcount(own_others)), their_count = static_cast<uint32_t>(std::popcount(their_others));
    for (uint32_t fragment : item->payload) {
      const ItemMasks::Slot held = mine_.Find(fragment);
      if (without_habits && IsHabit(held.times, mine.size())) continue;
      own.of += own_count, other.of += their_count;
      own.hits += static_cast<uint32_t>(std::popcount(static_cast<uint16_t>(held.items & own_others)));
      other.hits += static_cast<uint32_t>(std::popcount(static_cast<uint16_t>(theirs_.Find(fragment).items & their_others)));
    }
  }
  return {own, other};
}

Continuity MeasureContinuity(std::span<const WorkItem> items, size_t items_max, bool without_habits, const Tunables& tunables) {
  items_max = std::min(items_max, kContinuityItemsMax);
  std::vector<const WorkItem*> order;
  for (const WorkItem& item : items) order.push_back(&item);
  std::stable_sort(order.begin(), order.end(), [](const WorkItem* a, const WorkItem* b) { return a->owner < b->owner; });
  std::vector<std::span<const WorkItem* const>> owners;
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && order[end]->owner == order[i]->owner) ++end;
    if (end - i >= 2) owners.push_back(std::span(order).subspan(i, std::min(end - i, items_max)));
    i = end;
  }
  ContinuityCount count;
  Recurrences recurrences;
  for (size_t o = 0; o < owners.size() && owners.size() > 1; ++o) {
    const auto [own, other] = recurrences.Of(owners[o], owners[(o + 1) % owners.size()], without_habits);
    count.Add(own, other, tunables);
  }
  return count.Take();
}

int32_t DealerNats(const Continuity& group, const Continuity& cohort, const Tunables& tunables) {
  if (cohort.compared < tunables.cohort_owners_min || group.compared == 0) return 0;
  if (KeepsSubjects(group) && !MutantIs("detect.work_ignores_people")) return 0;
  const uint64_t expected_q8 = uint64_t{group.compared} * cohort.returning * 256 / cohort.compared;
  const int32_t fewer = DeficitNats(group.returning, expected_q8);
  if (MutantIs("detect.somewhat_less_is_dealt")) return std::min(fewer, tunables.work_nats_max);
  // In a large group a little fewer are certainly fewer, and still people. Two accounts of the cohort are added, one of each kind: no rate is 0 or 1.
  const uint64_t of = cohort.compared + 2, returning = cohort.returning + 1, rare = tunables.dealer_returns_one_in;
  const int64_t dealer = static_cast<int64_t>(group.compared - group.returning) * LnRatioQ8(rare * of - returning, rare * (of - returning)) -
                         static_cast<int64_t>(group.returning) * LnRatioQ8(rare, 1);
  return std::clamp(std::min(fewer, SaturateQ8(dealer)), 0, tunables.work_nats_max);
}

bool KeepsSubjects(const Continuity& group) { return group.returning * 2 > group.compared; }

WorkDivision MeasureWorkDivision(std::span<const WorkItem> items, const Tunables& tunables) {
  WorkDivision result;
  std::vector<Keyed> keyed;
  for (const WorkItem& item : items) {
    keyed.push_back({PayloadKey(item, tunables.payload_fragments_min), item.core, item.owner});
  }
  const auto by = [&](auto key) {
    std::sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) { return key(a) < key(b); });
  };
  by([](const Keyed& k) { return std::tuple(k.core, k.owner, k.payload); });
  result.pairs = PairsAcrossOwners(keyed, [](const Keyed& a, const Keyed& b) { return a.core == b.core; });
  by([](const Keyed& k) { return std::tuple(k.core, k.payload, k.owner); });
  result.collisions = PairsAcrossOwners(
      keyed, [](const Keyed& a, const Keyed& b) { return a.core == b.core && a.payload == b.payload; });
  by([](const Keyed& k) { return std::tuple(k.payload, k.owner, k.core); });
  const uint64_t same_payload =
      PairsAcrossOwners(keyed, [](const Keyed& a, const Keyed& b) { return a.payload == b.payload; });
  by([](const Keyed& k) { return std::tuple(k.core, k.payload, k.owner); });
  const uint64_t same_both = PairsAcrossOwners(
      keyed, [](const Keyed& a, const Keyed& b) { return a.core == b.core && a.payload == b.payload; });
  result.crossing = same_payload - same_both;

  return result;
}

}  // namespace stillwatch::pipeline
