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
  if (imports_.Find(campaign_id) != nullptr) {
    if (kind == FeedbackKind::kReject) return RejectImport(campaign_id, actor, reason, time_ns);
    return Error{"campaign " + campaign_id + " is a partner's claim: it can be rejected; what is found here can be confirmed or split"};
  }
  std::vector<AccountId> ids;
  std::string unknown;
  if (const Campaign* campaign = book_.Find(campaign_id); campaign != nullptr && kind == FeedbackKind::kSplit) {
    for (const std::string& account : accounts) {
      const auto& members = campaign->group.members;
      const auto at = std::find_if(members.begin(), members.end(), [&](const GroupMember& member) {
        return AccountText(names(), member.id) == account;
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

Status Pipeline::TakeFeedbackRecord(const v1::Feedback& record, int64_t time_ns) {
  constexpr size_t kIdMax = 64, kActorMax = 64, kReasonMax = 400, kNameMax = 64;
  if (record.feedback_id().empty() || record.feedback_id().size() > kIdMax) return Error{"feedback_id has 1 to 64 bytes"};
  if (record.campaign_id().size() > kIdMax) return Error{"campaign_id has at most 64 bytes"};
  if (record.actor().size() > kActorMax) return Error{"actor has at most 64 bytes"};
  if (record.reason().size() > kReasonMax) return Error{"reason has at most 400 bytes"};
  FeedbackKind kind = FeedbackKind::kConfirm;
  if (record.word() == v1::FEEDBACK_WORD_REJECT) kind = FeedbackKind::kReject;
  else if (record.word() == v1::FEEDBACK_WORD_SPLIT) kind = FeedbackKind::kSplit;
  else if (record.word() != v1::FEEDBACK_WORD_CONFIRM) return Error{"word is none of confirm, reject, split"};
  const std::vector<std::string> accounts(record.accounts().begin(), record.accounts().end());
  if (accounts.empty() == (kind == FeedbackKind::kSplit)) return Error{"a split names accounts, and nothing else does"};
  if (accounts.size() > FeedbackBook::kSplitAccountsMax) return Error{"more than 2,048 accounts"};
  if (std::any_of(accounts.begin(), accounts.end(), [](const std::string& a) { return a.empty() || a.size() > kNameMax; })) {
    return Error{"an account's name has 1 to 64 bytes"};
  }
  if (!feedback_.TakeId(KeyedHash64(record.feedback_id(), DeriveSalt(options_.salt, "feedback")))) return {};
  books_changed_ = true;  // the id too
  (void)TakeFeedback(kind, record.campaign_id(), accounts, "topic feedback: " + record.actor(), record.reason(), time_ns).ok();
  return {};
}

}  // namespace stillwatch::pipeline
