#include "pipeline/campaign/feedback_book.h"

#include <algorithm>

#include "base/mutant.h"

namespace stillwatch::pipeline {

namespace {

// Members of `group`, of which `ids` (sorted) keeps the smallest: only up to its greatest when it was cut.
struct Overlap {
  size_t common = 0, members = 0;
};
Overlap OverlapOf(const std::vector<AccountId>& ids, bool cut, const Group& group) {
  Overlap overlap;
  for (const GroupMember& member : group.members) {
    if (cut && ids.back() < member.id) break;  // sorted
    ++overlap.members;
    overlap.common += std::binary_search(ids.begin(), ids.end(), member.id);
  }
  return overlap;
}

std::vector<AccountId> Merged(std::vector<AccountId> a, const std::vector<AccountId>& b) {
  a.insert(a.end(), b.begin(), b.end());
  std::sort(a.begin(), a.end());
  a.erase(std::unique(a.begin(), a.end()), a.end());
  return a;
}

}  // namespace

bool FeedbackBook::Like(const Opinion& opinion, const Group& group) {
  if (group.founding_anchor == opinion.founding_anchor) return true;
  const Overlap overlap = OverlapOf(opinion.known, opinion.known.size() < opinion.accounts, group);
  const size_t smaller = std::min(opinion.known.size(), overlap.members);
  return smaller != 0 && overlap.common * 2 > smaller;
}

Status FeedbackBook::Refuse(FeedbackCounter counter, std::string why) {
  counters_.Add(counter);
  return Error{std::move(why)};
}

Status FeedbackBook::Take(FeedbackKind kind, std::string_view campaign_id, const std::vector<AccountId>& accounts,
                          int64_t now_s, const Tunables& tunables, CampaignBook* book) {
  const auto& campaigns = book->campaigns();
  const auto at = std::find_if(campaigns.begin(), campaigns.end(),
                               [&](const auto& c) { return c->id == campaign_id && c->written; });
  const std::string id(campaign_id);
  if (at == campaigns.end()) {
    return Refuse(FeedbackCounter::kUnknownCampaign, "no campaign " + id + "; `stillctl campaigns` lists them");
  }
  Campaign* const campaign = at->get();
  if (!campaign->superseded_by.empty()) {
    return Refuse(FeedbackCounter::kRefused, "campaign " + id + " went into " + campaign->superseded_by + "; say it of that one");
  }
  Opinion opinion{kind, id, campaign->founding_anchor, static_cast<uint32_t>(campaign->group.members.size()), now_s,
                  MemberIds(campaign->group), {}};
  if (opinion.known.size() > kAccountsKept) opinion.known.resize(kAccountsKept);  // sorted: the smallest
  const auto before = std::find_if(opinions_.begin(), opinions_.end(), [&](const Opinion& o) {
    return o.campaign_id == id && (o.kind == FeedbackKind::kSplit) == (kind == FeedbackKind::kSplit);
  });
  if (kind == FeedbackKind::kSplit) {
    const std::vector<AccountId> named = Merged(accounts, {});
    opinion.out = before == opinions_.end() ? named : Merged(before->out, named);
    if (opinion.out.size() > kSplitAccountsMax) {
      return Refuse(FeedbackCounter::kRefused, "more than " + std::to_string(kSplitAccountsMax) + " accounts split off one campaign; reject it instead");
    }
    const Group& group = campaign->group;
    const size_t left = group.members.size() - OverlapOf(named, false, group).common;
    if (left < tunables.group_accounts_min) {
      return Refuse(FeedbackCounter::kRefused, "campaign " + id + " would be left with " + std::to_string(left) +
                                                   " accounts, fewer than any campaign has; reject it instead");
    }
  }
  if (before != opinions_.end()) opinions_.erase(before);
  if (opinions_.size() >= kOpinionsMax) {
    opinions_.erase(opinions_.begin());
    counters_.Add(FeedbackCounter::kForgotten);
  }
  counters_.Add(FeedbackCounter::kTaken);
  campaign->changed = true;
  campaign->joined.clear(), campaign->left.clear();
  switch (kind) {
    case FeedbackKind::kConfirm:
      campaign->judgement.said = Said::kConfirmed;
      if (campaign->stage != Stage::kDormant) campaign->stage = Stage::kConfirmed;
      campaign->why = "confirmed by a person";
      break;
    case FeedbackKind::kReject:
      campaign->judgement.said = Said::kRejected;
      campaign->stage = Stage::kWithdrawn;
      campaign->why = "rejected by a person";
      break;
    case FeedbackKind::kSplit:
      for (const AccountId& account : Merged(accounts, {})) campaign->left.push_back(account);
      RemoveMembers(opinion.out, &campaign->group);
      campaign->why = "split by a person";
      break;
  }
  if (!MutantIs("feedback.not_remembered")) opinions_.push_back(std::move(opinion));
  return {};
}

bool FeedbackBook::TakeId(uint64_t id_hash) {
  if (std::find(ids_.begin(), ids_.end(), id_hash) != ids_.end() && !MutantIs("feedback.takes_twice")) {
    counters_.Add(FeedbackCounter::kRepeated);
    return false;
  }
  if (ids_.size() >= kIdsKept) ids_.erase(ids_.begin());
  ids_.push_back(id_hash);
  return true;
}

void FeedbackBook::TakeOut(const CampaignBook& book, Group* group) {
  for (Opinion& opinion : opinions_) {
    if (opinion.kind != FeedbackKind::kSplit) continue;
    // The campaign as it is now, where it is still known: it moved on since it was split.
    const Campaign* campaign = book.Find(opinion.campaign_id);
    if (campaign != nullptr) {
      opinion.founding_anchor = campaign->founding_anchor;
      opinion.known = MemberIds(campaign->group);
      opinion.accounts = static_cast<uint32_t>(opinion.known.size());
      if (opinion.known.size() > kAccountsKept) opinion.known.resize(kAccountsKept);
    }
    const size_t out = OverlapOf(opinion.out, false, *group).common;
    if (out == 0 || !Like(opinion, *group)) continue;
    counters_.Add(FeedbackCounter::kKeptOut, out);
    for (const GroupMember& member : group->members) opinion.met_s = std::max<int64_t>(opinion.met_s, member.last_s);
    RemoveMembers(opinion.out, group);
  }
}

void FeedbackBook::Weigh(const Group& group, const Tunables& tunables, Judgement* judgement) {
  for (Opinion& opinion : opinions_) {  // the newest of those that fit decides
    if (opinion.kind == FeedbackKind::kSplit || !Like(opinion, group)) continue;
    for (const GroupMember& member : group.members) opinion.met_s = std::max<int64_t>(opinion.met_s, member.last_s);
    const bool outgrown = group.members.size() >= uint64_t{opinion.accounts} * tunables.opinion_growth;
    if (opinion.kind == FeedbackKind::kReject) judgement->said = outgrown ? Said::kRejectedWhenSmaller : Said::kRejected;
    else judgement->said = outgrown ? Said::kNothing : Said::kConfirmed;
  }
  counters_.Add(FeedbackCounter::kHeldBack, judgement->said == Said::kRejected);
}

size_t FeedbackBook::Erase(const AccountId& id) {
  size_t held = 0;
  for (Opinion& opinion : opinions_) held += std::erase(opinion.known, id) + std::erase(opinion.out, id) != 0;
  std::erase_if(opinions_, [](const Opinion& o) { return o.kind == FeedbackKind::kSplit && o.out.empty(); });
  return held;
}

void FeedbackBook::ExpireBefore(int64_t time_s) {
  std::erase_if(opinions_, [&](const Opinion& opinion) { return opinion.met_s < time_s; });
}

}  // namespace stillwatch::pipeline
