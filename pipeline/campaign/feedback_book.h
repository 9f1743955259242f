// What people said of campaigns, and what follows for the groups of every later look: confirm (it is one), reject (it is
// none), split (these accounts are not of it). What was said holds for the group that the person saw: a confirmation or a
// rejection until a group like it is opinion_growth times as large, then evidence decides again. A group is like one that
// was judged when it has the same founding core, or most accounts of the smaller side in common. The last word on a
// campaign counts; an account that was split off stays out. Batch thread only; bounded: the oldest opinion is forgotten,
// counted. Plain data, part of the sealed books (pipeline/snapshot).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
#include "pipeline/campaign/campaign_book.h"

namespace stillwatch::pipeline {

enum class FeedbackCounter {
  kTaken,           // opinions of people that were taken
  kUnknownCampaign, // opinions on a campaign that is not known; look at `stillctl campaigns`
  kRefused,         // opinions refused for another reason: a merged campaign, an account that is not in it, too many
  kRepeated,        // records of topic feedback that were taken before, by their feedback_id
  kForgotten,       // opinions given up because too many were held; the oldest goes
  kHeldBack,        // groups, look by look, that a rejection held back
  kKeptOut,         // accounts, look by look, that a split kept out of a group
  kCount
};
inline constexpr CounterNames<FeedbackCounter> kFeedbackCounterNames{
    "feedback.taken", "feedback.unknown_campaign", "feedback.refused", "feedback.repeated", "feedback.forgotten", "feedback.held_back",
    "feedback.kept_out"};

enum class FeedbackKind : uint8_t { kConfirm = 1, kReject, kSplit };

class FeedbackBook {
 public:
  static constexpr size_t kOpinionsMax = 1'024;
  static constexpr size_t kAccountsKept = 1'024;   // of a group, to know it again: those with the smallest ids
  static constexpr size_t kIdsKept = 4'096;        // of records of topic feedback
  static constexpr size_t kSplitAccountsMax = 2'048;  // of one campaign

  // Remembers it and puts it into force on the campaign at once. `accounts`: of a split, members of the campaign. The error
  // says why it was refused; nothing has changed then.
  Status Take(FeedbackKind kind, std::string_view campaign_id, const std::vector<AccountId>& accounts, int64_t now_s,
              const Tunables& tunables, CampaignBook* book);
  // A split that named accounts which are not in the campaign.
  Status RefuseAccounts(std::string why) { return Refuse(FeedbackCounter::kRefused, std::move(why)); }
  // False: a record with this hash of its id was taken before; else it is remembered.
  bool TakeId(uint64_t id_hash);
  // A look's group before it is measured: takes out who was split off it.
  void TakeOut(const CampaignBook& book, Group* group);
  // ... and after it was judged: what a person said of it.
  void Weigh(const Group& group, const Tunables& tunables, Judgement* judgement);
  // Opinions of before `time_s` that met no group since are forgotten.
  void ExpireBefore(int64_t time_s);
  // Forgets that the account was in what was said; in how many opinions it was.
  size_t Erase(const AccountId& id);

  const CounterBlock<FeedbackCounter>& counters() const { return counters_; }
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc

 private:
  struct Opinion {
    FeedbackKind kind = FeedbackKind::kConfirm;
    std::string campaign_id;
    uint32_t founding_anchor = 0;
    uint32_t accounts = 0;         // of the group that was judged
    int64_t met_s = 0;             // said, or a group like it seen
    std::vector<AccountId> known;  // of these, kAccountsKept; sorted
    std::vector<AccountId> out;    // of a split; sorted
  };
  static bool Like(const Opinion& opinion, const Group& group);
  Status Refuse(FeedbackCounter counter, std::string why);

  std::vector<Opinion> opinions_;  // oldest first
  std::vector<uint64_t> ids_;      // oldest first
  CounterBlock<FeedbackCounter> counters_{kFeedbackCounterNames};
};

}  // namespace stillwatch::pipeline
