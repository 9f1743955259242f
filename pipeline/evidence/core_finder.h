// Finds cores: runs of fragments that recur together in the instructions of unrelated owners. Neighbours
// that meet in most of their requests are one core (so a rigid sentence counts once, not once for
// each of its words), whatever a slot between them holds. Used on the whole population (layer 1) and on
// the requests of one proposed group (the fit). Deterministic: cores come sorted by anchor.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/evidence/fragment_index.h"
#include "pipeline/evidence/fragment_runs.h"
#include "pipeline/profile/profile.h"

namespace stillwatch::pipeline {

struct CoreOptions {
  uint32_t owners_min = 3;
  uint32_t owners_max = UINT32_MAX;
  uint32_t requests_min = 0;
  uint32_t texts_min = 3;
  uint32_t merge_percent = 60;
  uint32_t entries_max = 4u << 20;  // above: fragments are sampled by hash
};

struct Core {
  uint32_t anchor = 0;     // its smallest fragment: the core's name
  uint32_t fragments = 0;  // how many make it up
  uint32_t owners = 0;
  uint32_t requests = 0;
  uint32_t needed = 1;     // fragments a request must hold to hold the core
};

// How many of a core's fragments a request must hold to hold the core.
inline uint32_t FragmentsNeeded(uint32_t fragments) { return fragments == 1 ? 1 : std::max(2u, fragments * 3 / 10); }

// The fragments of each core, sorted.
struct FragmentsByCore {
  std::vector<uint32_t> fragments, start = {0};
  std::span<const uint32_t> of(size_t core) const { return {fragments.data() + start[core], start[core + 1] - start[core]}; }
};

class CoreSet {
 public:
  std::vector<Core> cores;

  // The cores that a request holds, ascending, replacing *out.
  void CoresOf(const RememberedRequest& request, std::vector<uint32_t>* out) const;
  FragmentsByCore Fragments() const;
  // Index of the core that a fragment belongs to, or UINT32_MAX.
  uint32_t CoreOfFragment(uint32_t fragment) const {
    const uint32_t at = index_.Find(fragment);
    return at == FragmentIndex::kNone ? UINT32_MAX : core_of_[at];
  }
  // The cores of request i of the list that FindCores was given.
  std::span<const uint32_t> held(size_t i) const {
    return {held_.data() + held_start_[i], held_start_[i + 1] - held_start_[i]};
  }
  uint32_t sampled_one_in = 1;  // fragments were thinned by hash to bound the work
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc

 private:
  friend CoreSet FindCores(std::span<const RequestRef>, const FragmentRuns&, const CoreOptions&);
  // Of the cores of single fragments: sorted, each once, those with enough fragments.
  void KeepHeld(std::vector<uint32_t>* out) const;
  // Which cores each request holds, from the numbers of its fragments.
  void CollectHeld(std::span<const RequestRef> requests, const FragmentRuns& runs, std::span<const uint32_t> core_of_number);

  FragmentIndex index_;
  std::vector<uint32_t> core_of_;
  std::vector<uint32_t> held_, held_start_;
};

CoreSet FindCores(std::span<const RequestRef> requests, const CoreOptions& options);
// The same. `runs`: of all fragments of the requests, or of those that are sampled, counted up to owners_min or less.
CoreSet FindCores(std::span<const RequestRef> requests, const FragmentRuns& runs, const CoreOptions& options);
// So many fragments there are for each one that is looked at.
uint32_t SampledOneIn(std::span<const RequestRef> requests, const CoreOptions& options);

}  // namespace stillwatch::pipeline
