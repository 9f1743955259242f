#include "pipeline/evidence/work_division.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "base/mutant.h"
#include "base/hash.h"
#include "pipeline/evidence/fixed_point.h"
#include "pipeline/evidence/flat_map.h"

namespace stillwatch::pipeline {

namespace {

// Equal payloads: the same text, or the same fragments; empty payloads are all equal.
uint64_t PayloadKey(const WorkItem& item, uint32_t fragments_min) {
  if (item.payload.size() < fragments_min) return 0;
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

// How often a payload fragment of an item comes back in other items: of the same owner, and of the owner
// that follows in order, the same number of items looked at. The median over owners: a few who repeat themselves
// (a harness, a job) do not speak for the others.
void MeasureContinuity(std::span<const WorkItem> items, WorkDivision* result) {
  std::vector<uint32_t> order(items.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return items[a].owner < items[b].owner; });
  std::vector<std::pair<size_t, size_t>> owners;  // ranges in `order`
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && items[order[end]].owner == items[order[i]].owner) ++end;
    owners.push_back({i, end});
    i = end;
  }
  constexpr size_t kItemsMax = 12;  // of one owner, so that one owner cannot set the share
  uint64_t own_all = 0, other_all = 0;  // fragments compared
  std::vector<uint32_t> own_ppm, other_ppm;  // by owner
  const auto note = [](uint64_t hits, uint64_t of, uint64_t* all, std::vector<uint32_t>* ppm) {
    *all += of;
    if (of != 0) ppm->push_back(static_cast<uint32_t>(hits * 1'000'000 / of));
  };
  const auto shared = [&](const WorkItem& a, const WorkItem& b, uint64_t* hits, uint64_t* of) {
    if (a.text == b.text) return;
    for (uint32_t fragment : a.payload) {
      ++*of;
      *hits += std::binary_search(b.payload.begin(), b.payload.end(), fragment);
    }
  };
  for (size_t o = 0; o < owners.size() && owners.size() > 1; ++o) {
    const auto [begin, end] = owners[o];
    const auto [next_begin, next_end] = owners[(o + 1) % owners.size()];
    const size_t mine = std::min(end - begin, kItemsMax), theirs = std::min(next_end - next_begin, kItemsMax);
    uint64_t own = 0, own_of = 0, other = 0, other_of = 0;
    for (size_t i = 0; i < mine; ++i) {
      for (size_t j = 0; j < mine; ++j) {
        if (j != i) shared(items[order[begin + i]], items[order[begin + j]], &own, &own_of);
      }
      for (size_t j = 0; j < theirs; ++j) {
        shared(items[order[begin + i]], items[order[next_begin + j]], &other, &other_of);
      }
    }
    note(own, own_of, &own_all, &own_ppm);
    note(other, other_of, &other_all, &other_ppm);
  }
  const auto median = [](std::vector<uint32_t>& values) {
    if (values.empty()) return 0u;
    const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  };
  constexpr uint64_t kComparedMin = 400;  // fragments, before a share means anything
  result->continuity_known = own_all >= kComparedMin && other_all >= kComparedMin;
  result->own_ppm = median(own_ppm);
  result->other_ppm = median(other_ppm);
}

}  // namespace

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
  std::erase_if(keyed, [](const Keyed& k) { return k.payload == 0; });
  by([](const Keyed& k) { return std::tuple(k.payload, k.owner, k.core); });
  const uint64_t same_payload =
      PairsAcrossOwners(keyed, [](const Keyed& a, const Keyed& b) { return a.payload == b.payload; });
  by([](const Keyed& k) { return std::tuple(k.core, k.payload, k.owner); });
  const uint64_t same_both = PairsAcrossOwners(
      keyed, [](const Keyed& a, const Keyed& b) { return a.core == b.core && a.payload == b.payload; });
  result.crossing = same_payload - same_both;

  MeasureContinuity(items, &result);
  // One fragment in ten thousand comes back by chance at least: below that a ratio is noise.
  constexpr uint32_t kFloorPpm = 5'000;
  result.people = result.continuity_known &&
                  result.own_ppm > static_cast<uint64_t>(tunables.continuity_ratio) *
                                       std::max(result.other_ppm, kFloorPpm);
  result.expected_q8 = result.pairs * 256 / std::max(tunables.collision_one_in, 1u);
  if (result.expected_q8 >= tunables.collision_expected_min * 256ull &&
      (!result.people || MutantIs("detect.work_ignores_people"))) {
    result.nats = std::min(DeficitNats(result.collisions, result.expected_q8), tunables.work_nats_max);
  }
  return result;
}

}  // namespace stillwatch::pipeline
