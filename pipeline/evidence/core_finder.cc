#include "pipeline/evidence/core_finder.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/mutant.h"
#include "base/hash.h"
#include "pipeline/evidence/flat_map.h"
#include "pipeline/evidence/fragment_numbers.h"

namespace stillwatch::pipeline {

namespace {

uint32_t RootOf(std::vector<uint32_t>* parent, uint32_t x) {
  while ((*parent)[x] != x) x = (*parent)[x] = (*parent)[(*parent)[x]];
  return x;
}

bool IsKept(const FragmentRuns::Use& use, const CoreOptions& options) {
  return use.owners >= options.owners_min && use.owners <= options.owners_max && use.requests >= options.requests_min &&
         use.texts >= std::min(options.texts_min, 3u);
}

// Union of neighbours in a run (next and next but one, so that one stray word does not part it) that meet in
// enough of their requests; the root of each set is its smallest number. By requests, not by owners: where every account
// uses every template, a phrase that two templates share would make them one.
std::vector<uint32_t> MergeRuns(const FragmentRuns& runs, std::span<const uint8_t> is_kept, uint32_t merge_percent) {
  struct Bounds {
    uint32_t requests;  // a pair meets in no more requests than hold its rarer fragment
    uint32_t needed;    // ... and must meet in so many of the more common one's
  };
  std::vector<Bounds> bounds;
  bounds.reserve(runs.uses().size());
  for (const FragmentRuns::Use& use : runs.uses()) {
    bounds.push_back({use.requests, static_cast<uint32_t>((uint64_t{use.requests} * merge_percent + 99) / 100)});
  }
  // The pairs that may merge, as often as they meet. Which may is not to be foreseen, so it is counted and not branched on.
  SmallCounters counters(runs.all().size() / 4);
  std::vector<uint64_t> keys;
  keys.reserve(runs.all().size());
  for (size_t r = 0; r < runs.requests(); ++r) {
    uint32_t run[kRequestFragments + 1];
    Bounds of[kRequestFragments + 1];
    size_t length = 0;
    for (uint32_t number : runs.run(r)) {
      run[length] = number, of[length] = bounds[number];
      length += is_kept[number];
    }
    uint64_t mine[2 * kRequestFragments];
    size_t n = 0;
    for (size_t step = 1; step <= 2; ++step) {
      for (size_t i = 0; i + step < length; ++i) {
        const uint32_t x = run[i], y = run[i + step];
        mine[n] = static_cast<uint64_t>(std::min(x, y)) << 32 | std::max(x, y);
        n += std::min(of[i].requests, of[i + step].requests) >= std::max(of[i].needed, of[i + step].needed);
      }
    }
    for (size_t i = 0; i < n; ++i) counters.Add(Mix64(mine[i]));
    keys.insert(keys.end(), mine, mine + n);
  }
  FlatMap<uint32_t> meetings;
  std::vector<std::pair<uint64_t, uint32_t>> pairs;  // key, requests needed
  for (uint64_t key : keys) {
    const uint32_t needed = std::max(bounds[key >> 32].needed, bounds[static_cast<uint32_t>(key)].needed);
    if (!counters.Reaches(Mix64(key), needed)) continue;
    if (meetings[key]++ == 0) pairs.push_back({key, needed});
  }
  std::vector<uint32_t> parent(runs.uses().size());
  std::iota(parent.begin(), parent.end(), 0);
  for (const auto& [key, needed] : pairs) {
    if (*meetings.Find(key) < needed || MutantIs("detect.merge_nothing")) continue;
    const uint32_t ra = RootOf(&parent, static_cast<uint32_t>(key >> 32)), rb = RootOf(&parent, static_cast<uint32_t>(key));
    parent[std::max(ra, rb)] = std::min(ra, rb);
  }
  for (uint32_t i = 0; i < parent.size(); ++i) parent[i] = RootOf(&parent, i);
  return parent;
}

}  // namespace

void CoreSet::KeepHeld(std::vector<uint32_t>* out) const {
  if (out->empty()) return;
  std::sort(out->begin(), out->end());
  size_t kept = 0;
  for (size_t i = 0; i < out->size();) {
    size_t end = i;
    while (end < out->size() && (*out)[end] == (*out)[i]) ++end;
    if (end - i >= cores[(*out)[i]].needed) (*out)[kept++] = (*out)[i];
    i = end;
  }
  out->resize(kept);
}

void CoreSet::CoresOf(const RememberedRequest& request, std::vector<uint32_t>* out) const {
  out->clear();
  for (uint32_t maybe = index_.MaybeIn(request.shingles()); maybe != 0; maybe &= maybe - 1) {
    const uint32_t core = CoreOfFragment(request.fragments[std::countr_zero(maybe)]);
    if (core != UINT32_MAX) out->push_back(core);
  }
  KeepHeld(out);
}

FragmentsByCore CoreSet::Fragments() const {
  FragmentsByCore result;
  std::vector<uint32_t> sorted(core_of_.size());
  index_.ForEach([&](uint32_t fragment, uint32_t at) { sorted[at] = fragment; });
  result.start.assign(cores.size() + 1, 0);
  for (uint32_t core : core_of_) ++result.start[core + 1];
  std::partial_sum(result.start.begin(), result.start.end(), result.start.begin());
  result.fragments.resize(sorted.size());
  std::vector<uint32_t> fill(result.start.begin(), result.start.end() - 1);
  for (size_t at = 0; at < sorted.size(); ++at) result.fragments[fill[core_of_[at]]++] = sorted[at];
  return result;
}

uint32_t SampledOneIn(std::span<const RequestRef> requests, const CoreOptions& options) {
  return static_cast<uint32_t>(1 + CountEntries(requests) / std::max(options.entries_max, 1u));
}

CoreSet FindCores(std::span<const RequestRef> requests, const CoreOptions& options) {
  return FindCores(requests, FragmentRuns(requests, options.owners_min, SampledOneIn(requests, options)), options);
}

CoreSet FindCores(std::span<const RequestRef> requests, const FragmentRuns& runs, const CoreOptions& options) {
  CoreSet set;
  set.sampled_one_in = SampledOneIn(requests, options);
  std::vector<uint8_t> is_kept(runs.uses().size());
  std::vector<std::pair<uint32_t, uint32_t>> order;  // fragment, number
  for (uint32_t number = 0; number < is_kept.size(); ++number) {
    const uint32_t fragment = runs.numbers().fragments()[number];
    is_kept[number] = IsKept(runs.uses()[number], options) && (set.sampled_one_in == 1 || (Mix32(fragment) >> 8) % set.sampled_one_in == 0);
    if (is_kept[number]) order.push_back({fragment, number});
  }
  std::sort(order.begin(), order.end());
  const std::vector<uint32_t> root = MergeRuns(runs, is_kept, options.merge_percent);

  // In the order of fragments the first of a set is its anchor, so cores come sorted by anchor.
  std::vector<uint32_t> fragments, core_of_root(root.size(), UINT32_MAX), core_of_number(root.size(), UINT32_MAX);
  for (const auto& [fragment, number] : order) {
    uint32_t& core = core_of_root[root[number]];
    if (core == UINT32_MAX) {
      core = static_cast<uint32_t>(set.cores.size());
      set.cores.push_back({.anchor = fragment});
    }
    ++set.cores[core].fragments;
    core_of_number[number] = core;
    fragments.push_back(fragment);
    set.core_of_.push_back(core);
  }
  set.index_.Build(fragments);
  for (Core& core : set.cores) core.needed = FragmentsNeeded(core.fragments);
  set.CollectHeld(requests, runs, core_of_number);
  return set;
}

void CoreSet::CollectHeld(std::span<const RequestRef> requests, const FragmentRuns& runs, std::span<const uint32_t> core_of_number) {
  std::vector<uint32_t> last_owner(cores.size(), UINT32_MAX);
  std::vector<uint8_t> times(cores.size(), 0);  // fragments of the request that is looked at
  held_start_.reserve(requests.size() + 1);
  held_start_.push_back(0);
  uint32_t touched[kRequestFragments];
  for (size_t r = 0; r < requests.size(); ++r) {
    uint32_t n = 0;
    for (uint32_t number : runs.run(r)) {
      const uint32_t core = core_of_number[number];
      if (core == UINT32_MAX) continue;
      touched[n] = core;
      n += times[core]++ == 0;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; ++i) {
      const uint32_t core = touched[i];
      if (times[core] >= cores[core].needed) touched[kept++] = core;
      times[core] = 0;
    }
    std::sort(touched, touched + kept);
    for (uint32_t i = 0; i < kept; ++i) {
      Core& core = cores[touched[i]];
      ++core.requests;
      core.owners += last_owner[touched[i]] != requests[r].owner;
      last_owner[touched[i]] = requests[r].owner;
      held_.push_back(touched[i]);
    }
    held_start_.push_back(static_cast<uint32_t>(held_.size()));
  }
}

}  // namespace stillwatch::pipeline
