#include "pipeline/campaign/fit.h"

#include <algorithm>
#include <bit>
#include <map>

#include "pipeline/evidence/fixed_point.h"
#include "pipeline/evidence/core_look.h"
#include "pipeline/evidence/exact_rules_layer.h"
#include "pipeline/evidence/language.h"

namespace stillwatch::pipeline {

namespace {

// Occurrences by owner, at most three of each: no single owner sets a rate.
constexpr uint32_t kOwnerCap = 3;

constexpr size_t kAhead = 8;  // what is fetched before its turn: requests lie all over memory

// The index of who holds which fragment may have so many entries more than one search for cores: four bytes each.
constexpr uint64_t kPostingsOver = 8;

// Sorts, and keeps at most kOwnerCap of each value.
const std::vector<uint32_t>& Capped(std::vector<uint32_t>* values) {
  std::sort(values->begin(), values->end());
  size_t kept = 0;
  for (uint32_t value : *values) {
    if (kept < kOwnerCap || (*values)[kept - kOwnerCap] != value) (*values)[kept++] = value;
  }
  values->resize(kept);
  return *values;
}
// Outside accounts with so many hits through different cores are suspects: they do not count as benign.
// (Counted, they would raise the bar against the campaign that they may belong to.)
constexpr size_t kSuspectHits = 2;
constexpr int32_t kClearlyMore = 3 * 256;  // of benign hits than the floor allows: not by chance
constexpr int32_t kHitSteps = 5;  // the bar rises from request_hit_nats by up to four nats

class Fit {
 public:
  Fit(const Population& population, const Tunables& tunables)
      : population_(population), tunables_(tunables), is_member_(population.profiles.size(), false),
        is_suspect_(population.profiles.size(), false), was_member_(population.profiles.size(), false) {}

  std::optional<Group> Run(const Seed& seed) {
    std::vector<RequestRef> linked = LinkedRequests(seed);
    std::optional<Group> best;
    for (uint32_t round = 0; round <= tunables_.growth_rounds; ++round) {
      if (linked.empty()) break;
      Learn(linked);
      const size_t before = members_.size();
      const bool settled = Admit(&linked);
      // A refit that loses much has lost the thread: what was found before stands.
      if (Owners() < tunables_.group_accounts_min || (best && members_.size() * 10 < before * 7)) break;
      best = Finish();
      if (settled) break;
    }
    return best;
  }

 private:
  std::vector<RequestRef> LinkedRequests(const Seed& seed) {
    std::vector<uint32_t> firsts;  // of the accounts' requests, in the population's order
    for (uint32_t account : seed.accounts) {
      is_member_[account] = was_member_[account] = true;
      if (population_.profiles[account].requests_count != 0) firsts.push_back(population_.first_of_account[account]);
    }
    std::sort(firsts.begin(), firsts.end());
    std::vector<RequestRef> linked;
    for (uint32_t first : firsts) {
      const uint32_t account = population_.requests[first].account;
      for (uint32_t i = first; i < first + population_.profiles[account].requests_count; ++i) {
        if (IsLinked(population_.requests[i], seed)) linked.push_back(population_.requests[i]);
      }
    }
    return linked;
  }

  static bool IsLinked(const RequestRef& ref, const Seed& seed) {
    if (!seed.requests.empty()) {
      return std::binary_search(seed.requests.begin(), seed.requests.end(), RequestName{ref.account, ref.request->time_s, ref.request->text_hash});
    }
    return std::ranges::any_of(ref.request->shingles(), [&](uint32_t fragment) {
      return std::binary_search(seed.anchors.begin(), seed.anchors.end(), fragment);
    });
  }

  void Learn(const std::vector<RequestRef>& linked) {
    // A core that carries the group is one of a good share of its owners. What only a few of them share
    // is payload, or chance: many such small things would add up to a match for anyone.
    uint32_t owners = 0, last = UINT32_MAX;
    for (const RequestRef& ref : linked) owners += ref.owner != last, last = ref.owner;
    const uint32_t share = (owners * tunables_.carrying_owner_percent + 99) / 100;
    cores_ = FindCores(linked, {.owners_min = std::max(tunables_.core_owners_min, share),
                                .requests_min = static_cast<uint32_t>(linked.size() / tunables_.class_payloads_max),
                                .texts_min = tunables_.core_texts_min,
                                .merge_percent = tunables_.core_merge_percent,
                                .entries_max = tunables_.index_entries_max});
    const size_t n = cores_.cores.size();
    group_with_core_.assign(n, 0);
    group_requests_ = 0;
    group_tuples_.clear(), group_models_.clear();
    for (size_t i = 0; i < linked.size(); ++i) {
      ++group_requests_;
      ++group_tuples_[SettingsOf(*linked[i].request)];
      ++group_models_[linked[i].request->model];
      for (uint32_t core : cores_.held(i)) ++group_with_core_[core];
    }
    tuples_alike_ = MoreAlike(LikenessOf(linked), population_.likeness, ClientChoice::kSettings, tunables_);
    held_ = cores_.HeldBy(population_.postings);
    PublicCores public_cores(population_.likeness, n);
    for (size_t k = 0; k < held_.requests.size(); ++k) {
      if (k + kAhead < held_.requests.size()) __builtin_prefetch(&RefOf(k + kAhead).request->model);
      public_cores.Note(RefOf(k), held_.of(k));
    }
    is_public_ = public_cores.Find(tunables_);
    KeepTied();
    CountOutside();
  }

  // Requests of accounts that are neither members nor suspects: how many hold each core, and with which settings.
  void CountOutside() {
    const size_t n = cores_.cores.size();
    outside_with_core_.assign(n, 0);
    std::vector<uint32_t> last_owner(n, UINT32_MAX), of_owner(n, 0);
    for (size_t k = 0; k < held_.requests.size(); ++k) {
      const RequestRef& ref = RefOf(k);
      if (!IsOutside(ref.account)) continue;
      for (uint32_t core : held_.of(k)) {
        if (last_owner[core] != ref.owner) last_owner[core] = ref.owner, of_owner[core] = 0;
        if (of_owner[core]++ < kOwnerCap) ++outside_with_core_[core];
      }
    }
    // All of the population's, less what owners with accounts inside would add, and what their other accounts still do.
    outside_requests_ = static_cast<uint32_t>(population_.requests.size());
    inside_tuples_.clear(), inside_models_.clear();
    std::vector<uint32_t> owners;
    for (uint32_t account = 0; account < is_member_.size(); ++account) {
      if (IsOutside(account)) continue;
      outside_requests_ -= population_.profiles[account].requests_count;
      owners.push_back(population_.owner_of[account]);
    }
    std::sort(owners.begin(), owners.end());
    owners.erase(std::unique(owners.begin(), owners.end()), owners.end());
    std::vector<uint32_t> all, outside;
    for (uint32_t owner : owners) {
      all.clear(), outside.clear();
      for (uint32_t i = population_.first_of_owner[owner]; i < population_.first_of_owner[owner + 1]; ++i) {
        const RequestRef& ref = population_.requests[i];
        all.push_back(SettingsOf(*ref.request));
        if (IsOutside(ref.account)) outside.push_back(all.back());
      }
      for (uint32_t tuple : Capped(&all)) ++inside_tuples_[tuple], ++inside_models_[tuple >> 16];
      for (uint32_t tuple : Capped(&outside)) --inside_tuples_[tuple], --inside_models_[tuple >> 16];
    }
  }

  bool IsOutside(uint32_t account) const { return !is_member_[account] && !was_member_[account] && !is_suspect_[account]; }

  // A public core whose owners share another core far beyond chance is not everybody's after all.
  void KeepTied() {
    const size_t n = cores_.cores.size();
    constexpr size_t kCoresMax = 512;
    std::vector<uint32_t> row(n, UINT32_MAX);  // of the table of pairs; public cores have one
    uint32_t rows = 0;
    for (size_t core = 0; core < n; ++core) row[core] = is_public_[core] ? rows++ : UINT32_MAX;
    if (rows == 0 || n > kCoresMax) return;
    std::vector<uint32_t> together(rows * n, 0), holders(n, 0), mine;
    for (size_t k = 0; k < held_.requests.size();) {
      const uint32_t owner = RefOf(k).owner;
      mine.clear();
      for (; k < held_.requests.size() && RefOf(k).owner == owner; ++k) {
        mine.insert(mine.end(), held_.of(k).begin(), held_.of(k).end());
      }
      std::sort(mine.begin(), mine.end());
      mine.erase(std::unique(mine.begin(), mine.end()), mine.end());
      for (uint32_t a : mine) {
        ++holders[a];
        if (row[a] == UINT32_MAX) continue;
        for (uint32_t b : mine) together[row[a] * n + b] += a != b;
      }
    }
    for (size_t a = 0; a < n; ++a) {
      for (size_t b = 0; b < n && is_public_[a]; ++b) {
        const uint64_t expected_q8 = uint64_t{holders[a]} * holders[b] * 256 / population_.owners;
        is_public_[a] = together[row[a] * n + b] * 256ull < std::max<uint64_t>(expected_q8, 256) * tunables_.public_lift_min;
      }
    }
  }

  struct Own {
    std::map<uint32_t, uint32_t> cores, tuples, models;
    uint32_t requests = 0;
  };

  static uint32_t Count(const std::map<uint32_t, uint32_t>& counts, uint32_t key) {
    const auto at = counts.find(key);
    return at == counts.end() ? 0 : at->second;
  }

  int32_t CoreNats(uint32_t core, uint32_t own, uint32_t own_requests) const {
    if (is_public_[core]) return 0;
    const uint64_t with = group_with_core_[core] - own, of = group_requests_ - own_requests;
    const int32_t nats = LnRatioQ8(2 * with + 1, 2 * of + 2) -
                         LnRatioQ8(2ull * outside_with_core_[core] + 1, 2ull * outside_requests_ + 2);
    const int64_t words = cores_.cores[core].fragments;
    return std::clamp(nats, 0, SaturateQ8(std::min<int64_t>(words * tunables_.fragment_nats_max, tunables_.core_nats_max)));
  }

  // Parameters given the model: which model is asked says little, how it is asked says more. Nothing where the group has
  // no settings of its own: then who asks otherwise has borrowed nothing.
  int32_t TupleNats(uint32_t tuple, const Own& own) const {
    if (!tuples_alike_) return 0;
    const uint32_t model = tuple >> 16;
    const uint64_t with = Count(group_tuples_, tuple) - Count(own.tuples, tuple);
    const uint64_t of = Count(group_models_, model) - Count(own.models, model);
    const int32_t nats = LnRatioQ8(2 * with + 1, 2 * of + 2) -
                         LnRatioQ8(2ull * (population_.settings.SettingsOf(tuple) - Count(inside_tuples_, tuple)) + 1,
                                   2ull * (population_.settings.ModelsOf(model) - Count(inside_models_, model)) + 2);
    return std::clamp(nats, -tunables_.tuple_nats_max, tunables_.tuple_nats_max);
  }

  // The k-th of the requests that hold a core.
  const RequestRef& RefOf(size_t k) const { return population_.requests[held_.requests[k]]; }

  // Scores an account by those of its requests that hold a core, [begin, end) of held_.
  GroupMember Score(size_t begin, size_t end, std::vector<uint64_t>* core_masks) const {
    GroupMember member;
    member.account = RefOf(begin).account, member.owner = RefOf(begin).owner;
    const Profile& profile = population_.profiles[member.account];
    member.id = profile.id;
    member.requests = profile.requests_count;
    core_masks->clear();
    Own own;
    if (is_member_[member.account]) {
      for (uint32_t left = in_fit_[member.account]; left != 0; left &= left - 1) {
        const RememberedRequest& request = profile.requests[std::countr_zero(left)];
        ++own.requests;
        ++own.tuples[SettingsOf(request)];
        ++own.models[request.model];
      }
      for (size_t k = begin; k < end; ++k) {
        if (!(in_fit_[member.account] >> RequestIndex(RefOf(k)) & 1)) continue;
        for (uint32_t core : held_.of(k)) ++own.cores[core];
      }
    }
    for (size_t k = begin; k < end; ++k) {
      const RequestRef& ref = RefOf(k);
      const std::span<const uint32_t> held = held_.of(k);
      Hit hit{RequestIndex(ref), 0, 0, 0, ref.request->time_s, ref.request->text_hash};
      int32_t best = 0, pairs_of_words = 0;
      for (uint32_t core : held) {
        const int32_t nats = CoreNats(core, Count(own.cores, core), own.requests);
        // A long text holds many two-word cores by chance: together they count as one.
        if (cores_.cores[core].fragments > 1) hit.content_nats += nats;
        else pairs_of_words = std::max(pairs_of_words, nats);
        if (nats > best) best = nats, hit.core = core;
      }
      hit.content_nats += pairs_of_words;
      if (hit.content_nats < tunables_.request_hit_nats) continue;
      hit.tuple_nats = TupleNats(SettingsOf(*ref.request), own);
      member.hits.push_back(hit);
      for (uint32_t core : held) {
        if (cores_.cores[core].fragments == 1 || CoreNats(core, Count(own.cores, core), own.requests) < 256) continue;
        core_masks->push_back(static_cast<uint64_t>(core) << 32 | 1u << hit.request);
      }
    }
    return member;
  }

  // Enough cores through different requests, each shared with enough other members.
  bool Linked(const GroupMember& member, std::vector<uint64_t>* core_masks, uint32_t* cores) const {
    std::sort(core_masks->begin(), core_masks->end());
    std::vector<std::pair<uint32_t, uint32_t>> masks;
    for (uint64_t entry : *core_masks) {
      const uint32_t core = static_cast<uint32_t>(entry >> 32), bit = static_cast<uint32_t>(entry);
      if (masks.empty() || masks.back().first != core) masks.push_back({core, 0});
      masks.back().second |= bit;
    }
    const uint32_t self = is_member_[member.account] ? 1 : 0;
    std::erase_if(masks, [&](const auto& m) { return owners_with_core_[m.first] < tunables_.member_links_min + self; });
    *cores = static_cast<uint32_t>(masks.size());
    // Who the exact rule flags and who probes with the group's prompt needs no second one (layer 10).
    const Profile& profile = population_.profiles[member.account];
    if (IsProber(profile, tunables_)) {
      for (const auto& [core, requests] : masks) {
        for (uint32_t left = requests; left != 0; left &= left - 1) {
          if ((profile.requests[std::countr_zero(left)].flags & kProbe) != 0) return true;
        }
      }
    }
    for (size_t i = 0; i < masks.size(); ++i) {
      for (size_t j = i + 1; j < masks.size(); ++j) {
        const uint32_t a = masks[i].second, b = masks[j].second;
        if ((a & ~b) != 0 && (b & ~a) != 0) return true;
      }
    }
    return false;
  }

  // Tests every account; replaces members, suspects and the requests of the next fit. True: at most one in twenty moved.
  bool Admit(std::vector<RequestRef>* linked) {
    in_fit_.assign(population_.profiles.size(), 0);
    for (const RequestRef& ref : *linked) in_fit_[ref.account] |= 1u << RequestIndex(ref);
    owners_with_core_.assign(cores_.cores.size(), 0);
    for (size_t i = 0; i < cores_.cores.size(); ++i) owners_with_core_[i] = cores_.cores[i].owners;

    std::vector<GroupMember> tested;
    std::vector<uint64_t> masks;
    uint64_t outside = 0;  // requests
    for (uint32_t account = 0; account < is_member_.size(); ++account) {
      if (is_member_[account]) continue;
      is_suspect_[account] = false;
      if (!was_member_[account]) outside += population_.profiles[account].requests_count;
    }
    std::vector<uint64_t> outside_hits(kHitSteps, 0);  // by the step that a hit reaches
    for (size_t k = 0; k < held_.requests.size();) {
      size_t end = k;
      while (end < held_.requests.size() && RefOf(end).account == RefOf(k).account) ++end;
      GroupMember member = Score(k, end, &masks);
      k = end;
      const bool holds_apart = !member.hits.empty() && Linked(member, &masks, &member.cores);
      if (!is_member_[member.account]) {
        is_suspect_[member.account] = holds_apart && member.hits.size() >= kSuspectHits;
        const bool counted = !was_member_[member.account];
        if (counted && is_suspect_[member.account]) outside -= member.requests;
        else if (counted) {
          for (size_t h = 0; h < std::min<size_t>(member.hits.size(), kOwnerCap); ++h) ++outside_hits[StepOf(member.hits[h])];
        }
      }
      if (holds_apart) tested.push_back(std::move(member));
    }
    // The lowest bar that few enough benign requests pass; the population says where it is.
    uint32_t step = 0;
    uint64_t passing = 0;
    for (uint64_t n : outside_hits) passing += n;
    const uint64_t floor_q8 = outside * tunables_.benign_rate_floor_ppm * 256 / 1'000'000;
    while (step + 1 < kHitSteps && ExcessNats(passing, floor_q8) > kClearlyMore) {
      passing -= outside_hits[step++];
    }
    benign_requests_ = static_cast<uint32_t>(outside);
    benign_hits_ = static_cast<uint32_t>(passing);
    benign_ppm_ = static_cast<uint32_t>(
        std::max<uint64_t>(tunables_.benign_rate_floor_ppm, (passing + 1) * 1'000'000 / (outside + 1000)));

    std::vector<bool> next(is_member_.size(), false);
    members_.clear();
    linked->clear();
    borrowers_.clear();
    const int32_t bar = tunables_.request_hit_nats + static_cast<int32_t>(step) * 256;
    for (GroupMember& member : tested) {
      // By text alone first. Who passes so and fails with parameters has borrowed the prompts; he counts
      // when the group's parameters are compared, or the comparison would find what was selected.
      std::erase_if(member.hits, [&](const Hit& hit) { return hit.content_nats < bar; });
      if (!Convincing(member)) continue;
      GroupMember by_text = member;
      std::erase_if(member.hits, [&](const Hit& hit) { return StepOf(hit) < step; });
      if (!Convincing(member) || !FitsTuple(member)) {
        borrowers_.push_back(std::move(by_text));
        continue;
      }
      next[member.account] = was_member_[member.account] = true;
      for (const Hit& hit : member.hits) linked->push_back(population_.requests[population_.first_of_account[member.account] + hit.request]);
      members_.push_back(std::move(member));
    }
    size_t moved = 0;
    for (size_t i = 0; i < next.size(); ++i) moved += next[i] != is_member_[i];
    is_member_ = std::move(next);
    return moved * 20 <= members_.size();
  }

  // Its hits against the benign rate; sets the score.
  bool Convincing(GroupMember& member) const {
    const uint64_t seen = population_.profiles[member.account].requests_seen();  // not all are remembered
    const uint64_t expected_q8 = seen * benign_ppm_ * 256 / 1'000'000;
    member.score = ExcessNats(member.hits.size(), expected_q8);
    // Two hits convince only of an account that sends little else.
    const size_t hits_min = member.hits.size() * 2 >= seen ? 2 : 3;
    return member.hits.size() >= hits_min && member.score >= tunables_.member_nats;
  }

  // How many nats above the lowest bar.
  size_t StepOf(const Hit& hit) const {
    const int32_t nats = std::min(hit.content_nats, hit.content_nats + hit.tuple_nats);
    return static_cast<size_t>(std::clamp((nats - tunables_.request_hit_nats) / 256, 0, kHitSteps - 1));
  }

  // A borrower of a known prompt sends it with parameters of its own.
  static bool FitsTuple(const GroupMember& member) {
    size_t fits = 0;
    for (const Hit& hit : member.hits) fits += hit.tuple_nats > -256;
    return fits * 2 >= member.hits.size();
  }

  uint32_t Owners() const {
    uint32_t owners = 0, last = UINT32_MAX;
    for (const GroupMember& member : members_) {  // in owner order
      owners += member.owner != last;
      last = member.owner;
    }
    return owners;
  }

  Group Finish() const {
    Group group;
    group.counts.owners = Owners();
    group.members = members_;
    group.borrowers = borrowers_;
    for (GroupMember& member : group.members) {
      member.first_s = UINT32_MAX;
      for (const Hit& hit : member.hits) {
        const uint32_t time = population_.profiles[member.account].requests[hit.request].time_s;
        member.first_s = std::min(member.first_s, time);
        member.last_s = std::max(member.last_s, time);
      }
    }
    std::sort(group.members.begin(), group.members.end(),
              [](const GroupMember& a, const GroupMember& b) { return a.id < b.id; });
    uint32_t most = 0;
    for (const Core& core : cores_.cores) {
      if (core.owners > most) most = core.owners, group.founding_anchor = core.anchor;
    }
    group.cores = cores_;
    group.counts.benign_requests = benign_requests_;
    group.counts.benign_hits = benign_hits_;
    group.counts.benign_rate_ppm = benign_ppm_;
    return group;
  }

  uint32_t RequestIndex(const RequestRef& ref) const {
    return static_cast<uint32_t>(ref.request - population_.profiles[ref.account].requests);
  }

  const Population& population_;
  const Tunables& tunables_;
  // By account. Who was proposed or ever admitted is not benign to compare with: let go, he would raise the
  // bar and the next would be let go.
  std::vector<bool> is_member_, is_suspect_, was_member_;
  std::vector<uint32_t> in_fit_;              // by account, bit set of requests
  CoreSet cores_;
  std::vector<bool> is_public_;               // by core
  bool tuples_alike_ = false;                 // the group's owners use the same model and parameters more than others do
  HeldCores held_;                            // cores by request of the population
  std::vector<uint32_t> group_with_core_, outside_with_core_, owners_with_core_;
  uint32_t group_requests_ = 0, outside_requests_ = 0;
  std::map<uint32_t, uint32_t> group_tuples_, group_models_, inside_tuples_, inside_models_;
  std::vector<GroupMember> members_, borrowers_;
  uint32_t benign_requests_ = 0, benign_hits_ = 0, benign_ppm_ = 0;
};

}  // namespace

Population MakePopulation(std::span<const Profile> profiles, const Tunables& tunables) {
  Population population;
  population.profiles = profiles;
  population.owner_of = OwnerIndexes(profiles, &population.owners);
  population.requests = AllRequests(profiles, population.owner_of);
  population.likeness = LikenessOf(population.requests);
  population.postings = FragmentPostings(population.requests, tunables.core_owners_min, kPostingsOver * uint64_t{tunables.index_entries_max});
  population.first_of_account.assign(profiles.size(), 0);
  population.first_of_owner.assign(population.owners + 1, 0);
  population.multilingual.assign(population.owners, false);
  std::vector<uint32_t> mine;
  for (uint32_t i = 0; i < population.requests.size();) {
    const uint32_t owner = population.requests[i].owner;
    mine.clear();
    LanguageSet languages;
    for (uint32_t account = UINT32_MAX; i < population.requests.size() && population.requests[i].owner == owner; ++i) {
      const RequestRef& ref = population.requests[i];
      if (ref.account != account) population.first_of_account[account = ref.account] = i;
      mine.push_back(SettingsOf(*ref.request));
      languages.Add(ref.request->language);
    }
    population.multilingual[owner] = languages.size() >= tunables.languages_many;
    population.multilingual_owners += population.multilingual[owner];
    population.first_of_owner[owner + 1] = i;
    for (uint32_t tuple : Capped(&mine)) ++population.settings.settings[tuple], ++population.settings.models[tuple >> 16];
  }
  // Owners without a request begin where the next one does.
  for (size_t owner = 0; owner < population.owners; ++owner) {
    population.first_of_owner[owner + 1] = std::max(population.first_of_owner[owner], population.first_of_owner[owner + 1]);
  }
  return population;
}

std::optional<Group> FitGroup(const Population& population, const Seed& seed, const Tunables& tunables) {
  return Fit(population, tunables).Run(seed);
}

}  // namespace stillwatch::pipeline
