#include "pipeline/evidence/core_finder.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/mutant.h"
#include "base/hash.h"
#include "pipeline/evidence/flat_map.h"
#include "pipeline/evidence/fragment_numbers.h"
#include "pipeline/evidence/fragment_postings.h"

namespace stillwatch::pipeline {

namespace {

struct Use {
  uint32_t owners = 0;
  uint32_t requests = 0;
  uint32_t last_owner = UINT32_MAX;
  uint32_t texts_count = 0;
  uint32_t texts[3] = {};  // the first distinct ones

  void Note(uint32_t owner, uint32_t text) {
    owners += owner != last_owner;
    ++requests;
    last_owner = owner;
    if (texts_count == 3 || std::find(texts, texts + texts_count, text) != texts + texts_count) return;
    texts[texts_count++] = text;
  }
};

uint32_t RootOf(std::vector<uint32_t>* parent, uint32_t x) {
  while ((*parent)[x] != x) x = (*parent)[x] = (*parent)[(*parent)[x]];
  return x;
}

// The fragments that enough owners use, sorted, in how many requests each, and where the requests hold them:
// every fragment of a request is looked up once, later steps work on numbers.
struct KeptFragments {
  std::vector<uint32_t> fragments, requests;
  std::vector<uint32_t> runs, run_start;  // indexes into `fragments`, in text order, by request

  std::span<const uint32_t> run(size_t i) const { return {runs.data() + run_start[i], run_start[i + 1] - run_start[i]}; }
};

KeptFragments KeepFragments(std::span<const RequestRef> requests, const CoreOptions& options, uint64_t entries,
                            uint32_t one_in) {
  const SmallCounters counters = CountFragments(requests, entries);
  FragmentNumbers numbers;
  std::vector<Use> uses;
  KeptFragments kept;
  kept.run_start.reserve(requests.size() + 1);
  kept.run_start.push_back(0);
  const auto note = [&](size_t i) {
    for (uint32_t number : kept.run(i)) uses[number].Note(requests[i].owner, requests[i].request->text_hash);
  };
  for (size_t i = 0; i < requests.size(); ++i) {
    for (uint32_t fragment : ShinglesAhead(requests, i)) counters.Prefetch(Mix32(fragment)), numbers.Prefetch(Mix32(fragment));
    for (uint32_t fragment : requests[i].request->shingles()) {
      const uint32_t hash = Mix32(fragment);
      if (!counters.Reaches(hash, options.owners_min)) continue;
      if (one_in > 1 && (hash >> 8) % one_in != 0) continue;
      const uint32_t number = numbers.NumberOf(fragment);
      if (number == uses.size()) uses.emplace_back();
      __builtin_prefetch(&uses[number], 1);
      kept.runs.push_back(number);
    }
    kept.run_start.push_back(static_cast<uint32_t>(kept.runs.size()));
    if (i != 0) note(i - 1);
  }
  if (!requests.empty()) note(requests.size() - 1);
  std::vector<std::pair<uint32_t, uint32_t>> order;  // fragment, number
  for (uint32_t number = 0; number < uses.size(); ++number) {
    const Use& use = uses[number];
    if (use.owners < options.owners_min || use.owners > options.owners_max ||
        use.requests < options.requests_min || use.texts_count < std::min(options.texts_min, 3u)) {
      continue;
    }
    order.push_back({numbers.fragments()[number], number});
  }
  std::sort(order.begin(), order.end());
  std::vector<uint32_t> index_of(uses.size(), UINT32_MAX);
  for (const auto& [fragment, number] : order) {
    index_of[number] = static_cast<uint32_t>(kept.fragments.size());
    kept.fragments.push_back(fragment);
    kept.requests.push_back(uses[number].requests);
  }
  // Numbers to indexes, those of others out.
  uint32_t to = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    const uint32_t from = kept.run_start[i], end = kept.run_start[i + 1];
    kept.run_start[i] = to;
    for (uint32_t k = from; k < end; ++k) {
      const uint32_t index = index_of[kept.runs[k]];
      kept.runs[to] = index;
      to += index != UINT32_MAX;
    }
  }
  kept.run_start.back() = to;
  kept.runs.resize(to);
  return kept;
}

// Union of neighbours in a run (next and next but one, so that one stray word does not part it) that meet in
// enough of their requests; the root of each set is its smallest. By requests, not by owners: where every account
// uses every template, a phrase that two templates share would make them one.
std::vector<uint32_t> MergeRuns(std::span<const RequestRef> requests, const KeptFragments& kept, uint32_t merge_percent) {
  struct Bounds {
    uint32_t requests;  // a pair meets in no more requests than hold its rarer fragment
    uint32_t needed;    // ... and must meet in so many of the more common one's
  };
  std::vector<Bounds> bounds;
  bounds.reserve(kept.requests.size());
  for (uint32_t held : kept.requests) {
    bounds.push_back({held, static_cast<uint32_t>((uint64_t{held} * merge_percent + 99) / 100)});
  }
  SmallCounters counters(kept.runs.size());
  std::vector<uint64_t> keys;  // of the pairs that may merge, as often as they meet
  for (size_t r = 0; r < requests.size(); ++r) {
    const std::span<const uint32_t> run = kept.run(r);
    for (size_t i = 0; i + 1 < run.size(); ++i) {
      for (size_t j = i + 1; j < std::min(run.size(), i + 3); ++j) {
        const Bounds a = bounds[run[i]], b = bounds[run[j]];
        if (std::min(a.requests, b.requests) < std::max(a.needed, b.needed)) continue;
        keys.push_back(static_cast<uint64_t>(std::min(run[i], run[j])) << 32 | std::max(run[i], run[j]));
        counters.Add(Mix64(keys.back()));
      }
    }
  }
  FlatMap<uint32_t> meetings;
  std::vector<std::pair<uint64_t, uint32_t>> pairs;  // key, requests needed
  for (uint64_t key : keys) {
    const uint32_t needed = std::max(bounds[key >> 32].needed, bounds[static_cast<uint32_t>(key)].needed);
    if (!counters.Reaches(Mix64(key), needed)) continue;
    if (meetings[key]++ == 0) pairs.push_back({key, needed});
  }
  std::vector<uint32_t> parent(kept.fragments.size());
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

void CoreSet::KeepHeld(std::vector<uint32_t>* out, size_t from) const {
  if (out->size() == from) return;
  std::sort(out->begin() + static_cast<ptrdiff_t>(from), out->end());
  size_t kept = from;
  for (size_t i = from; i < out->size();) {
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
  KeepHeld(out, 0);
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

CoreSet FindCores(std::span<const RequestRef> requests, const CoreOptions& options) {
  CoreSet set;
  uint64_t entries = 0;
  for (const RequestRef& ref : requests) entries += ref.request->fragments_count;
  set.sampled_one_in = static_cast<uint32_t>(1 + entries / std::max(options.entries_max, 1u));

  const KeptFragments kept = KeepFragments(requests, options, entries, set.sampled_one_in);
  set.index_.Build(kept.fragments);
  const std::vector<uint32_t> root = MergeRuns(requests, kept, options.merge_percent);

  // Roots are the smallest of their set and `kept` is sorted, so cores come sorted by anchor.
  set.core_of_.resize(kept.fragments.size());
  std::vector<uint32_t> core_of_root(kept.fragments.size(), UINT32_MAX);
  for (uint32_t i = 0; i < kept.fragments.size(); ++i) {
    if (root[i] == i) {
      core_of_root[i] = static_cast<uint32_t>(set.cores.size());
      set.cores.push_back({.anchor = kept.fragments[i]});
    }
    ++set.cores[core_of_root[root[i]]].fragments;
    set.core_of_[i] = core_of_root[root[i]];
  }
  for (Core& core : set.cores) core.needed = FragmentsNeeded(core.fragments);
  std::vector<uint32_t> last_owner(set.cores.size(), UINT32_MAX);
  set.held_.reserve(kept.runs.size());
  set.held_start_.reserve(requests.size() + 1);
  set.held_start_.push_back(0);
  for (size_t r = 0; r < requests.size(); ++r) {
    const size_t from = set.held_.size();
    for (uint32_t index : kept.run(r)) set.held_.push_back(set.core_of_[index]);
    set.KeepHeld(&set.held_, from);
    for (size_t i = from; i < set.held_.size(); ++i) {
      Core& core = set.cores[set.held_[i]];
      ++core.requests;
      core.owners += last_owner[set.held_[i]] != requests[r].owner;
      last_owner[set.held_[i]] = requests[r].owner;
    }
    set.held_start_.push_back(static_cast<uint32_t>(set.held_.size()));
  }
  return set;
}

}  // namespace stillwatch::pipeline
