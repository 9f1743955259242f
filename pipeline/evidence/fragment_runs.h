// The fragments of all remembered requests of one look, by number: each is looked up once, and what follows (cores, who holds
// which fragment) works on numbers. Fragments that fewer than `owners_min` requests hold are left out, as far as small counters
// tell. Four bytes for each fragment of each request, and about 40 for each that is numbered. Batch thread; made once a look.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/evidence/fragment_numbers.h"
#include "pipeline/profile/profile.h"

namespace stillwatch::pipeline {

// One remembered request and whose it is. `owner` is a dense index; lists are sorted by owner.
struct RequestRef {
  uint32_t account;  // index in the profile table
  uint32_t owner;
  const RememberedRequest* request;
};

class FragmentRuns {
 public:
  // Who uses a fragment.
  struct Use {
    uint32_t owners = 0;
    uint32_t requests = 0;  // as often as they hold it
    uint32_t last_owner = UINT32_MAX;
    uint32_t texts = 0;  // distinct ones, up to three
  };

  FragmentRuns() { run_start_.push_back(0); }
  // One fragment in `one_in`, by hash. `requests` sorted by owner.
  FragmentRuns(std::span<const RequestRef> requests, uint32_t owners_min, uint32_t one_in = 1);

  size_t requests() const { return run_start_.size() - 1; }
  // Numbers in text order.
  std::span<const uint32_t> run(size_t request) const { return {runs_.data() + run_start_[request], run_start_[request + 1] - run_start_[request]}; }
  std::span<const uint32_t> all() const { return runs_; }
  const std::vector<Use>& uses() const { return uses_; }  // by number
  const FragmentNumbers& numbers() const { return numbers_; }
  FragmentNumbers TakeNumbers() { return std::move(numbers_); }

 private:
  FragmentNumbers numbers_;
  std::vector<Use> uses_;
  std::vector<uint32_t> runs_, run_start_;
};

// How many fragments the requests hold.
uint64_t CountEntries(std::span<const RequestRef> requests);

}  // namespace stillwatch::pipeline
