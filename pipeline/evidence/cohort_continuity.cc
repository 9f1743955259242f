#include "pipeline/evidence/cohort_continuity.h"

#include <algorithm>
#include <bit>
#include <set>

#include "base/mutant.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint32_t kOwnersMax = 2'000;  // of a cohort, spread evenly over all

uint16_t FirstOf(uint16_t items, size_t n) { return static_cast<uint16_t>(items & ((1u << n) - 1)); }

}  // namespace

CohortContinuity::CohortContinuity(std::span<const RequestRef> requests, uint32_t owners) : requests_(requests) {
  const uint32_t step = owners / kOwnersMax + 1;
  for (uint32_t i = 0; i < requests.size();) {
    Owner owner{requests[i].owner, static_cast<uint32_t>(items_.size()), 0, 0, 0};
    for (; i < requests.size() && requests[i].owner == owner.owner; ++i) {
      if (owner.owner % step != 0 || (requests[i].request->flags & kConversation) != 0 || owner.items == kContinuityItemsMax) continue;
      ++owner.items;
      items_.push_back(i);
    }
    if (owner.items >= 2) owners_.push_back(owner);
    else items_.resize(owner.first_item);
  }
  FillHeld();
}

void CohortContinuity::FillHeld() {
  ItemMasks mine, theirs;
  std::set<uint32_t> texts;
  for (size_t o = 0; o < owners_.size(); ++o) {
    Owner& owner = owners_[o];
    const Owner& next = owners_[(o + 1) % owners_.size()];
    const auto shingles = [&](const Owner& of) {
      return [&](size_t i) { return requests_[items_[of.first_item + i]].request->shingles(); };
    };
    mine.Fill(owner.items, shingles(owner));
    theirs.Fill(next.items, shingles(next));
    owner.first_fragment = static_cast<uint32_t>(held_.size());
    for (size_t i = 0; i < owner.items; ++i) {
      for (uint32_t fragment : shingles(owner)(i)) {
        const ItemMasks::Slot slot = mine.Find(fragment);
        owner.plain &= slot.times == std::popcount(slot.items);
        if (static_cast<size_t>(std::countr_zero(slot.items)) == i) held_.push_back({fragment, slot.items, theirs.Find(fragment).items});
      }
    }
    owner.fragments = static_cast<uint32_t>(held_.size()) - owner.first_fragment;
    texts.clear();
    for (const Owner* of : {static_cast<const Owner*>(&owner), &next}) {
      for (size_t i = 0; i < of->items; ++i) texts.insert(requests_[items_[of->first_item + i]].request->text_hash);
    }
    owner.plain &= texts.size() == owner.items + next.items;
  }
}

void CohortContinuity::Add(const Owner& owner, const Owner& next, const Held& held, size_t items_max, Recurrence* own, Recurrence* other) const {
  const size_t items = std::min<size_t>(owner.items, items_max), next_items = std::min<size_t>(next.items, items_max);
  const auto mine = static_cast<uint64_t>(std::popcount(FirstOf(held.mine, items)));
  if (mine == 0 || IsHabit(mine, items)) return;
  own->of += mine * (items - 1), own->hits += mine * (mine - 1);
  other->of += mine * next_items, other->hits += mine * static_cast<uint64_t>(std::popcount(FirstOf(held.theirs, next_items)));
}

const CohortContinuity::Sums& CohortContinuity::SumsOf(size_t items_max) {
  Sums& sums = sums_[items_max];
  if (!sums.own.empty()) return sums;
  sums.own.resize(owners_.size()), sums.other.resize(owners_.size());
  for (size_t o = 0; o < owners_.size(); ++o) {
    const Owner& owner = owners_[o];
    if (!owner.plain) continue;
    for (const Held& held : std::span(held_).subspan(owner.first_fragment, owner.fragments)) {
      Add(owner, owners_[(o + 1) % owners_.size()], held, items_max, &sums.own[o], &sums.other[o]);
    }
  }
  return sums;
}

std::vector<WorkItem> CohortContinuity::ItemsOf(const Owner& owner, const CoreSet& cores, size_t items_max) const {
  std::vector<WorkItem> items;
  for (size_t i = 0; i < std::min<size_t>(owner.items, items_max); ++i) {
    const RememberedRequest& request = *requests_[items_[owner.first_item + i]].request;
    WorkItem& item = items.emplace_back(WorkItem{owner.owner, 0, request.text_hash, {}, 0});
    for (uint32_t fragment : request.shingles()) {
      if (cores.CoreOfFragment(fragment) == UINT32_MAX) item.payload.push_back(fragment);
    }
  }
  return items;
}

Continuity CohortContinuity::Measure(std::vector<uint32_t> left_out, const CoreSet& cores, size_t items_max, const Tunables& tunables) {
  items_max = std::min(items_max, kContinuityItemsMax);
  ContinuityCount count;
  if (owners_.empty()) return count.Take();
  const Sums& sums = SumsOf(items_max);
  std::sort(left_out.begin(), left_out.end());
  std::vector<size_t> kept;
  for (size_t o = 0; o < owners_.size(); ++o) {
    if (!std::binary_search(left_out.begin(), left_out.end(), owners_[o].owner)) kept.push_back(o);
  }
  Recurrences recurrences;
  for (size_t k = 0; k < kept.size() && kept.size() > 1; ++k) {
    const size_t o = kept[k], next = kept[(k + 1) % kept.size()];
    const Owner& owner = owners_[o];
    if (owner.plain && (next == (o + 1) % owners_.size() || MutantIs("detect.cohort_keeps_the_left_out"))) {
      Recurrence own = sums.own[o], other = sums.other[o], own_cores, other_cores;
      for (const Held& held : std::span(held_).subspan(owner.first_fragment, owner.fragments)) {
        if (cores.CoreOfFragment(held.fragment) != UINT32_MAX) Add(owner, owners_[next], held, items_max, &own_cores, &other_cores);
      }
      own.hits -= own_cores.hits, own.of -= own_cores.of;
      other.hits -= other_cores.hits, other.of -= other_cores.of;
      count.Add(own, other, tunables);
      continue;
    }
    const std::vector<WorkItem> mine = ItemsOf(owner, cores, items_max), theirs = ItemsOf(owners_[next], cores, items_max);
    std::vector<const WorkItem*> mine_at, theirs_at;
    for (const WorkItem& item : mine) mine_at.push_back(&item);
    for (const WorkItem& item : theirs) theirs_at.push_back(&item);
    const auto [own, other] = recurrences.Of(mine_at, theirs_at, true);
    count.Add(own, other, tunables);
  }
  return count.Take();
}

}  // namespace stillwatch::pipeline
