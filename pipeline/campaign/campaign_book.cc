#include "pipeline/campaign/campaign_book.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/endian.h"
#include "base/mutant.h"

namespace stillwatch::pipeline {

namespace {

constexpr int64_t kSecondsPerDay = 86'400;
// Below this probability of either label a group is not worth an analyst's look.
constexpr uint32_t kObservable = 65'536 / 10;

bool Observable(const Judgement& judgement) {
  if (judgement.said == Said::kRejected && !MutantIs("feedback.rejected_comes_back")) return false;
  if (judgement.said == Said::kConfirmed) return true;
  return judgement.pooled >= kObservable || judgement.distillation_like >= kObservable;
}

constexpr uint32_t kConfirmed = 62'259;  // 0.95
constexpr uint32_t kSpeaksForIt = 32'769;  // more likely than not: less is what a look-alike or a missing family leaves

bool Says(const Judgement& judgement, uint32_t likely) {
  return !judgement.explained && judgement.families >= 2 && judgement.distillation_like >= likely;
}

void CountLook(bool speaks_for_it, Campaign* campaign) {
  if (!speaks_for_it && campaign->agreed != 0 && !MutantIs("detect.relapses_forgotten")) ++campaign->relapses;
  campaign->agreed = speaks_for_it ? campaign->agreed + 1 : 0;
}

bool Silent(const Campaign& campaign, int64_t now_s, const Tunables& tunables) {
  return now_s - campaign.evidence_s > tunables.dormant_after_days * kSecondsPerDay;
}

size_t Common(const std::vector<AccountId>& a, const std::vector<AccountId>& b) {
  size_t common = 0;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i] == b[j]) ++common, ++i, ++j;
    else a[i] < b[j] ? ++i : ++j;
  }
  return common;
}

void Exclude(const std::vector<AccountId>& out, std::vector<AccountId>* from) {
  std::erase_if(*from, [&](const AccountId& id) { return std::binary_search(out.begin(), out.end(), id); });
}

}  // namespace

uint32_t LooksNeeded(const Campaign& campaign) {
  constexpr uint32_t kRelapsesMax = 8;  // what is found for weeks is not held back for ever
  return 2 + std::min(campaign.relapses, kRelapsesMax);
}

bool Stands(const Campaign& campaign, const Tunables& tunables) {
  if (campaign.judgement.said == Said::kConfirmed) return true;
  return campaign.agreed >= LooksNeeded(campaign) && MembersNotWaiting(campaign).size() >= tunables.group_accounts_min;
}

std::vector<AccountId> MembersNotWaiting(const Campaign& campaign) {
  std::vector<AccountId> ids = MemberIds(campaign.group);
  Exclude(campaign.waiting, &ids);
  return ids;
}

Campaign WithoutWaiting(Campaign campaign) {
  std::erase_if(campaign.group.members, [&](const GroupMember& m) {
    return std::binary_search(campaign.waiting.begin(), campaign.waiting.end(), m.id);
  });
  Exclude(campaign.waiting, &campaign.joined);
  return campaign;
}

std::vector<AccountId> MemberIds(const Group& group) {
  std::vector<AccountId> ids;
  for (const GroupMember& member : group.members) ids.push_back(member.id);
  return ids;
}

void RemoveMembers(const std::vector<AccountId>& out, Group* group) {
  RemoveMembersIf([&](const GroupMember& m) { return std::binary_search(out.begin(), out.end(), m.id); }, group);
}

std::string CampaignBook::IdOf(uint32_t anchor) const {
  uint8_t bytes[5];
  StoreBe32(bytes, anchor);
  bytes[4] = 0;
  const uint64_t high = KeyedHash64(Bytes(bytes, 5), salt_);
  bytes[4] = 1;
  return HexOf(high) + HexOf(KeyedHash64(Bytes(bytes, 5), salt_));
}

const Campaign* CampaignBook::Find(std::string_view id) const {
  for (const auto& campaign : campaigns_) {
    if (campaign->id == id) return campaign.get();
  }
  return nullptr;
}

size_t CampaignBook::Erase(const AccountId& id) {
  size_t held = 0;
  for (const auto& campaign : campaigns_) {
    Group& group = campaign->group;
    const auto is_it = [&](const GroupMember& member) { return member.id == id; };
    size_t named = std::erase_if(group.borrowers, is_it);
    if (std::any_of(group.members.begin(), group.members.end(), is_it)) ++named, RemoveMembers({id}, &group);
    for (std::vector<AccountId>* list : {&campaign->joined, &campaign->left, &campaign->members_written, &campaign->waiting}) named += std::erase(*list, id);
    if (named == 0) continue;
    ++held;
    campaign->joined.clear(), campaign->left.clear();
    if (campaign->written) campaign->changed = true, campaign->why = "an account was erased";
  }
  return held;
}

std::vector<Seed> CampaignBook::Seeds(const ProfileTable& profiles) const {
  std::vector<Seed> seeds;
  for (const auto& campaign : campaigns_) {
    if (!IsLive(*campaign)) continue;
    Seed& seed = seeds.emplace_back();
    for (const GroupMember& member : campaign->group.members) {
      const Profile* profile = profiles.Find(member.id);
      if (profile == nullptr) continue;
      const uint32_t account = profiles.IndexOf(profile);
      seed.accounts.push_back(account);
      for (const Hit& hit : member.hits) seed.requests.push_back({account, hit.time_s, hit.text_hash});
    }
    std::sort(seed.accounts.begin(), seed.accounts.end());
    std::sort(seed.requests.begin(), seed.requests.end());
    for (const Core& core : campaign->group.cores.cores) seed.anchors.push_back(core.anchor);  // sorted
  }
  return seeds;
}

// For each group the campaign of before that it is, if any: at least a third of the smaller side in common, or the
// founding core. Pairs with most members in common first, so that a small group takes no large one's record.
std::vector<Campaign*> CampaignBook::Match(const std::vector<Group>& groups) const {
  struct Pair {
    size_t common, campaign, group;
  };
  std::vector<Pair> pairs;
  for (size_t g = 0; g < groups.size(); ++g) {
    const std::vector<AccountId> ids = MemberIds(groups[g]);
    for (size_t c = 0; c < campaigns_.size(); ++c) {
      const Campaign& campaign = *campaigns_[c];
      if (campaign.stage == Stage::kClosed || !campaign.superseded_by.empty()) continue;
      const std::vector<AccountId> before = MemberIds(campaign.group);
      const size_t common = Common(ids, before);
      const bool same_core = campaign.founding_anchor == groups[g].founding_anchor;
      if (common * 3 >= std::min(ids.size(), before.size()) || same_core) pairs.push_back({common, c, g});
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) {
    return a.common != b.common ? a.common > b.common : a.campaign < b.campaign;  // then the older
  });
  std::vector<Campaign*> result(groups.size(), nullptr);
  for (const Pair& pair : pairs) {
    Campaign* campaign = campaigns_[pair.campaign].get();
    if (result[pair.group] != nullptr || std::find(result.begin(), result.end(), campaign) != result.end()) continue;
    result[pair.group] = campaign;
  }
  return result;
}

// What the look before said of these accounts, here or where they stood confirmed.
void CampaignBook::LookBack(const std::vector<Confirmed>& confirmed, const Group& group, Campaign* campaign) {
  const std::vector<AccountId> ids = MemberIds(group);
  campaign->waiting = ids;
  if (campaign->found) Exclude(MemberIds(campaign->group), &campaign->waiting);
  campaign->before = campaign->found ? std::move(campaign->judgement) : Judgement{};
  for (const Confirmed& other : confirmed) {
    Exclude(other.members, &campaign->waiting);
    if (!campaign->found && Common(ids, other.members) * 2 > ids.size()) {  // it is a part of that one
      campaign->before = other.judgement, campaign->agreed = other.agreed;
    }
  }
  if (MutantIs("detect.nobody_waits")) campaign->waiting.clear();
  campaign->found = true;
}

void CampaignBook::Renew(Campaign* campaign, Group group, Judgement judgement, int64_t now_s, const Tunables& tunables) {
  campaign->group = std::move(group);
  campaign->judgement = std::move(judgement);
  CountLook(Says(campaign->judgement, kSpeaksForIt), campaign);
  for (const GroupMember& member : campaign->group.members) {
    campaign->evidence_s = std::max<int64_t>(campaign->evidence_s, member.last_s);
  }
  const Judgement& j = campaign->judgement;
  if (!Observable(j)) campaign->stage = Stage::kWithdrawn;
  else if (Silent(*campaign, now_s, tunables)) campaign->stage = Stage::kDormant;
  else if (j.said == Said::kConfirmed) campaign->stage = Stage::kConfirmed;
  else if (Stands(*campaign, tunables) && Says(j, kConfirmed) && Says(campaign->before, kConfirmed)) campaign->stage = Stage::kConfirmed;
  else campaign->stage = Stage::kSuspected;
  if (!campaign->written) campaign->exposure = campaign->group.counts.hits;

  const std::vector<AccountId> ids = MemberIds(campaign->group);
  campaign->joined.clear(), campaign->left.clear();
  std::set_difference(ids.begin(), ids.end(), campaign->members_written.begin(), campaign->members_written.end(),
                      std::back_inserter(campaign->joined));
  std::set_difference(campaign->members_written.begin(), campaign->members_written.end(), ids.begin(), ids.end(),
                      std::back_inserter(campaign->left));
  std::vector<AccountId> told = campaign->joined;
  Exclude(campaign->waiting, &told);
  const size_t moved = told.size() + campaign->left.size();
  if (!campaign->written) campaign->changed = Observable(j), campaign->why = "new";
  else if (campaign->stage != campaign->stage_written) campaign->changed = true, campaign->why = "state";
  else if (moved * 100 >= campaign->members_written.size() * tunables.grown_percent && moved != 0) {
    campaign->changed = true, campaign->why = "members";
  }
}

void CampaignBook::Update(std::vector<Group> groups, std::vector<Judgement> judgements, int64_t now_s,
                          const Tunables& tunables, uint64_t* dropped) {
  const std::vector<Campaign*> matches = Match(groups);
  std::vector<Confirmed> confirmed;
  for (const auto& campaign : campaigns_) {
    if (campaign->stage == Stage::kConfirmed) confirmed.push_back({MembersNotWaiting(*campaign), campaign->judgement, campaign->agreed});
  }
  std::vector<Campaign*> taken;
  for (size_t i = 0; i < groups.size(); ++i) {
    Campaign* campaign = matches[i];
    if (campaign == nullptr) {
      if (!Observable(judgements[i])) continue;
      if (campaigns_.size() >= campaigns_max_) {
        ++*dropped;
        continue;
      }
      campaigns_.push_back(std::make_unique<Campaign>());
      campaign = campaigns_.back().get();
      campaign->founding_anchor = groups[i].founding_anchor;
      campaign->id = IdOf(campaign->founding_anchor);
      for (uint32_t n = 1; std::count_if(campaigns_.begin(), campaigns_.end(),
                                         [&](const auto& c) { return c->id == campaign->id; }) > 1; ++n) {
        campaign->id = IdOf(campaign->founding_anchor + n);  // the core founded another one before
      }
    }
    taken.push_back(campaign);
    LookBack(confirmed, groups[i], campaign);
    Renew(campaign, std::move(groups[i]), std::move(judgements[i]), now_s, tunables);
  }
  for (const auto& campaign : campaigns_) {
    if (std::find(taken.begin(), taken.end(), campaign.get()) != taken.end()) continue;
    campaign->found = false;
    CountLook(false, campaign.get());
    if (campaign->stage == Stage::kClosed || campaign->stage == Stage::kWithdrawn) continue;
    // Not proposed any more. Its members may have gone to another campaign, fallen silent, or been wrong.
    const std::vector<AccountId> before = MemberIds(campaign->group);
    for (Campaign* other : taken) {
      if (Common(before, MemberIds(other->group)) * 2 > before.size()) campaign->superseded_by = other->id;
    }
    if (!campaign->superseded_by.empty()) campaign->stage = Stage::kClosed, campaign->why = "superseded";
    else if (Silent(*campaign, now_s, tunables)) {
      campaign->stage = Stage::kDormant, campaign->why = "silent";
    } else if (campaign->judgement.said == Said::kConfirmed) {
      continue;  // by a person: stands until it falls silent
    } else {
      campaign->stage = Stage::kWithdrawn, campaign->why = "no longer above the threshold";
    }
    campaign->joined.clear(), campaign->left.clear();
    campaign->changed = campaign->written && campaign->stage != campaign->stage_written;
  }
}

}  // namespace stillwatch::pipeline
