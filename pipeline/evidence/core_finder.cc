#include "pipeline/evidence/core_finder.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/mutant.h"
#include "base/hash.h"
#include "pipeline/evidence/flat_map.h"

namespace stillwatch::pipeline {

namespace {

struct Use {
  uint32_t owners = 0;
  uint32_t last_owner = UINT32_MAX;
  uint32_t texts[3] = {};  // the first distinct ones
  uint8_t texts_count = 0;

  void Note(uint32_t owner, uint32_t text) {
    if (owner != last_owner) ++owners;
    last_owner = owner;
    if (texts_count == 3 || std::find(texts, texts + texts_count, text) != texts + texts_count) return;
    texts[texts_count++] = text;
  }
};

struct Meeting {
  uint32_t owners = 0;
  uint32_t last_owner = UINT32_MAX;
};

uint32_t RootOf(std::vector<uint32_t>* parent, uint32_t x) {
  while ((*parent)[x] != x) x = (*parent)[x] = (*parent)[(*parent)[x]];
  return x;
}

// The fragments that enough owners use, sorted, and by how many owners each.
std::vector<uint32_t> KeptFragments(std::span<const RequestRef> requests, const CoreOptions& options,
                                    uint32_t one_in, std::vector<uint32_t>* owners) {
  // Most fragments are used too seldom to matter: small counters, shared by hash, keep them out of the
  // table. They can only count too much.
  uint64_t entries = 0;
  for (const RequestRef& ref : requests) entries += ref.request->fragments_count;
  std::vector<uint8_t> seen(std::bit_ceil(std::clamp<uint64_t>(entries * 2, 1u << 12, 1u << 23)));
  const uint32_t mask = static_cast<uint32_t>(seen.size() - 1);
  for (const RequestRef& ref : requests) {
    for (uint32_t fragment : ref.request->shingles()) {
      uint8_t& count = seen[Mix32(fragment) & mask];
      count += count != 255;
    }
  }
  std::vector<uint32_t> order;
  FlatMap<Use> uses(1024);
  for (const RequestRef& ref : requests) {
    for (uint32_t fragment : ref.request->shingles()) {
      if (seen[Mix32(fragment) & mask] < std::min(options.owners_min, 255u)) continue;
      if (one_in > 1 && (Mix32(fragment) >> 8) % one_in != 0) continue;
      Use& use = uses[fragment];
      if (use.owners == 0) order.push_back(fragment);
      use.Note(ref.owner, ref.request->text_hash);
    }
  }
  std::erase_if(order, [&](uint32_t fragment) {
    const Use& use = *uses.Find(fragment);
    return use.owners < options.owners_min || use.owners > options.owners_max ||
           use.texts_count < std::min(options.texts_min, 3u);
  });
  std::sort(order.begin(), order.end());
  for (uint32_t fragment : order) owners->push_back(uses.Find(fragment)->owners);
  return order;
}

// Union of neighbours in the text (next and next but one, so that one stray word does not part a run).
std::vector<uint32_t> MergeRuns(std::span<const RequestRef> requests, const CoreOptions& options,
                                const FragmentIndex& index, const std::vector<uint32_t>& owners) {
  FlatMap<Meeting> meetings(owners.size() * 2);
  std::vector<uint64_t> pairs;
  std::vector<uint32_t> run;
  for (const RequestRef& ref : requests) {
    run.clear();
    for (uint32_t fragment : ref.request->shingles()) {
      const uint32_t at = index.Find(fragment);
      if (at != FragmentIndex::kNone) run.push_back(at);
    }
    for (size_t i = 0; i < run.size(); ++i) {
      for (size_t j = i + 1; j < std::min(run.size(), i + 3); ++j) {
        const uint64_t key = static_cast<uint64_t>(std::min(run[i], run[j])) << 32 | std::max(run[i], run[j]);
        Meeting& meeting = meetings[key];
        if (meeting.owners == 0) pairs.push_back(key);
        if (meeting.last_owner != ref.owner) ++meeting.owners;
        meeting.last_owner = ref.owner;
      }
    }
  }
  std::vector<uint32_t> parent(owners.size());
  std::iota(parent.begin(), parent.end(), 0);
  for (uint64_t key : pairs) {
    const uint32_t a = static_cast<uint32_t>(key >> 32), b = static_cast<uint32_t>(key);
    const uint64_t most = std::max(owners[a], owners[b]);
    if (meetings.Find(key)->owners * 100ull < most * options.merge_percent ||
        MutantIs("detect.merge_nothing")) {
      continue;
    }
    const uint32_t ra = RootOf(&parent, a), rb = RootOf(&parent, b);
    parent[std::max(ra, rb)] = std::min(ra, rb);
  }
  for (uint32_t i = 0; i < parent.size(); ++i) parent[i] = RootOf(&parent, i);
  return parent;
}

}  // namespace

void CoreSet::CoresOf(const RememberedRequest& request, std::vector<uint32_t>* out) const {
  out->clear();
  for (uint32_t fragment : request.shingles()) {
    const uint32_t core = CoreOfFragment(fragment);
    if (core != UINT32_MAX) out->push_back(core);
  }
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

CoreSet FindCores(std::span<const RequestRef> requests, const CoreOptions& options) {
  CoreSet set;
  uint64_t entries = 0;
  for (const RequestRef& ref : requests) entries += ref.request->fragments_count;
  set.sampled_one_in = static_cast<uint32_t>(1 + entries / std::max(options.entries_max, 1u));

  std::vector<uint32_t> owners;
  const std::vector<uint32_t> kept = KeptFragments(requests, options, set.sampled_one_in, &owners);
  set.index_.Build(kept);
  const std::vector<uint32_t> root = MergeRuns(requests, options, set.index_, owners);

  // Roots are the smallest of their set and `kept` is sorted, so cores come sorted by anchor.
  set.core_of_.resize(kept.size());
  std::vector<uint32_t> core_of_root(kept.size(), UINT32_MAX);
  for (uint32_t i = 0; i < kept.size(); ++i) {
    if (root[i] == i) {
      core_of_root[i] = static_cast<uint32_t>(set.cores.size());
      set.cores.push_back({.anchor = kept[i]});
    }
    ++set.cores[core_of_root[root[i]]].fragments;
    set.core_of_[i] = core_of_root[root[i]];
  }
  for (Core& core : set.cores) {
    core.needed = core.fragments == 1 ? 1 : std::max(2u, core.fragments * 3 / 10);
  }
  std::vector<uint32_t> last_owner(set.cores.size(), UINT32_MAX), held;
  set.held_start_.push_back(0);
  for (const RequestRef& ref : requests) {
    set.CoresOf(*ref.request, &held);
    for (uint32_t core : held) {
      ++set.cores[core].requests;
      if (last_owner[core] != ref.owner) ++set.cores[core].owners;
      last_owner[core] = ref.owner;
    }
    set.held_.insert(set.held_.end(), held.begin(), held.end());
    set.held_start_.push_back(static_cast<uint32_t>(set.held_.size()));
  }
  return set;
}

}  // namespace stillwatch::pipeline
