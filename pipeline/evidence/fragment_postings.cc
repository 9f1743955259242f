#include "pipeline/evidence/fragment_postings.h"

namespace stillwatch::pipeline {

SmallCounters CountFragments(std::span<const RequestRef> requests, uint64_t entries) {
  SmallCounters counters(entries);
  for (size_t i = 0; i < requests.size(); ++i) {
    for (uint32_t fragment : ShinglesAhead(requests, i)) counters.Prefetch(Mix32(fragment));
    for (uint32_t fragment : requests[i].request->shingles()) counters.Add(Mix32(fragment));
  }
  return counters;
}

FragmentPostings::FragmentPostings(std::span<const RequestRef> requests, uint32_t owners_min, uint64_t entries_max) : requests_(requests) {
  uint64_t entries = 0;
  for (const RequestRef& ref : requests) entries += ref.request->fragments_count;
  if (entries > entries_max) return;
  built_ = true;
  const SmallCounters counters = CountFragments(requests, entries);
  struct Use {
    uint32_t times = 0, owners = 0, last_owner = UINT32_MAX;
  };
  std::vector<Use> uses;
  for (size_t i = 0; i < requests.size(); ++i) {
    for (uint32_t fragment : ShinglesAhead(requests, i)) counters.Prefetch(Mix32(fragment)), numbers_.Prefetch(Mix32(fragment));
    for (uint32_t fragment : requests[i].request->shingles()) {
      if (!counters.Reaches(Mix32(fragment), owners_min)) continue;
      const uint32_t number = numbers_.NumberOf(fragment);
      if (number == uses.size()) uses.emplace_back();
      Use& use = uses[number];
      ++use.times;
      use.owners += use.last_owner != requests[i].owner;
      use.last_owner = requests[i].owner;
    }
  }
  start_.assign(uses.size() + 1, 0);
  for (size_t n = 0; n < uses.size(); ++n) start_[n + 1] = start_[n] + (uses[n].owners >= owners_min ? uses[n].times : 0);
  postings_.resize(start_.back());
  std::vector<uint32_t> fill(start_.begin(), start_.end() - 1);
  for (size_t i = 0; i < requests.size(); ++i) {
    for (uint32_t fragment : ShinglesAhead(requests, i)) numbers_.Prefetch(Mix32(fragment));
    for (uint32_t fragment : requests[i].request->shingles()) {
      const uint32_t number = numbers_.Find(fragment);
      if (number == UINT32_MAX || start_[number + 1] == start_[number]) continue;
      postings_[fill[number]++] = static_cast<uint32_t>(i);
    }
  }
}

}  // namespace stillwatch::pipeline
