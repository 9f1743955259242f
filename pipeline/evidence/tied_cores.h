// Cores that tie accounts: those that the edges of the last look name (layer 1: cores that go together over unrelated
// owners, public ones left out). What an account's bounded memory prefers: a harvesting request among a hundred of cover is
// forgotten before the next one comes, unless it is kept when it comes. Bounded by the edges of a look; batch thread only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/evidence/edge.h"
#include "pipeline/evidence/fragment_index.h"

namespace stillwatch::pipeline {

class TiedCores {
 public:
  // In place of what was tied before.
  void Learn(std::span<const EdgeRecord> edges);
  // Whether the request holds the anchor of such a core.
  bool In(const RememberedRequest& request) const;
  size_t size() const { return anchors_.size(); }
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc

 private:
  std::vector<uint32_t> anchors_;  // sorted
  FragmentIndex index_;
};

}  // namespace stillwatch::pipeline
