// Which requests of one look hold a fragment, so that a fit walks the requests that hold its cores and not all of them.
// Fragments of fewer than `owners_min` owners are in no core and left out. Built once a look, then only read; four bytes
// for each fragment of each request that is kept. Where requests hold too many fragments for that it stays unbuilt
// and whoever asks walks over all requests. Batch thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/evidence/fragment_runs.h"

namespace stillwatch::pipeline {

class FragmentPostings {
 public:
  FragmentPostings() = default;
  // Unbuilt. The requests must outlive this.
  explicit FragmentPostings(std::span<const RequestRef> requests) : requests_(requests) {}
  // `runs`: of all fragments of `requests`.
  FragmentPostings(std::span<const RequestRef> requests, FragmentRuns runs, uint32_t owners_min);

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
