#include "pipeline/campaign/assembler.h"

#include <algorithm>
#include <map>

#include "base/endian.h"
#include "pipeline/campaign/judge.h"
#include "pipeline/evidence/label_propagation.h"

namespace stillwatch::pipeline {

namespace {

size_t CommonMembers(const Group& a, const Group& b) {
  size_t common = 0;
  for (size_t i = 0, j = 0; i < a.members.size() && j < b.members.size();) {
    if (a.members[i].id == b.members[j].id) ++common, ++i, ++j;
    else a.members[i].id < b.members[j].id ? ++i : ++j;
  }
  return common;
}

// Seeds of the parts of a group that hold different cores and hardly share accounts: two campaigns that one
// seed had joined. Empty: the group is one.
std::vector<Seed> SplitGroup(const Group& group, const Tunables& tunables) {
  const size_t n = group.cores.cores.size();
  std::vector<std::vector<uint32_t>> holders(n);  // members, ascending, by the core that carries a hit
  for (uint32_t m = 0; m < group.members.size(); ++m) {
    for (const Hit& hit : group.members[m].hits) {
      if (holders[hit.core].empty() || holders[hit.core].back() != m) holders[hit.core].push_back(m);
    }
  }
  std::vector<WeightedEdge> edges;
  std::vector<uint32_t> common;
  for (uint32_t a = 0; a < n; ++a) {
    for (uint32_t b = a + 1; b < n && !holders[a].empty(); ++b) {
      common.clear();
      std::set_intersection(holders[a].begin(), holders[a].end(), holders[b].begin(), holders[b].end(),
                            std::back_inserter(common));
      const size_t most = std::max(holders[a].size(), holders[b].size());
      const int32_t share = static_cast<int32_t>(common.size() * 100 / std::max<size_t>(most, 1));
      if (share >= static_cast<int32_t>(tunables.split_share_percent)) edges.push_back({a, b, share});
    }
  }
  const std::vector<uint32_t> label = PropagateLabels(static_cast<uint32_t>(n), edges);
  struct Part {
    std::vector<uint32_t> members, cores;  // sorted
  };
  std::map<uint32_t, Part> by_label;
  for (uint32_t core = 0; core < n; ++core) {
    Part& part = by_label[label[core]];
    part.members.insert(part.members.end(), holders[core].begin(), holders[core].end());
    part.cores.push_back(core);
  }
  std::vector<Part> parts;
  for (auto& [l, part] : by_label) {
    std::sort(part.members.begin(), part.members.end());
    part.members.erase(std::unique(part.members.begin(), part.members.end()), part.members.end());
    if (!part.members.empty()) parts.push_back(std::move(part));
  }
  // Largest first; a part that shares many of its accounts with a larger one belongs to it.
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Part& a, const Part& b) { return a.members.size() > b.members.size(); });
  std::vector<Part> apart;
  for (Part& part : parts) {
    const auto home = std::find_if(apart.begin(), apart.end(), [&](const Part& other) {
      common.clear();
      std::set_intersection(part.members.begin(), part.members.end(), other.members.begin(), other.members.end(),
                            std::back_inserter(common));
      return common.size() * 100 >= part.members.size() * tunables.merge_percent;
    });
    if (home == apart.end()) {
      apart.push_back(std::move(part));
      continue;
    }
    common.clear();
    std::set_union(part.members.begin(), part.members.end(), home->members.begin(), home->members.end(),
                   std::back_inserter(common));
    home->members = common;
    home->cores.insert(home->cores.end(), part.cores.begin(), part.cores.end());
  }
  std::erase_if(apart, [&](const Part& part) { return part.members.size() < tunables.group_accounts_min; });
  std::vector<Seed> seeds;
  if (apart.size() < 2) return seeds;
  for (Part& part : apart) {
    Seed& seed = seeds.emplace_back();
    for (uint32_t m : part.members) seed.accounts.push_back(group.members[m].account);
    std::sort(seed.accounts.begin(), seed.accounts.end());
    std::sort(part.cores.begin(), part.cores.end());
    for (uint32_t core : part.cores) seed.anchors.push_back(group.cores.cores[core].anchor);
    for (uint32_t m : part.members) {
      const GroupMember& member = group.members[m];
      for (const Hit& hit : member.hits) {
        if (!std::binary_search(part.cores.begin(), part.cores.end(), hit.core)) continue;
        seed.requests.push_back({member.account, hit.time_s, hit.text_hash});
      }
    }
    std::sort(seed.requests.begin(), seed.requests.end());
  }
  return seeds;
}

// One campaign found from two seeds: keep the larger.
void AddGroup(Group group, const Tunables& tunables, std::vector<Group>* groups) {
  for (Group& other : *groups) {
    const size_t common = CommonMembers(group, other);
    if (common * 100 < group.members.size() * tunables.merge_percent ||
        common * 100 < other.members.size() * tunables.merge_percent) {
      continue;
    }
    if (group.members.size() > other.members.size()) other = std::move(group);
    return;
  }
  groups->push_back(std::move(group));
}

// Places of accounts in the profile table, for accounts that are asked for many times: the table itself is all over memory.
class Places {
 public:
  explicit Places(const ProfileTable& profiles) : profiles_(profiles) {}

  // UINT32_MAX: no profile.
  uint32_t Of(const AccountId& id) {
    if (last_ != 0 && known_[last_ - 1].id == id) return known_[last_ - 1].place;  // edges come sorted
    uint32_t& number = numbers_[LoadLe<uint64_t>(id.bytes)];
    if (number != 0 && !(known_[number - 1].id == id)) return Find(id);  // another one that begins alike
    if (number == 0) {
      known_.push_back({id, Find(id)});
      number = static_cast<uint32_t>(known_.size());
    }
    last_ = number;
    return known_[number - 1].place;
  }

 private:
  struct Known {
    AccountId id;
    uint32_t place;
  };
  uint32_t Find(const AccountId& id) const {
    const Profile* const profile = profiles_.Find(id);
    return profile == nullptr ? UINT32_MAX : profiles_.IndexOf(profile);
  }

  const ProfileTable& profiles_;
  FlatMap<uint32_t> numbers_;  // of known_, from 1, by the first bytes of the id
  std::vector<Known> known_;
  uint32_t last_ = 0;
};

}  // namespace

std::vector<Seed> ProposeSeeds(std::span<const EdgeRecord> edges, const ProfileTable& profiles,
                               const Tunables& tunables, uint64_t* unknown) {
  std::vector<uint32_t> node_of(profiles.size(), UINT32_MAX);  // by account
  Places places_of_a(profiles), places_of_b(profiles);
  std::vector<uint32_t> account_of;
  struct Known {
    uint32_t a, b;
    const EdgeRecord* edge;
  };
  std::vector<Known> known;
  const auto node = [&](uint32_t account) {
    uint32_t& number = node_of[account];
    if (number == UINT32_MAX) number = static_cast<uint32_t>(account_of.size()), account_of.push_back(account);
    return number;
  };
  // Division of work speaks for accounts that share prompts anyway; alone it joins whoever asks what others ask.
  const auto template_edge = [&](const EdgeRecord& edge) {
    EdgeRecord key = edge;
    key.layer = Layer::kTemplate;
    return std::binary_search(edges.begin(), edges.end(), key, [](const EdgeRecord& x, const EdgeRecord& y) { return x.Key() < y.Key(); });
  };
  // Migration says who goes together, not in which requests: its pools are seeds of their own.
  for (const EdgeRecord& edge : edges) {
    if (edge.weight <= 0 || edge.layer == Layer::kMigration ||
        (edge.layer == Layer::kWorkDivision && !template_edge(edge))) continue;
    const uint32_t a = places_of_a.Of(edge.a), b = places_of_b.Of(edge.b);
    if (a == UINT32_MAX || b == UINT32_MAX) {
      ++*unknown;
      continue;
    }
    known.push_back({node(a), node(b), &edge});
  }
  // At two resolutions: by all edges, and by those of two cores or more. A bridge of one core joins what the
  // finer look keeps apart; a slow fleet has few edges of two.
  std::vector<Seed> result;
  for (uint32_t shared_min = 1; shared_min <= 2; ++shared_min) {
    std::vector<WeightedEdge> weighted;
    for (const Known& k : known) {
      if (k.edge->shared_cores >= shared_min) weighted.push_back({k.a, k.b, k.edge->weight});
    }
    const std::vector<uint32_t> label = PropagateLabels(static_cast<uint32_t>(account_of.size()), weighted);
    std::map<uint32_t, Seed> seeds;
    for (uint32_t n = 0; n < account_of.size(); ++n) seeds[label[n]].accounts.push_back(account_of[n]);
    for (const Known& k : known) {
      if (label[k.a] != label[k.b] || k.edge->shared_cores < shared_min) continue;
      std::vector<uint32_t>& anchors = seeds[label[k.a]].anchors;
      anchors.insert(anchors.end(), k.edge->cores, k.edge->cores + k.edge->cores_count);
    }
    for (auto& [unused, seed] : seeds) {
      if (seed.accounts.size() < tunables.group_accounts_min) continue;
      std::sort(seed.accounts.begin(), seed.accounts.end());
      std::sort(seed.anchors.begin(), seed.anchors.end());
      seed.anchors.erase(std::unique(seed.anchors.begin(), seed.anchors.end()), seed.anchors.end());
      const bool known_already = std::any_of(result.begin(), result.end(), [&](const Seed& other) {
        return other.accounts == seed.accounts && other.anchors == seed.anchors;
      });
      if (!known_already) result.push_back(std::move(seed));
    }
  }
  std::stable_sort(result.begin(), result.end(), [](const Seed& a, const Seed& b) {
    return a.accounts.size() < b.accounts.size();
  });
  return result;
}

std::vector<Group> AssembleGroups(std::span<const EdgeRecord> edges, std::vector<Seed> known,
                                  const ProfileTable& profiles, std::optional<LookRequests> look, const Tunables& tunables,
                                  uint64_t* unknown, const std::function<void(Group*)>& correct) {
  std::vector<Seed> seeds = ProposeSeeds(edges, profiles, tunables, unknown);
  seeds.insert(seeds.end(), std::make_move_iterator(known.begin()), std::make_move_iterator(known.end()));
  Kin kin(edges, profiles);
  for (std::vector<uint32_t>& pool : kin.Pools()) {
    if (pool.size() >= tunables.group_accounts_min) seeds.push_back({std::move(pool), {}, {}, true});
  }
  std::vector<Group> groups;
  if (seeds.empty()) return groups;
  if (!look) look = ReadRequests(profiles.all(), tunables);
  Population population = MakePopulation(profiles.all(), *std::move(look), tunables);
  population.kin = std::move(kin);
  GroupFitter fitter(population, tunables);
  for (const Seed& seed : seeds) {
    std::optional<Group> group = fitter.Fitted(seed);
    if (!group) continue;
    // Two campaigns that one seed had joined: each must stand alone, and what does not is no group.
    std::vector<Group> parts;
    const std::vector<Seed> split = SplitGroup(*group, tunables);
    for (const Seed& part : split) {
      if (std::optional<Group> alone = fitter.Fitted(part)) AddGroup(std::move(*alone), tunables, &parts);
    }
    if (split.empty()) {
      AddGroup(std::move(*group), tunables, &groups);
      continue;
    }
    for (Group& part : parts) AddGroup(std::move(part), tunables, &groups);
  }
  if (correct) {
    for (Group& group : groups) correct(&group);
    std::erase_if(groups, [&](const Group& group) { return group.counts.owners < tunables.group_accounts_min; });
  }
  if (groups.empty()) return groups;
  const Everyone everyone = MakeEveryone(population.profiles, population.requests, tunables);
  CohortContinuity cohort(population.requests, population.owners);
  for (Group& group : groups) {
    MeasureIdentity(edges, profiles.size(), tunables, &group);
    MeasureGroup(population, everyone, &cohort, tunables, &group);
  }
  std::sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) {
    return a.founding_anchor != b.founding_anchor ? a.founding_anchor < b.founding_anchor
                                                  : a.members.size() > b.members.size();
  });
  return groups;
}

}  // namespace stillwatch::pipeline
