#include "pipeline/evidence/tied_cores.h"

#include <algorithm>
#include <bit>

namespace stillwatch::pipeline {

void TiedCores::Learn(std::span<const EdgeRecord> edges) {
  anchors_.clear();
  for (const EdgeRecord& edge : edges) {
    if (edge.layer == Layer::kTemplate) anchors_.insert(anchors_.end(), edge.cores, edge.cores + edge.cores_count);
  }
  std::sort(anchors_.begin(), anchors_.end());
  anchors_.erase(std::unique(anchors_.begin(), anchors_.end()), anchors_.end());
  index_.Build(anchors_);
}

bool TiedCores::In(const RememberedRequest& request) const {
  for (uint32_t maybe = index_.MaybeIn(request.shingles()); maybe != 0; maybe &= maybe - 1) {
    if (index_.Find(request.fragments[std::countr_zero(maybe)]) != FragmentIndex::kNone) return true;
  }
  return false;
}

}  // namespace stillwatch::pipeline
