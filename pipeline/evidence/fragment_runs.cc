#include "pipeline/evidence/fragment_runs.h"

#include <algorithm>

namespace stillwatch::pipeline {

namespace {

constexpr uint64_t kFew = 1u << 15;  // fragments: so few are numbered without counting first

struct FirstTexts {
  uint32_t texts[3] = {};  // the first distinct ones
};

void Note(const RequestRef& ref, FragmentRuns::Use* use, FirstTexts* first) {
  use->owners += use->last_owner != ref.owner;
  ++use->requests;
  use->last_owner = ref.owner;
  if (use->texts == 3) return;
  const uint32_t text = ref.request->text_hash;
  if (std::find(first->texts, first->texts + use->texts, text) != first->texts + use->texts) return;
  first->texts[use->texts++] = text;
}

// Fragments of the request some places on, to be prefetched: what a walk over requests looks up is all over memory.
std::span<const uint32_t> ShinglesAhead(std::span<const RequestRef> requests, size_t i) {
  constexpr size_t kAhead = 3;
  return i + kAhead < requests.size() ? requests[i + kAhead].request->shingles() : std::span<const uint32_t>();
}

// How often requests hold each fragment, by Mix32 of it; `entries` fragments in all.
SmallCounters CountFragments(std::span<const RequestRef> requests, uint64_t entries) {
  SmallCounters counters(entries);
  for (size_t i = 0; i < requests.size(); ++i) {
    for (uint32_t fragment : ShinglesAhead(requests, i)) counters.Prefetch(Mix32(fragment));
    for (uint32_t fragment : requests[i].request->shingles()) counters.Add(Mix32(fragment));
  }
  return counters;
}

}  // namespace

uint64_t CountEntries(std::span<const RequestRef> requests) {
  uint64_t entries = 0;
  for (const RequestRef& ref : requests) entries += ref.request->fragments_count;
  return entries;
}

FragmentRuns::FragmentRuns(std::span<const RequestRef> requests, uint32_t owners_min, uint32_t one_in) {
  const uint64_t entries = CountEntries(requests);
  const bool few = entries < kFew;
  const SmallCounters counters = few ? SmallCounters(0) : CountFragments(requests, entries);
  std::vector<FirstTexts> texts;
  run_start_.reserve(requests.size() + 1);
  run_start_.push_back(0);
  if (one_in == 1) runs_.reserve(entries);
  const auto note = [&](size_t i) {
    for (uint32_t number : run(i)) Note(requests[i], &uses_[number], &texts[number]);
  };
  for (size_t i = 0; i < requests.size(); ++i) {
    if (!few) {
      for (uint32_t fragment : ShinglesAhead(requests, i)) counters.Prefetch(Mix32(fragment)), numbers_.Prefetch(Mix32(fragment));
    }
    for (uint32_t fragment : requests[i].request->shingles()) {
      const uint32_t hash = Mix32(fragment);
      if (!few && !counters.Reaches(hash, owners_min)) continue;
      if (one_in > 1 && (hash >> 8) % one_in != 0) continue;
      const uint32_t number = numbers_.NumberOf(fragment);
      if (number == uses_.size()) uses_.emplace_back(), texts.emplace_back();
      __builtin_prefetch(&uses_[number], 1);
      runs_.push_back(number);
    }
    run_start_.push_back(static_cast<uint32_t>(runs_.size()));
    if (i != 0) note(i - 1);
  }
  if (!requests.empty()) note(requests.size() - 1);
}

}  // namespace stillwatch::pipeline
