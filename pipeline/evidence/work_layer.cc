#include "pipeline/evidence/work_layer.h"

#include <algorithm>
#include <tuple>

#include "pipeline/evidence/edge_sums.h"
#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

namespace {

// A request of a bundle, by what it was sent with and what it was sent for.
struct Dealt {
  uint64_t payload;  // its two smallest fragments outside the bundle's prompts
  uint32_t core;     // the prompt: of the bundle's cores that it holds the one most requests hold
  uint32_t request;  // index in the look
};

// Requests that hold each core, and those that hold any core of each bundle (by bundle label).
struct Holders {
  std::vector<uint32_t> of_core, of_bundle;
};
Holders CountHolders(const CoreLook& look, std::span<const uint32_t> bundle_of_core) {
  const size_t n = look.cores.cores.size();
  Holders holders{std::vector<uint32_t>(n, 0), std::vector<uint32_t>(n, 0)};
  std::vector<uint32_t> bundles;
  for (size_t i = 0; i < look.requests.size(); ++i) {
    bundles.clear();
    for (uint32_t core : look.cores.held(i)) {
      if (bundle_of_core[core] == UINT32_MAX) continue;
      ++holders.of_core[core];
      bundles.push_back(bundle_of_core[core]);
    }
    std::sort(bundles.begin(), bundles.end());
    bundles.erase(std::unique(bundles.begin(), bundles.end()), bundles.end());
    for (uint32_t bundle : bundles) ++holders.of_bundle[bundle];
  }
  return holders;
}

std::vector<Dealt> DealtRequests(const CoreLook& look, std::span<const uint32_t> bundle_of_core, const Tunables& tunables) {
  const Holders holders = CountHolders(look, bundle_of_core);
  // What few requests of a bundle hold is no prompt of it but something dealt to several accounts.
  const auto is_prompt = [&](uint32_t core) {
    return core != UINT32_MAX && bundle_of_core[core] != UINT32_MAX &&
           uint64_t{holders.of_core[core]} * tunables.class_payloads_max >= holders.of_bundle[bundle_of_core[core]];
  };
  std::vector<Dealt> dealt;
  for (uint32_t i = 0; i < look.requests.size(); ++i) {
    uint32_t prompt = UINT32_MAX;
    for (uint32_t core : look.cores.held(i)) {
      if (!is_prompt(core)) continue;
      if (prompt == UINT32_MAX || holders.of_core[core] > holders.of_core[prompt]) prompt = core;
    }
    if (prompt == UINT32_MAX) continue;
    uint32_t least[2] = {UINT32_MAX, UINT32_MAX};
    for (uint32_t fragment : look.requests[i].request->shingles()) {
      if (fragment >= least[1] || is_prompt(look.cores.CoreOfFragment(fragment))) continue;
      least[1] = fragment;
      if (least[1] < least[0]) std::swap(least[0], least[1]);
    }
    if (least[1] == UINT32_MAX) continue;
    dealt.push_back({uint64_t{least[0]} << 32 | least[1], prompt, i});
  }
  return dealt;
}

}  // namespace

std::vector<EdgeRecord> FindWorkEdges(const CoreLook& look, std::span<const uint32_t> bundle_of_core, const Tunables& tunables) {
  std::vector<Dealt> dealt = DealtRequests(look, bundle_of_core, tunables);
  std::sort(dealt.begin(), dealt.end(), [](const Dealt& a, const Dealt& b) {
    return std::tie(a.payload, a.request) < std::tie(b.payload, b.request);  // requests come by owner
  });
  EdgeSums edges(Layer::kWorkDivision, look.profiles);
  for (size_t i = 0; i < dealt.size();) {
    size_t end = i;
    uint32_t owners = 0, last = UINT32_MAX;
    for (; end < dealt.size() && dealt[end].payload == dealt[i].payload; ++end) {
      const uint32_t owner = look.requests[dealt[end].request].owner;
      owners += owner != last, last = owner;
    }
    // The rarer the payload the more it says that both have it.
    const int32_t nats = std::clamp(LnRatioQ8(look.owners, owners), 1, tunables.core_nats_max);
    for (size_t x = i; x < end; ++x) {
      for (size_t y = x + 1; y < std::min(end, x + 1 + tunables.edge_neighbours); ++y) {
        const RequestRef &a = look.requests[dealt[x].request], &b = look.requests[dealt[y].request];
        if (a.owner == b.owner || dealt[x].core == dealt[y].core) continue;
        const uint32_t anchors[] = {look.cores.cores[dealt[x].core].anchor, look.cores.cores[dealt[y].core].anchor};
        edges.Add(a, b, nats, anchors);
      }
    }
    i = end;
  }
  return edges.Take(tunables.work_nats_max);
}

}  // namespace stillwatch::pipeline
