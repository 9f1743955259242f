#include "pipeline/evidence/exact_rules_layer.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/mutant.h"
#include "pipeline/evidence/edge_sums.h"
#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

bool IsProbe(const dataplane::ExchangeHeader& header) {
  const bool one_token = (header.flags & dataplane::kHasMaxTokens) != 0 && header.max_tokens == 1;
  return header.logit_bias_hash != 0 && (header.flags & dataplane::kLogprobs) != 0 && one_token;
}

void AddProbeFragments(const dataplane::ExchangeHeader& header, std::vector<Fragment>* fragments) {
  constexpr uint32_t kSetFragments = 2;
  if (fragments->size() > kFragmentsConsidered - kSetFragments) fragments->resize(kFragmentsConsidered - kSetFragments);
  for (uint32_t i = 0; i < kSetFragments; ++i) {
    fragments->push_back({static_cast<uint32_t>(Mix64(header.logit_bias_hash + i)), UINT32_MAX});
  }
}

bool IsProber(const Profile& profile, const Tunables& tunables) {
  return profile.probed.Distinct() >= tunables.probe_sets_min || MutantIs("detect.any_probe_is_a_prober");
}

std::vector<EdgeRecord> FindProbeEdges(const CoreLook& look, const Tunables& tunables) {
  std::vector<std::pair<uint32_t, uint32_t>> probes;  // core, request: the first of each account
  std::vector<uint32_t> last_account(look.cores.cores.size(), UINT32_MAX);
  for (uint32_t i = 0; i < look.requests.size(); ++i) {
    const RequestRef& ref = look.requests[i];
    if ((ref.request->flags & kProbe) == 0 || !IsProber(look.profiles[ref.account], tunables)) continue;
    for (uint32_t core : look.cores.held(i)) {
      if (look.cores.cores[core].fragments < 2 || last_account[core] == ref.account) continue;
      last_account[core] = ref.account;
      probes.push_back({core, i});
    }
  }
  const auto account = [&](uint32_t request) -> const AccountId& { return look.profiles[look.requests[request].account].id; };
  std::sort(probes.begin(), probes.end(), [&](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : account(a.second) < account(b.second);
  });
  EdgeSums edges(Layer::kExactRules, look.profiles);
  for (size_t i = 0; i < probes.size();) {
    size_t end = i;
    while (end < probes.size() && probes[end].first == probes[i].first) ++end;
    const size_t n = end - i;
    const uint32_t anchor[] = {look.cores.cores[probes[i].first].anchor};
    const int32_t nats = std::clamp(LnRatioQ8(look.owners, static_cast<uint32_t>(n)), 1, tunables.core_nats_max);
    for (size_t x = 0; x < n && n >= tunables.core_owners_min; ++x) {
      for (size_t step = 1; step <= tunables.edge_neighbours && step < n; ++step) {
        // A ring of few meets itself: each pair once.
        if (step * 2 > n || (step * 2 == n && x >= step)) continue;
        const RequestRef &a = look.requests[probes[i + x].second], &b = look.requests[probes[i + (x + step) % n].second];
        if (a.owner != b.owner) edges.Add(a, b, nats, anchor);
      }
    }
    i = end;
  }
  return edges.Take(tunables.content_nats_max);
}

}  // namespace stillwatch::pipeline
