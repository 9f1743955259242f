// Layer 4 of a whole group: do its accounts come back to the same semantic clusters (evidence/semantic_clusters.h) more than
// accounts outside do? A cluster is the group's when a tenth of its owners and three at least use it. An account, itself left
// out of that, counts by its requests in them against how often such requests come from outside, and only with three in one
// cluster or with two clusters. The group's is the median account's, less the same of the matched cohort's best draw. Look-alikes score as campaigns do: it stays a hint.
#include <algorithm>

#include "base/mutant.h"
#include "pipeline/campaign/group_layers.h"
#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint32_t kUsesMin = 3, kClustersMin = 2;  // of one owner, before it counts: one of the two

enum Count : size_t { kSpeaking, kOwners, kClusters, kCohortSpeaking, kCohortOwners };

struct Use {
  uint16_t cluster;
  uint32_t requests;
};

// What owners' accounts hold, one after another.
class Holdings {
 public:
  struct Owner {
    std::span<const Use> uses;  // each cluster once
    uint64_t exchanges;
  };

  void Add(std::span<const Profile> profiles, const Everyone::Owner& owner) {
    const size_t begin = uses_.size();
    for (uint32_t account : AccountsOf(owner.requests)) {
      const ClusterCounts& clusters = profiles[account].clusters;
      for (uint32_t i = 0; i < clusters.Size(); ++i) AddUse(begin, {clusters.clusters[i], clusters.Uses(i)});
    }
    ends_.push_back(uses_.size());
    exchanges_.push_back(owner.exchanges);
  }
  Owner operator[](size_t i) const {
    const size_t begin = i == 0 ? 0 : ends_[i - 1];
    return {std::span(uses_).subspan(begin, ends_[i] - begin), exchanges_[i]};
  }
  size_t size() const { return ends_.size(); }
  bool none() const { return uses_.empty(); }

 private:
  void AddUse(size_t begin, Use use) {
    const auto same = std::find_if(uses_.begin() + static_cast<ptrdiff_t>(begin), uses_.end(), [&](const Use& u) { return u.cluster == use.cluster; });
    if (same == uses_.end()) uses_.push_back(use);
    else same->requests += use.requests;
  }

  std::vector<Use> uses_;
  std::vector<size_t> ends_;
  std::vector<uint64_t> exchanges_;
};

// Requests in each cluster of everybody who is no member, and all they asked.
struct Outside {
  std::vector<uint64_t> requests;  // by cluster
  uint64_t exchanges;

  Outside(const Everyone& everyone, const Holdings& members) : requests(everyone.cluster_requests), exchanges(everyone.exchanges) {
    for (size_t i = 0; i < members.size(); ++i) {
      exchanges -= members[i].exchanges;
      for (const Use& use : members[i].uses) requests[use.cluster] -= use.requests;
    }
  }
};

// Of some owners as a group.
struct Inside {
  uint32_t owners = 0;
  uint64_t requests = 0;
};

struct Said {
  int32_t nats = 0;
  uint64_t speaking = 0, clusters = 0;
};

// `among_outside`: the owners are counted in `outside` too. `inside`: one for each cluster, all zero before and after.
Said Measure(std::span<const Holdings::Owner> owners, const Outside& outside, bool among_outside, const Tunables& tunables, std::vector<Inside>* inside) {
  const uint64_t owners_min = std::max<uint64_t>(tunables.core_owners_min, owners.size() * tunables.carrying_owner_percent / 100);
  uint64_t exchanges = outside.exchanges;
  std::vector<uint16_t> clusters;
  for (const Holdings::Owner& owner : owners) {
    if (among_outside) exchanges -= owner.exchanges;
    for (const Use& use : owner.uses) {
      Inside& in = (*inside)[use.cluster];
      if (in.owners++ == 0) clusters.push_back(use.cluster);
      in.requests += use.requests;
    }
  }
  Said said;
  uint64_t requests = 0;  // from outside, in the group's clusters
  for (uint16_t cluster : clusters) {
    const Inside& in = (*inside)[cluster];
    if (in.owners < owners_min) continue;
    ++said.clusters;
    requests += outside.requests[cluster] - (among_outside ? in.requests : 0);
  }
  const uint64_t rate_ppm = std::max<uint64_t>(requests * 1'000'000 / std::max<uint64_t>(exchanges, 1), tunables.benign_rate_floor_ppm);
  std::vector<int32_t> nats;
  for (const Holdings::Owner& owner : owners) {
    uint64_t hits = 0, met = 0, most = 0;
    for (const Use& use : owner.uses) {
      if ((*inside)[use.cluster].owners - 1 < owners_min) continue;  // itself left out: as many others
      hits += use.requests, ++met, most = std::max<uint64_t>(most, use.requests);
    }
    const bool speaks = most >= kUsesMin || met >= kClustersMin || MutantIs("cluster.one_request_speaks");
    nats.push_back(speaks ? ExcessNats(hits, std::min<uint64_t>(owner.exchanges, UINT32_MAX) * rate_ppm * 256 / 1'000'000) : 0);
    said.speaking += nats.back() > 0;
  }
  for (uint16_t cluster : clusters) (*inside)[cluster] = {};
  const auto middle = nats.begin() + static_cast<ptrdiff_t>(nats.size() / 2);
  std::nth_element(nats.begin(), middle, nats.end());
  said.nats = *middle;
  return said;
}

}  // namespace

Finding MeasureSemantic(const GroupView& view, const Tunables& tunables) {
  Finding finding;
  finding.counts[kOwners] = view.members.size();
  const Everyone& everyone = *view.everyone;
  Holdings members;
  for (const OwnerView& owner : view.members) members.Add(everyone.profiles, everyone.owners[owner.place]);
  finding.known = !members.none() && !view.draws.empty();
  if (!finding.known) return finding;
  const Outside outside(everyone, members);
  std::vector<Inside> inside(everyone.cluster_requests.size());
  std::vector<Holdings::Owner> owners;
  for (size_t i = 0; i < members.size(); ++i) owners.push_back(members[i]);
  const Said said = Measure(owners, outside, false, tunables, &inside);
  Said cohort;
  for (const std::vector<uint32_t>& draw : view.draws) {
    Holdings drawn;
    for (uint32_t place : draw) drawn.Add(everyone.profiles, everyone.owners[place]);
    owners.clear();
    for (size_t i = 0; i < drawn.size(); ++i) owners.push_back(drawn[i]);
    const Said here = Measure(owners, outside, true, tunables, &inside);
    cohort.nats = std::max(cohort.nats, here.nats), cohort.speaking = std::max(cohort.speaking, here.speaking);
    finding.counts[kCohortOwners] = std::max<uint64_t>(finding.counts[kCohortOwners], owners.size());
  }
  finding.nats = std::min(std::max(said.nats - cohort.nats, 0), tunables.hint_nats_max);
  finding.counts[kSpeaking] = said.speaking;
  finding.counts[kClusters] = said.clusters;
  finding.counts[kCohortSpeaking] = cohort.speaking;
  return finding;
}

std::string SemanticSentence(const Finding& finding) {
  const auto& c = finding.counts;
  if (!finding.known) return "too little to compare what the accounts ask for";
  return std::to_string(c[kSpeaking]) + " of " + std::to_string(c[kOwners]) + " accounts ask more often than others for things that lie close together, in " +
         std::to_string(c[kClusters]) + " clusters; of " + std::to_string(c[kCohortOwners]) + " matched accounts " + std::to_string(c[kCohortSpeaking]) +
         " do among themselves. Nothing is said across languages";
}

}  // namespace stillwatch::pipeline
