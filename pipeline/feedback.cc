// What people say of campaigns, on its way into the pipeline: names to ids, then the book, then what topics tell of it.
#include <algorithm>

#include "base/clock.h"
#include "pipeline/pipeline.h"

namespace stillwatch::pipeline {

namespace {

std::string_view NameOf(FeedbackKind kind) {
  switch (kind) {
    case FeedbackKind::kConfirm: return "confirm";
    case FeedbackKind::kReject: return "reject";
    case FeedbackKind::kSplit: break;
  }
  return "split";
}

}  // namespace

Status Pipeline::TakeFeedback(FeedbackKind kind, const std::string& campaign_id, const std::vector<std::string>& accounts,
                              const std::string& actor, const std::string& reason, int64_t time_ns) {
  std::vector<AccountId> ids;
  std::string unknown;
  if (const Campaign* campaign = book_.Find(campaign_id); campaign != nullptr && kind == FeedbackKind::kSplit) {
    for (const std::string& account : accounts) {
      const auto& members = campaign->group.members;
      const auto at = std::find_if(members.begin(), members.end(), [&](const GroupMember& member) {
        return AccountText(directory_.get(), member.id) == account;
      });
      if (at == members.end()) unknown += (unknown.empty() ? "" : ", ") + account;
      else ids.push_back(at->id);
    }
  }
  Status taken = unknown.empty() ? feedback_.Take(kind, campaign_id, ids, newest_ns_ / kNsPerSecond, options_.tunables, &book_)
                                 : feedback_.RefuseAccounts("not in campaign " + campaign_id + ": " + unknown);
  const std::string action = "feedback_" + std::string(NameOf(kind));
  std::string detail = reason;
  if (kind == FeedbackKind::kSplit) {
    detail = std::to_string(accounts.size()) + " accounts:";
    for (const std::string& account : accounts) detail += " " + account;
    if (!reason.empty()) detail += "; " + reason;
  }
  if (!taken.ok()) {
    Audit(actor, action + "_refused", campaign_id, taken.message(), time_ns);
    Deliver();
    return taken;
  }
  Audit(actor, action, campaign_id, detail, time_ns);
  books_changed_ = true;
  WriteCampaigns();
  Deliver();
  return {};
}

}  // namespace stillwatch::pipeline
