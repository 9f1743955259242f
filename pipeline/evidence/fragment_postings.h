// Which requests of one look hold a fragment, so that a fit walks the requests that hold its cores and not all of them.
// Fragments of fewer than `owners_min` owners are in no core and left out. Built once a look, then only read; four bytes
// for each fragment of each request that is kept. Where requests hold more than `entries_max` fragments it stays unbuilt
// and whoever asks walks over all requests. Batch thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/evidence/core_finder.h"
#include "pipeline/evidence/fragment_numbers.h"

namespace stillwatch::pipeline {

// Fragments of the request some places on, to be prefetched: what a walk over requests looks up is all over memory.
inline std::span<const uint32_t> ShinglesAhead(std::span<const RequestRef> requests, size_t i) {
  constexpr size_t kAhead = 3;
  return i + kAhead < requests.size() ? requests[i + kAhead].request->shingles() : std::span<const uint32_t>();
}

// How often requests hold each fragment, by Mix32 of it; `entries` fragments in all.
SmallCounters CountFragments(std::span<const RequestRef> requests, uint64_t entries);

class FragmentPostings {
 public:
  FragmentPostings() = default;
  // `requests` sorted by owner; they must outlive this.
  FragmentPostings(std::span<const RequestRef> requests, uint32_t owners_min, uint64_t entries_max);

  // Indexes of requests, ascending; one as often as it holds the fragment.
  std::span<const uint32_t> Of(uint32_t fragment) const {
    const uint32_t number = numbers_.Find(fragment);
    if (number == UINT32_MAX) return {};
    return {postings_.data() + start_[number], start_[number + 1] - start_[number]};
  }
  bool built() const { return built_; }
  std::span<const RequestRef> requests() const { return requests_; }

 private:
  std::span<const RequestRef> requests_;
  bool built_ = false;
  FragmentNumbers numbers_;
  std::vector<uint32_t> start_, postings_;
};

}  // namespace stillwatch::pipeline
