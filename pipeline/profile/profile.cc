#include "pipeline/profile/profile.h"

#include <algorithm>
#include <tuple>

#include "base/mutant.h"

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
  const auto linked = [](const RememberedRequest& r) { return (r.flags & kLinked) != 0; };
  const auto tied = [&](const RememberedRequest& r) { return (r.flags & kTied) != 0 && !linked(r); };
  const auto places = std::count_if(requests.begin(), requests.end(), tied) + tied(request);
  const bool keeps_tied = places <= kTiedRemembered && !MutantIs("detect.cover_pushes_out");
  const auto order = [&](const RememberedRequest& r) { return std::tuple(linked(r), keeps_tied && tied(r), r.time_s); };
  const auto goes = std::min_element(requests.begin(), requests.end(), [&](const auto& a, const auto& b) { return order(a) < order(b); });
  const bool oldest = std::none_of(requests.begin(), requests.end(), [&](const auto& r) { return r.time_s < goes->time_s; });
  *goes = request;
  CountUp(&profile->evicted);
  CountUp(&profile->passed_over, !oldest);
  return true;
}

void ExpireBefore(Profile* profile, uint32_t time_s) {
  const auto requests = profile->remembered();
  const auto end = std::remove_if(requests.begin(), requests.end(),
                                  [&](const RememberedRequest& r) { return r.time_s < time_s; });
  profile->requests_count = static_cast<uint8_t>(end - requests.begin());
  if (profile->requests_count == 0) profile->passed_over = 0;
  if (profile->last_ns / 1'000'000'000 < time_s) profile->clusters = {};
  if (time_s != 0) profile->clusters.ExpireBefore(time_s / 86'400);
  if (uint64_t{profile->hours.newest} * 3'600 < time_s) profile->hours = {}, profile->home = {}, profile->probed = {};
}

}  // namespace stillwatch::pipeline
