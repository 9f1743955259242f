#include "pipeline/campaign/fit.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "base/mutant.h"
#include "pipeline/evidence/fixed_point.h"
#include "pipeline/evidence/core_look.h"
#include "pipeline/evidence/exact_rules_layer.h"
#include "pipeline/evidence/language.h"

namespace stillwatch::pipeline {

namespace {

// Occurrences by owner, at most three of each: no single owner sets a rate.
constexpr uint32_t kOwnerCap = 3;

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

// Of an account, while one group is fitted.
enum Standing : uint8_t {
  kMember = 1u << 0,
  kSuspect = 1u << 1,
  kWasMember = 1u << 2,  // proposed or ever admitted: not benign to compare with. Let go, it would raise the bar and the next would be let go
};

}  // namespace

class GroupFitter::Fit {
 public:
  Fit(const Population& population, CoreHolders* holders, const Tunables& tunables)
      : population_(population), holders_(*holders), tunables_(tunables), standing_(population.profiles.size(), 0),
        in_fit_(population.profiles.size(), 0), evidence_(population.requests.size()), touched_(population.requests.size() / 64 + 1, 0) {}

  std::optional<Group> Run(const Seed& seed) {
    for (const std::vector<uint32_t>* some : {&were_members_, &suspects_}) {
      for (uint32_t account : *some) standing_[account] = 0;
    }
    member_accounts_.clear(), suspects_.clear(), were_members_.clear(), members_.clear(), borrowers_.clear(), learned_.clear();
    requests_of_were_members_ = 0;
    std::vector<RequestRef> linked = LinkedRequests(seed);
    is_pool_ = seed.is_pool;
    std::optional<Group> best;
    for (uint32_t round = 0; round <= tunables_.growth_rounds; ++round) {
      if (linked.empty()) break;
      Learn(linked);
      CountOutside();
      const size_t before = members_.size();
      const bool settled = Admit(&linked) && !is_pool_;
      is_pool_ = false;
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
      standing_[account] |= kMember;
      member_accounts_.push_back(account);
      SetWasMember(account);
      if (population_.profiles[account].requests_count != 0) firsts.push_back(population_.first_of_account[account]);
    }
    std::sort(firsts.begin(), firsts.end());
    anchors_.Build(seed.requests.empty() ? std::span<const uint32_t>(seed.anchors) : std::span<const uint32_t>());
    std::vector<RequestRef> linked;
    for (uint32_t first : firsts) {
      const uint32_t account = population_.requests[first].account;
      for (uint32_t i = first; i < first + population_.profiles[account].requests_count; ++i) {
        if (IsLinked(population_.requests[i], seed)) linked.push_back(population_.requests[i]);
      }
    }
    return linked;
  }

  bool IsLinked(const RequestRef& ref, const Seed& seed) const {
    if (seed.is_pool) return true;
    if (!seed.requests.empty()) {
      return std::binary_search(seed.requests.begin(), seed.requests.end(), RequestName{ref.account, ref.request->time_s, ref.request->text_hash});
    }
    for (uint32_t maybe = anchors_.MaybeIn(ref.request->shingles()); maybe != 0; maybe &= maybe - 1) {
      if (anchors_.Find(ref.request->fragments[std::countr_zero(maybe)]) != FragmentIndex::kNone) return true;
    }
    return false;
  }

  void Learn(const std::vector<RequestRef>& linked) {
    const auto same = [](const RequestRef& a, const RequestRef& b) { return a.request == b.request; };
    if (std::ranges::equal(linked, learned_, same)) return;
    learned_ = linked;
    // A core that carries the group is one of a good share of its owners. What only a few of them share
    // is payload, or chance: many such small things would add up to a match for anyone.
    uint32_t owners = 0, last = UINT32_MAX;
    for (const RequestRef& ref : linked) owners += ref.owner != last, last = ref.owner;
    // (Of a pool all requests are read, and most are cover.)
    const uint32_t share = is_pool_ ? 0 : (owners * tunables_.carrying_owner_percent + 99) / 100;
    cores_ = FindCores(linked, {.owners_min = std::max(tunables_.core_owners_min, share),
                                .requests_min = is_pool_ ? 0 : static_cast<uint32_t>(linked.size() / tunables_.class_payloads_max),
                                .texts_min = tunables_.core_owners_min,
                                .merge_percent = tunables_.core_merge_percent,
                                .entries_max = tunables_.index_entries_max});
    const size_t n = cores_.cores.size();
    group_with_core_.assign(n, 0);
    group_requests_ = 0;
    group_tuples_.Clear(), group_models_.Clear();
    for (size_t i = 0; i < linked.size(); ++i) {
      ++group_requests_;
      ++group_tuples_[SettingsOf(*linked[i].request)];
      ++group_models_[linked[i].request->model];
      for (uint32_t core : cores_.held(i)) ++group_with_core_[core];
    }
    tuples_alike_ = MoreAlike(LikenessOf(linked), population_.likeness, ClientChoice::kSettings, tunables_);
    held_by_ = holders_.Of(cores_);
    is_public_.resize(n);
    for (size_t core = 0; core < n; ++core) is_public_[core] = held_by_[core]->is_public;
    KeepTied();
  }

  // Requests of accounts that are neither members nor suspects: how many hold each core, and with which settings.
  void CountOutside() {
    const size_t n = cores_.cores.size();
    outside_with_core_.assign(n, 0);
    for (size_t core = 0; core < n; ++core) {
      uint32_t last_owner = UINT32_MAX, of_owner = 0;
      for (uint32_t request : held_by_[core]->requests) {
        const RequestRef& ref = population_.requests[request];
        if (!IsOutside(ref.account)) continue;
        if (last_owner != ref.owner) last_owner = ref.owner, of_owner = 0;
        if (of_owner++ < kOwnerCap) ++outside_with_core_[core];
      }
    }
    // All of the population's, less what owners with accounts inside would add, and what their other accounts still do.
    outside_requests_ = static_cast<uint32_t>(population_.requests.size());
    inside_tuples_.Clear(), inside_models_.Clear();
    std::vector<uint32_t> owners;
    const auto note = [&](uint32_t account) {
      outside_requests_ -= population_.profiles[account].requests_count;
      owners.push_back(population_.owner_of[account]);
    };
    for (uint32_t account : were_members_) note(account);
    for (uint32_t account : suspects_) {
      if ((standing_[account] & kWasMember) == 0) note(account);
    }
    std::sort(owners.begin(), owners.end());
    owners.erase(std::unique(owners.begin(), owners.end()), owners.end());
    std::vector<uint32_t> all, outside;
    for (uint32_t owner : owners) {
      all.clear(), outside.clear();
      for (uint32_t i = population_.first_of_owner[owner]; i < population_.first_of_owner[owner + 1]; ++i) {
        all.push_back(population_.choices[i].values[ClientChoice::kSettings]);
        if (IsOutside(population_.requests[i].account)) outside.push_back(all.back());
      }
      for (uint32_t tuple : Capped(&all)) ++inside_tuples_[tuple], ++inside_models_[tuple >> 16];
      for (uint32_t tuple : Capped(&outside)) --inside_tuples_[tuple], --inside_models_[tuple >> 16];
    }
  }

  void SetWasMember(uint32_t account) {
    if ((standing_[account] & kWasMember) != 0) return;
    standing_[account] |= kWasMember;
    were_members_.push_back(account);
    requests_of_were_members_ += population_.profiles[account].requests_count;
  }

  // A public core whose owners share another core far beyond chance is not everybody's after all.
  void KeepTied() {
    const size_t n = cores_.cores.size();
    constexpr size_t kCoresMax = 512;
    std::vector<uint32_t> public_cores;
    for (uint32_t core = 0; core < n; ++core) {
      if (is_public_[core]) public_cores.push_back(core);
    }
    if (public_cores.empty() || n > kCoresMax) return;
    constexpr size_t kAtOnce = 64;
    std::vector<uint64_t> holds(population_.owners, 0);  // by owner, bit set of up to 64 public cores
    std::vector<uint32_t> together;                      // owners, by core and public core
    for (size_t first = 0; first < public_cores.size(); first += kAtOnce) {
      const std::span<const uint32_t> some = std::span(public_cores).subspan(first, std::min(kAtOnce, public_cores.size() - first));
      std::fill(holds.begin(), holds.end(), 0);
      for (size_t row = 0; row < some.size(); ++row) {
        for (uint32_t owner : held_by_[some[row]]->owner_list) holds[owner] |= 1ull << row;
      }
      together.assign(n * kAtOnce, 0);
      for (size_t core = 0; core < n; ++core) {
        for (uint32_t owner : held_by_[core]->owner_list) {
          for (uint64_t rows = holds[owner]; rows != 0; rows &= rows - 1) ++together[core * kAtOnce + static_cast<size_t>(std::countr_zero(rows))];
        }
      }
      for (size_t row = 0; row < some.size(); ++row) {
        const uint32_t a = some[row];
        for (size_t b = 0; b < n && is_public_[a]; ++b) {
          const uint64_t expected_q8 = uint64_t{held_by_[a]->owner_list.size()} * held_by_[b]->owner_list.size() * 256 / population_.owners;
          const uint64_t both = b == a ? 0 : together[b * kAtOnce + row];
          is_public_[a] = both * 256 < std::max<uint64_t>(expected_q8, 256) * tunables_.public_lift_min;
        }
      }
    }
  }

  bool IsOutside(uint32_t account) const { return standing_[account] == 0; }
  bool IsMember(uint32_t account) const { return (standing_[account] & kMember) != 0; }

  // What the account that is scored has itself in the fit.
  struct Own {
    std::vector<uint32_t> cores;  // by core, how many of its requests; zero where `held` names none
    std::vector<uint32_t> held;
    std::vector<uint32_t> tuples;  // of each request
    uint32_t requests() const { return static_cast<uint32_t>(tuples.size()); }
    uint32_t OfTuple(uint32_t tuple) const { return static_cast<uint32_t>(std::ranges::count(tuples, tuple)); }
    uint32_t OfModel(uint32_t model) const {
      return static_cast<uint32_t>(std::ranges::count_if(tuples, [&](uint32_t tuple) { return tuple >> 16 == model; }));
    }
  };

  static uint32_t Count(const FlatMap<uint32_t>& counts, uint32_t key) {
    const uint32_t* const count = counts.Find(key);
    return count == nullptr ? 0 : *count;
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
    const uint64_t with = Count(group_tuples_, tuple) - own.OfTuple(tuple);
    const uint64_t of = Count(group_models_, model) - own.OfModel(model);
    const int32_t nats = LnRatioQ8(2 * with + 1, 2 * of + 2) -
                         LnRatioQ8(2ull * (population_.settings.SettingsOf(tuple) - Count(inside_tuples_, tuple)) + 1,
                                   2ull * (population_.settings.ModelsOf(model) - Count(inside_models_, model)) + 2);
    return std::clamp(nats, -tunables_.tuple_nats_max, tunables_.tuple_nats_max);
  }

  // Of an account that has nothing in the fit: the same for each of its requests with these settings.
  int32_t OutsiderTupleNats(uint32_t tuple) {
    std::pair<bool, int32_t>& known = outsider_tuple_nats_[tuple];
    if (!known.first) known = {true, TupleNats(tuple, Own{})};
    return known.second;
  }

  // The requests that may count, ascending, with the cores of each that are not everybody's: all that members hold, and of
  // others those whose cores make a hit.
  void FindTold() {
    const size_t n = cores_.cores.size();
    outsider_tuple_nats_.Clear();
    nats_.resize(n);
    for (uint32_t core = 0; core < n; ++core) {
      nats_[core] = CoreNats(core, 0, 0);
      if (is_public_[core]) continue;
      const bool single = cores_.cores[core].fragments == 1;
      for (uint32_t request : held_by_[core]->requests) {
        touched_[request / 64] |= 1ull << request % 64;
        if (single) evidence_[request].pairs_of_words = std::max(evidence_[request].pairs_of_words, nats_[core]);
        else evidence_[request].nats += nats_[core];
      }
    }
    told_.clear();
    word_start_.resize(touched_.size());
    for (size_t word = 0; word < touched_.size(); ++word) {
      word_start_[word] = static_cast<uint32_t>(told_.size());
      for (uint64_t left = touched_[word]; left != 0; left &= left - 1) {
        const auto request = static_cast<uint32_t>(word * 64 + static_cast<size_t>(std::countr_zero(left)));
        const int32_t nats = evidence_[request].nats + evidence_[request].pairs_of_words;
        evidence_[request] = {};
        if (nats >= tunables_.request_hit_nats || IsMember(population_.requests[request].account)) told_.push_back(request);
        else touched_[word] &= ~(1ull << request % 64);
      }
    }
    told_of_core_.clear();
    told_start_.assign(told_.size() + 1, 0);
    for (uint32_t core = 0; core < n; ++core) {
      if (is_public_[core]) continue;
      for (uint32_t request : held_by_[core]->requests) {
        const uint64_t word = touched_[request / 64], bit = 1ull << request % 64;
        if ((word & bit) == 0) continue;
        const uint32_t k = word_start_[request / 64] + static_cast<uint32_t>(std::popcount(word & (bit - 1)));
        told_of_core_.push_back({k, core});
        ++told_start_[k + 1];
      }
    }
    std::partial_sum(told_start_.begin(), told_start_.end(), told_start_.begin());
    told_cores_.resize(told_of_core_.size());
    for (const auto& [k, core] : told_of_core_) told_cores_[told_start_[k]++] = core;  // start is now the end
    std::fill(touched_.begin(), touched_.end(), 0);
  }
  const RequestRef& RefOf(size_t k) const { return population_.requests[told_[k]]; }
  std::span<const uint32_t> CoresOf(size_t k) const {
    const uint32_t from = k == 0 ? 0 : told_start_[k - 1];
    return {told_cores_.data() + from, told_start_[k] - from};
  }

  // Scores an account by those of its requests that may count, [begin, end) of told_. The cores that link it go to *core_masks.
  void Score(size_t begin, size_t end, GroupMember* scored, std::vector<uint64_t>* core_masks) {
    GroupMember& member = *scored;
    member.hits.clear();
    member.account = RefOf(begin).account, member.owner = RefOf(begin).owner;
    const Profile& profile = population_.profiles[member.account];
    core_masks->clear();
    const bool is_member = IsMember(member.account);
    own_.cores.resize(cores_.cores.size(), 0);
    for (uint32_t core : own_.held) own_.cores[core] = 0;
    own_.held.clear(), own_.tuples.clear();
    if (is_member) {
      for (uint32_t left = in_fit_[member.account]; left != 0; left &= left - 1) {
        own_.tuples.push_back(SettingsOf(profile.requests[std::countr_zero(left)]));
      }
      for (size_t k = begin; k < end; ++k) {
        if (!(in_fit_[member.account] >> RequestIndex(RefOf(k)) & 1)) continue;
        for (uint32_t core : CoresOf(k)) {
          if (own_.cores[core]++ == 0) own_.held.push_back(core);
        }
      }
    }
    const auto core_nats = [&](uint32_t core) { return is_member ? CoreNats(core, own_.cores[core], own_.requests()) : nats_[core]; };
    for (size_t k = begin; k < end; ++k) {
      const RequestRef& ref = RefOf(k);
      const std::span<const uint32_t> held = CoresOf(k);
      Hit hit{RequestIndex(ref), 0, 0, 0, 0, 0};
      int32_t best = 0, pairs_of_words = 0;
      for (uint32_t core : held) {
        const int32_t nats = core_nats(core);
        // A long text holds many two-word cores by chance: together they count as one.
        if (cores_.cores[core].fragments > 1) hit.content_nats += nats;
        else pairs_of_words = std::max(pairs_of_words, nats);
        if (nats > best) best = nats, hit.core = core;
      }
      hit.content_nats += pairs_of_words;
      if (hit.content_nats < tunables_.request_hit_nats) continue;
      hit.time_s = ref.request->time_s, hit.text_hash = ref.request->text_hash;
      const uint32_t tuple = population_.choices[told_[k]].values[ClientChoice::kSettings];
      hit.tuple_nats = is_member ? TupleNats(tuple, own_) : OutsiderTupleNats(tuple);
      member.hits.push_back(hit);
      for (uint32_t core : held) {
        if (cores_.cores[core].fragments == 1 || core_nats(core) < 256) continue;
        core_masks->push_back(static_cast<uint64_t>(core) << 32 | 1u << hit.request);
      }
    }
    if (member.hits.empty()) return;
    member.kin_nats = KinNats(member.account);
    member.id = profile.id;
    member.requests = profile.requests_count;
  }

  // Enough cores through different requests, each shared with enough other members.
  bool Linked(const GroupMember& member, std::vector<uint64_t>* core_masks, uint32_t* cores) {
    std::sort(core_masks->begin(), core_masks->end());
    auto& masks = masks_;
    masks.clear();
    for (uint64_t entry : *core_masks) {
      const uint32_t core = static_cast<uint32_t>(entry >> 32), bit = static_cast<uint32_t>(entry);
      if (masks.empty() || masks.back().first != core) masks.push_back({core, 0});
      masks.back().second |= bit;
    }
    const uint32_t self = IsMember(member.account) ? 1 : 0;
    std::erase_if(masks, [&](const auto& m) { return owners_with_core_[m.first] < tunables_.member_links_min + self; });
    *cores = static_cast<uint32_t>(masks.size());
    if (member.kin_nats != 0 && !masks.empty()) return true;
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
    for (const RequestRef& ref : *linked) in_fit_[ref.account] |= 1u << RequestIndex(ref);
    owners_with_core_.assign(cores_.cores.size(), 0);
    for (size_t i = 0; i < cores_.cores.size(); ++i) owners_with_core_[i] = cores_.cores[i].owners;
    FindTold();

    std::vector<GroupMember> tested;
    std::vector<uint64_t> masks;
    GroupMember member;
    for (uint32_t account : suspects_) standing_[account] &= static_cast<uint8_t>(~kSuspect);
    suspects_.clear();
    uint64_t outside = population_.requests.size() - requests_of_were_members_;
    std::vector<uint64_t> outside_hits(kHitSteps, 0);  // by the step that a hit reaches
    for (size_t k = 0; k < told_.size();) {
      size_t end = k;
      while (end < told_.size() && RefOf(end).account == RefOf(k).account) ++end;
      Score(k, end, &member, &masks);
      k = end;
      const bool holds_apart = !member.hits.empty() && Linked(member, &masks, &member.cores);
      if ((standing_[member.account] & kWasMember) == 0) {
        if (holds_apart && member.hits.size() >= kSuspectHits) {
          standing_[member.account] |= kSuspect;
          suspects_.push_back(member.account);
          outside -= member.requests;
        } else {
          for (size_t h = 0; h < std::min<size_t>(member.hits.size(), kOwnerCap); ++h) ++outside_hits[StepOf(member.hits[h])];
        }
      }
      if (holds_apart) tested.push_back(member);
    }
    for (const RequestRef& ref : *linked) in_fit_[ref.account] = 0;
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

    for (uint32_t account : member_accounts_) standing_[account] &= static_cast<uint8_t>(~kMember);
    members_.clear();
    linked->clear();
    borrowers_.clear();
    const int32_t bar = tunables_.request_hit_nats + static_cast<int32_t>(step) * 256;
    for (GroupMember& one : tested) {
      // By text alone first. Who passes so and fails with parameters has borrowed the prompts; he counts
      // when the group's parameters are compared, or the comparison would find what was selected.
      std::erase_if(one.hits, [&](const Hit& hit) { return hit.content_nats < bar; });
      if (!Convincing(one)) continue;
      GroupMember by_text = one;
      std::erase_if(one.hits, [&](const Hit& hit) { return StepOf(hit) < step; });
      if (!Convincing(one) || !FitsTuple(one)) {
        borrowers_.push_back(std::move(by_text));
        continue;
      }
      for (const Hit& hit : one.hits) linked->push_back(population_.requests[population_.first_of_account[one.account] + hit.request]);
      members_.push_back(std::move(one));
    }
    // Those that came, and those that went.
    size_t moved = members_.size() + member_accounts_.size();
    for (const GroupMember& one : members_) standing_[one.account] |= kMember, SetWasMember(one.account);
    for (uint32_t account : member_accounts_) moved -= IsMember(account) ? 2 : 0;
    member_accounts_.clear();
    for (const GroupMember& one : members_) member_accounts_.push_back(one.account);
    return moved * 20 <= members_.size();
  }

  // Its hits against the benign rate; sets the score.
  bool Convincing(GroupMember& member) const {
    const uint64_t seen = population_.profiles[member.account].requests_seen();  // not all are remembered
    const uint64_t expected_q8 = seen * benign_ppm_ * 256 / 1'000'000;
    member.score = ExcessNats(member.hits.size(), expected_q8) + member.kin_nats;
    // Two hits convince only of an account that sends little else, and one of an account that is run with the others.
    const size_t hits_min = member.kin_nats != 0 ? 1 : member.hits.size() * 2 >= seen ? 2 : 3;
    return member.hits.size() >= hits_min && member.score >= tunables_.member_nats;
  }

  // That it is run with the members, by conversations which moved between them; nothing below so many owners.
  int32_t KinNats(uint32_t account) const {
    std::vector<uint32_t> owners;
    for (uint32_t other : population_.kin.Of(account)) {
      if (IsMember(other)) owners.push_back(population_.owner_of[other]);
    }
    std::sort(owners.begin(), owners.end());
    const int64_t count = std::unique(owners.begin(), owners.end()) - owners.begin();
    if (count < tunables_.member_links_min || MutantIs("detect.relays_are_strangers")) return 0;
    return static_cast<int32_t>(std::min<int64_t>(count * tunables_.migration_nats, tunables_.identity_nats_max));
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
  CoreHolders& holders_;
  const Tunables& tunables_;
  std::vector<uint8_t> standing_;             // by account, bit set of Standing
  std::vector<uint32_t> member_accounts_, suspects_, were_members_;
  uint64_t requests_of_were_members_ = 0;
  std::vector<uint32_t> in_fit_;              // by account, bit set of requests; zero but in Admit
  FragmentIndex anchors_;                     // of the seed
  std::vector<RequestRef> learned_;           // what cores_ to is_public_ are of
  CoreSet cores_;
  std::vector<const CoreHolders::Holders*> held_by_;  // by core: requests of the population
  std::vector<uint8_t> is_public_;            // by core
  bool is_pool_ = false;  // this round learns from all requests of a pool
  bool tuples_alike_ = false;                 // the group's owners use the same model and parameters more than others do
  std::vector<uint32_t> group_with_core_, outside_with_core_, owners_with_core_;
  std::vector<int32_t> nats_;                 // by core, for who has nothing in the fit
  uint32_t group_requests_ = 0, outside_requests_ = 0;
  FlatMap<uint32_t> group_tuples_, group_models_, inside_tuples_, inside_models_;
  FlatMap<std::pair<bool, int32_t>> outsider_tuple_nats_;
  // FindTold's: requests that may count, their cores, and its scratch (zero between calls).
  std::vector<uint32_t> told_, told_start_, told_cores_, word_start_;
  std::vector<std::pair<uint32_t, uint32_t>> told_of_core_;
  struct Evidence {
    int32_t nats = 0, pairs_of_words = 0;
  };
  std::vector<Evidence> evidence_;   // by request
  std::vector<uint64_t> touched_;    // bit set of requests
  Own own_;
  std::vector<std::pair<uint32_t, uint32_t>> masks_;
  std::vector<GroupMember> members_, borrowers_;
  uint32_t benign_requests_ = 0, benign_hits_ = 0, benign_ppm_ = 0;
};

Population MakePopulation(std::span<const Profile> profiles, LookRequests look, const Tunables& tunables) {
  Population population;
  population.profiles = profiles;
  population.owners = look.owners;
  population.owner_of = std::move(look.owner_of);
  population.requests = std::move(look.requests);
  population.likeness = look.likeness;
  population.choices = std::move(look.choices);
  population.postings = look.runs_of_all ? FragmentPostings(population.requests, std::move(look.runs), tunables.core_owners_min)
                                         : FragmentPostings(population.requests);
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

GroupFitter::GroupFitter(const Population& population, const Tunables& tunables)
    : holders_(population.postings, population.choices, population.likeness, tunables), fit_(std::make_unique<Fit>(population, &holders_, tunables)) {}

GroupFitter::~GroupFitter() = default;

std::optional<Group> GroupFitter::Fitted(const Seed& seed) { return fit_->Run(seed);
}

}  // namespace stillwatch::pipeline
