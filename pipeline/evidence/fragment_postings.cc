#include "pipeline/evidence/fragment_postings.h"

namespace stillwatch::pipeline {

FragmentPostings::FragmentPostings(std::span<const RequestRef> requests, FragmentRuns runs, uint32_t owners_min) : requests_(requests), built_(true) {
  const std::vector<FragmentRuns::Use>& uses = runs.uses();
  start_.assign(uses.size() + 1, 0);
  for (size_t n = 0; n < uses.size(); ++n) start_[n + 1] = start_[n] + (uses[n].owners >= owners_min ? uses[n].requests : 0);
  postings_.resize(start_.back());
  std::vector<uint32_t> fill(start_.begin(), start_.end() - 1);
  for (size_t i = 0; i < requests.size(); ++i) {
    for (uint32_t number : runs.run(i)) {
      if (start_[number + 1] != start_[number]) postings_[fill[number]++] = static_cast<uint32_t>(i);
    }
  }
  numbers_ = runs.TakeNumbers();
}

}  // namespace stillwatch::pipeline
