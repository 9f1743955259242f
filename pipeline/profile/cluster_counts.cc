#include "pipeline/profile/cluster_counts.h"

namespace stillwatch::pipeline {

void ClusterCounts::ExpireBefore(uint32_t day) {
  for (uint32_t i = 0; i < Size();) {
    const uint32_t later = ((uses[i] >> 4) - day / kPeriodDays) % 16;
    if (later == 0 || later > kPeriodsKept) Remove(i);
    else ++i;
  }
}

void ClusterCounts::Forget(const std::vector<bool>& bits) {
  for (uint32_t i = 0; i < Size();) {
    if (clusters[i] < bits.size() && bits[clusters[i]]) Remove(i);
    else ++i;
  }
}

void ClusterCounts::Remove(uint32_t place) {
  for (uint32_t i = place; i + 1 < kKept; ++i) clusters[i] = clusters[i + 1], uses[i] = uses[i + 1];
  clusters[kKept - 1] = 0, uses[kKept - 1] = 0;
}

}  // namespace stillwatch::pipeline
