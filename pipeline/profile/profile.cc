#include "pipeline/profile/profile.h"

#include <algorithm>

namespace stillwatch::pipeline {

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
}

}  // namespace stillwatch::pipeline
