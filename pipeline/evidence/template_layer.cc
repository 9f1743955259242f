#include "pipeline/evidence/template_layer.h"

#include <algorithm>
#include <bit>

#include "base/hash.h"
#include "pipeline/evidence/fixed_point.h"
#include "pipeline/evidence/flat_map.h"
#include "pipeline/evidence/fragment_numbers.h"
#include "pipeline/evidence/label_propagation.h"
#include "pipeline/evidence/public_core.h"

namespace stillwatch::pipeline {

namespace {

// A core that an account holds, and in which of its requests.
struct Holding {
  uint32_t core;
  uint32_t requests;  // bit set
};
static_assert(kRequestsRemembered <= 32);

struct AccountCores {
  uint32_t account, owner;
  uint32_t first, count;  // into holdings
};

struct Holdings {
  std::vector<AccountCores> accounts;
  std::vector<Holding> all;
  std::span<const Holding> of(const AccountCores& a) const { return {all.data() + a.first, a.count}; }
};

// Through different requests: each has one that the other has not.
bool Apart(uint32_t a, uint32_t b) { return (a & ~b) != 0 && (b & ~a) != 0; }

Holdings CollectHoldings(std::span<const RequestRef> requests, std::span<const Profile> profiles,
                         const CoreSet& cores, uint32_t cores_max) {
  Holdings result;
  std::vector<Holding> mine;
  for (size_t i = 0; i < requests.size();) {
    const uint32_t account = requests[i].account;
    AccountCores entry{account, requests[i].owner, static_cast<uint32_t>(result.all.size()), 0};
    mine.clear();
    for (; i < requests.size() && requests[i].account == account; ++i) {
      const uint32_t bit = static_cast<uint32_t>(requests[i].request - profiles[account].requests);
      for (uint32_t core : cores.held(i)) {
        if (cores.cores[core].fragments >= 2) mine.push_back({core, 1u << bit});
      }
    }
    std::sort(mine.begin(), mine.end(), [](const Holding& a, const Holding& b) { return a.core < b.core; });
    size_t kept = 0;
    for (const Holding& holding : mine) {
      if (kept != 0 && mine[kept - 1].core == holding.core) mine[kept - 1].requests |= holding.requests;
      else mine[kept++] = holding;
    }
    mine.resize(kept);
    if (mine.size() > cores_max) {
      // Half the rarest (small groups), half the commonest (large ones; the link test judges them).
      std::sort(mine.begin(), mine.end(), [&](const Holding& a, const Holding& b) {
        const uint32_t oa = cores.cores[a.core].owners, ob = cores.cores[b.core].owners;
        return oa != ob ? oa < ob : a.core < b.core;
      });
      mine.erase(mine.begin() + cores_max / 2, mine.end() - cores_max / 2);
      std::sort(mine.begin(), mine.end(), [](const Holding& a, const Holding& b) { return a.core < b.core; });
    }
    result.all.insert(result.all.end(), mine.begin(), mine.end());
    entry.count = static_cast<uint32_t>(mine.size());
    if (entry.count != 0) result.accounts.push_back(entry);
  }
  return result;
}

// How many requests are remembered of the owners that hold each core, and of all.
struct Volumes {
  std::vector<uint64_t> of_core;
  uint64_t all = 0;
};
Volumes VolumesOf(std::span<const RequestRef> requests, const CoreSet& cores) {
  Volumes volumes{std::vector<uint64_t>(cores.cores.size(), 0), requests.size()};
  std::vector<uint32_t> last_owner(cores.cores.size(), UINT32_MAX);
  for (size_t i = 0; i < requests.size();) {
    const uint32_t owner = requests[i].owner;
    size_t end = i;
    while (end < requests.size() && requests[end].owner == owner) ++end;
    for (size_t k = i; k < end; ++k) {
      for (uint32_t core : cores.held(k)) {
        if (last_owner[core] == owner) continue;
        last_owner[core] = owner;
        volumes.of_core[core] += end - i;
      }
    }
    i = end;
  }
  return volumes;
}

// Owners expected to hold both of two cores by chance. One that sends much holds much: an owner of n of all N
// requests holds a core of k owners with probability n k / N, so the holders of the other core expect k times
// their share of all requests. (A factor for the whole population instead would explain a large campaign of
// ordinary accounts away by busy accounts that are not in it.) Never below what equal volumes give, and at most
// `factor_max` times that, so that a busy campaign cannot explain itself away.
uint64_t ExpectedTogetherQ8(const CoreSet& cores, const Volumes& volumes, uint32_t a, uint32_t b, uint64_t owners,
                            uint32_t factor_max) {
  const uint64_t of_a = cores.cores[a].owners, of_b = cores.cores[b].owners;
  const uint64_t equal = of_a * of_b * 256 / std::max<uint64_t>(owners, 1);
  const uint64_t by_volume =
      std::max(of_a * volumes.of_core[b], of_b * volumes.of_core[a]) * 256 / std::max<uint64_t>(volumes.all, 1);
  return std::clamp<uint64_t>(by_volume, equal, equal * factor_max);
}

// Pairs of cores that go together over owners.
std::vector<WeightedEdge> LinkCores(const Holdings& holdings, const CoreSet& cores, uint32_t owners,
                                    const Volumes& volumes, const std::vector<bool>& is_public,
                                    const Tunables& tunables) {
  struct Together {
    uint32_t owners = 0;
    uint32_t last_owner = UINT32_MAX;
  };
  // Of all pairs that any account holds few are held by enough: the others stay out of the table.
  uint64_t pairs = 0;
  for (const AccountCores& account : holdings.accounts) pairs += uint64_t{account.count} * account.count / 2;
  SmallCounters counters(pairs / 2);
  // Of one account; the table's lines are fetched while those of the account before are counted.
  const auto pairs_of = [&](const AccountCores& account, std::vector<uint64_t>* keys) {
    const auto mine = holdings.of(account);
    keys->resize(mine.size() * mine.size() / 2);
    size_t n = 0;
    for (size_t i = 0; i < mine.size(); ++i) {
      for (size_t j = i + 1; j < mine.size(); ++j) {
        (*keys)[n] = static_cast<uint64_t>(mine[i].core) << 32 | mine[j].core;
        n += Apart(mine[i].requests, mine[j].requests);
      }
    }
    keys->resize(n);
  };
  std::vector<uint64_t> of_account, of_last;
  for (const AccountCores& account : holdings.accounts) {
    pairs_of(account, &of_account);
    for (uint64_t key : of_account) counters.Prefetch(Mix64(key));
    for (uint64_t key : of_last) counters.Add(Mix64(key));
    std::swap(of_account, of_last);
  }
  for (uint64_t key : of_last) counters.Add(Mix64(key));
  FlatMap<Together> together(holdings.all.size() / 4);
  std::vector<uint64_t> keys;
  const auto count = [&](uint32_t owner, std::span<const uint64_t> some) {
    for (uint64_t key : some) {
      Together& entry = together[key];
      if (entry.owners == 0) keys.push_back(key);
      if (entry.last_owner != owner) ++entry.owners;
      entry.last_owner = owner;
    }
  };
  of_last.clear();
  uint32_t last_owner = UINT32_MAX;
  for (const AccountCores& account : holdings.accounts) {
    pairs_of(account, &of_account);
    std::erase_if(of_account, [&](uint64_t key) { return !counters.Reaches(Mix64(key), tunables.core_owners_min); });
    for (uint64_t key : of_account) together.Prefetch(key);
    count(last_owner, of_last);
    std::swap(of_account, of_last);
    last_owner = account.owner;
  }
  count(last_owner, of_last);
  std::vector<WeightedEdge> links;
  for (uint64_t key : keys) {
    const uint32_t a = static_cast<uint32_t>(key >> 32), b = static_cast<uint32_t>(key);
    const uint32_t seen = together.Find(key)->owners;
    if (seen < tunables.core_owners_min) continue;
    uint64_t expected_q8 = ExpectedTogetherQ8(cores, volumes, a, b, owners, tunables.volume_factor_max);
    const uint64_t among_others_q8 = ExpectedAsAmongOthersQ8({cores.cores[a].owners, volumes.of_core[a]}, {cores.cores[b].owners, volumes.of_core[b]},
                                                             seen, {owners, volumes.all});
    if (TiedAgainstOthers(seen, among_others_q8, tunables)) expected_q8 = std::min(expected_q8, among_others_q8);
    else if ((is_public[a] || is_public[b]) && seen * 256ull < expected_q8 * tunables.public_lift_min) continue;
    const int32_t nats = ExcessNats(seen, expected_q8);
    if (nats >= tunables.link_nats) links.push_back({a, b, nats});
  }
  std::sort(links.begin(), links.end(), [](const WeightedEdge& x, const WeightedEdge& y) {
    return x.a != y.a ? x.a < y.a : x.b < y.b;
  });
  return links;
}

struct Member {
  uint32_t bundle;
  uint32_t account, owner;
  uint32_t first, count;  // its holdings in this bundle
};

// Two cores through different requests at least.
bool HoldsTwoApart(std::span<const Holding> mine) {
  for (size_t i = 0; i < mine.size(); ++i) {
    for (size_t j = i + 1; j < mine.size(); ++j) {
      if (Apart(mine[i].requests, mine[j].requests)) return true;
    }
  }
  return false;
}

// Accounts that belong to a bundle, and what they hold of it.
std::vector<Member> MembersOf(const Holdings& holdings, std::span<const uint32_t> bundle_of_core,
                              std::vector<Holding>* kept) {
  std::vector<Member> members;
  std::vector<std::pair<uint32_t, Holding>> mine;
  std::vector<Holding> one;
  for (const AccountCores& account : holdings.accounts) {
    mine.clear();
    for (const Holding& holding : holdings.of(account)) {
      if (bundle_of_core[holding.core] != UINT32_MAX) mine.push_back({bundle_of_core[holding.core], holding});
    }
    std::stable_sort(mine.begin(), mine.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (size_t i = 0; i < mine.size();) {
      const uint32_t bundle = mine[i].first;
      one.clear();
      for (; i < mine.size() && mine[i].first == bundle; ++i) one.push_back(mine[i].second);
      if (!HoldsTwoApart(one)) continue;
      members.push_back({bundle, account.account, account.owner, static_cast<uint32_t>(kept->size()),
                         static_cast<uint32_t>(one.size())});
      kept->insert(kept->end(), one.begin(), one.end());
    }
  }
  return members;
}

EdgeRecord MakeEdge(std::span<const Profile> profiles, const Member& x, const Member& y,
                    const std::vector<Holding>& held, const CoreSet& cores, uint32_t owners) {
  EdgeRecord edge;
  edge.a = std::min(profiles[x.account].id, profiles[y.account].id);
  edge.b = std::max(profiles[x.account].id, profiles[y.account].id);
  edge.first_s = UINT32_MAX;
  const auto note = [&](const Member& m, uint32_t requests) {
    for (; requests != 0; requests &= requests - 1) {
      const uint32_t time = profiles[m.account].requests[std::countr_zero(requests)].time_s;
      edge.first_s = std::min(edge.first_s, time);
      edge.last_s = std::max(edge.last_s, time);
      ++edge.count;
    }
  };
  int64_t weight = 0;
  for (uint32_t i = x.first, j = y.first; i < x.first + x.count && j < y.first + y.count;) {
    if (held[i].core != held[j].core) {
      held[i].core < held[j].core ? ++i : ++j;
      continue;
    }
    const Core& core = cores.cores[held[i].core];
    ++edge.shared_cores;
    weight += LnRatioQ8(owners, core.owners);
    if (edge.cores_count < kEdgeCores) edge.cores[edge.cores_count++] = core.anchor;
    note(x, held[i].requests);
    note(y, held[j].requests);
    ++i, ++j;
  }
  // Busy accounts share more by chance: the sum is divided by how much both hold.
  edge.weight = SaturateQ8(std::max<int64_t>(weight * 2 / std::max(1u, std::min(x.count, y.count) + 1), 1));
  return edge;
}

}  // namespace

TemplateLayerResult FindTemplateEdges(const CoreLook& look, const Tunables& tunables) {
  TemplateLayerResult result;
  const std::span<const Profile> profiles = look.profiles;
  const std::vector<RequestRef>& requests = look.requests;
  const CoreSet& cores = look.cores;
  const uint32_t cores_count = static_cast<uint32_t>(cores.cores.size());

  const Holdings holdings = CollectHoldings(requests, profiles, cores, tunables.account_cores_max);
  const std::vector<WeightedEdge> links =
      LinkCores(holdings, cores, look.owners, VolumesOf(requests, cores), look.is_public, tunables);
  result.links = static_cast<uint32_t>(links.size());
  std::vector<uint32_t>& bundle_of_core = result.bundle_of_core;
  bundle_of_core = PropagateLabels(cores_count, links);
  std::vector<bool> linked(cores_count, false);
  for (const WeightedEdge& link : links) linked[link.a] = linked[link.b] = true;
  for (uint32_t core = 0; core < cores_count; ++core) {
    if (!linked[core]) bundle_of_core[core] = UINT32_MAX;
  }

  std::vector<Holding> held;
  const std::vector<Member> members = MembersOf(holdings, bundle_of_core, &held);
  std::vector<std::vector<uint32_t>> holders(cores_count);  // members, by core
  for (uint32_t m = 0; m < members.size(); ++m) {
    for (uint32_t i = members[m].first; i < members[m].first + members[m].count; ++i) {
      holders[held[i].core].push_back(m);
    }
  }
  FlatMap<uint8_t> done(members.size() * 8);
  std::vector<uint32_t> bundles;
  for (std::vector<uint32_t>& list : holders) {
    // A ring in a fixed order that has nothing to do with arrival: each links to the next few.
    std::sort(list.begin(), list.end(), [&](uint32_t x, uint32_t y) {
      return profiles[members[x].account].id < profiles[members[y].account].id;
    });
    for (size_t i = 0; i < list.size(); ++i) {
      for (size_t step = 1; step <= tunables.edge_neighbours && step < list.size(); ++step) {
        const uint32_t x = list[i], y = list[(i + step) % list.size()];
        if (members[x].owner == members[y].owner) continue;
        uint8_t& seen = done[static_cast<uint64_t>(std::min(x, y)) << 32 | std::max(x, y)];
        if (seen) continue;
        seen = 1;
        result.edges.push_back(MakeEdge(profiles, members[x], members[y], held, cores, look.owners));
        bundles.push_back(members[x].bundle);
      }
    }
  }
  std::sort(bundles.begin(), bundles.end());
  result.bundles = static_cast<uint32_t>(std::unique(bundles.begin(), bundles.end()) - bundles.begin());
  result.edges = SortedEdges(std::move(result.edges));
  return result;
}

}  // namespace stillwatch::pipeline
