#include "pipeline/evidence/elicitation_layer.h"

#include <algorithm>

#include "pipeline/evidence/edge_sums.h"

namespace stillwatch::pipeline {

std::vector<EdgeRecord> FindElicitationEdges(const CoreLook& look, const Tunables& tunables) {
  struct Asking {
    uint32_t core, request;
  };
  std::vector<Asking> asking;  // the first of each owner, by core
  std::vector<uint32_t> holders(look.cores.cores.size(), 0), last_owner(look.cores.cores.size(), UINT32_MAX), last_asking = last_owner;
  for (uint32_t i = 0; i < look.requests.size(); ++i) {
    const RequestRef& ref = look.requests[i];
    for (uint32_t core : look.cores.held(i)) {
      if (look.is_public[core] || look.cores.cores[core].fragments < 2) continue;
      if (last_owner[core] != ref.owner) ++holders[core], last_owner[core] = ref.owner;
      if (ref.request->elicitation * 16 < tunables.elicitation_nats || last_asking[core] == ref.owner) continue;
      last_asking[core] = ref.owner;
      asking.push_back({core, i});
    }
  }
  // By core, then in an order of accounts that has nothing to do with arrival.
  const auto account = [&](const Asking& a) -> const AccountId& { return look.profiles[look.requests[a.request].account].id; };
  std::sort(asking.begin(), asking.end(), [&](const Asking& a, const Asking& b) {
    return a.core != b.core ? a.core < b.core : account(a) != account(b) ? account(a) < account(b) : a.request < b.request;
  });
  EdgeSums edges(Layer::kElicitation, look.profiles);
  for (size_t i = 0; i < asking.size();) {
    size_t end = i;
    while (end < asking.size() && asking[end].core == asking[i].core) ++end;
    const size_t owners = end - i;
    const uint32_t anchor[] = {look.cores.cores[asking[i].core].anchor};
    if (owners >= tunables.core_owners_min && owners * 2 >= holders[asking[i].core]) {
      for (size_t x = i; x < end; ++x) {
        for (size_t step = 1; step <= tunables.edge_neighbours && step < owners; ++step) {
          const RequestRef& a = look.requests[asking[x].request];
          const RequestRef& b = look.requests[asking[i + (x - i + step) % owners].request];
          // A ring of few meets itself: each pair once.
          if (step * 2 > owners || (step * 2 == owners && (x - i) >= step)) continue;
          edges.Add(a, b, std::min(a.request->elicitation, b.request->elicitation) * 16, anchor);
        }
      }
    }
    i = end;
  }
  return edges.Take(tunables.elicitation_nats_max);
}

}  // namespace stillwatch::pipeline
