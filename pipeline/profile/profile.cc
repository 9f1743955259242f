#include "pipeline/profile/profile.h"

#include <algorithm>

namespace stillwatch::pipeline {

void LastDay::Note(int64_t time_s, uint32_t tokens) {
  const auto bucket = static_cast<uint32_t>(std::max<int64_t>(time_s, 0) / kBucketS);
  if (bucket + kBuckets <= newest) return;  // came late: of no day that anybody asks for
  for (uint32_t b = std::max(newest + 1, bucket < kBuckets ? 0 : bucket - kBuckets + 1); b <= bucket; ++b) {
    exchanges[b % kBuckets] = tokens_out[b % kBuckets] = 0;
  }
  newest = std::max(newest, bucket);
  ++exchanges[bucket % kBuckets];
  uint32_t& sum = tokens_out[bucket % kBuckets];
  sum += std::min(tokens, UINT32_MAX - sum);
}

uint64_t LastDay::Sum(const uint32_t* buckets, int64_t now_s) const {
  const auto now = static_cast<uint32_t>(std::max<int64_t>(now_s, 0) / kBucketS);
  uint64_t sum = 0;
  for (uint32_t back = 0; back < kBuckets && back <= newest; ++back) {
    if (newest - back + kBuckets > now) sum += buckets[(newest - back) % kBuckets];
  }
  return sum;
}

bool Remember(Profile* profile, const RememberedRequest& request) {
  if (profile->requests_count < kRequestsRemembered) {
    profile->requests[profile->requests_count++] = request;
    return false;
  }
  const auto requests = profile->remembered();
  const auto goes = std::min_element(requests.begin(), requests.end(), [](const auto& a, const auto& b) {
    const bool a_linked = a.flags & kLinked, b_linked = b.flags & kLinked;
    return a_linked != b_linked ? b_linked : a.time_s < b.time_s;
  });
  *goes = request;
  ++profile->evicted;
  return true;
}

void ExpireBefore(Profile* profile, uint32_t time_s) {
  const auto requests = profile->remembered();
  const auto end = std::remove_if(requests.begin(), requests.end(),
                                  [&](const RememberedRequest& r) { return r.time_s < time_s; });
  profile->requests_count = static_cast<uint32_t>(end - requests.begin());
  if (uint64_t{profile->hours.newest} * 3'600 < time_s) profile->hours = {}, profile->home = {}, profile->probed = {};
}

}  // namespace stillwatch::pipeline
