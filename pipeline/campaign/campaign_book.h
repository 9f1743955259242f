// Campaigns over time. Each evaluation gives groups anew; the book says which of them is which campaign
// of before (by members in common), keeps a campaign's id while it grows, and says what changed: what must
// be written. One look may err: who is found first waits, and a campaign is confirmed, when the next look says so too.
// Bounded; batch thread only. Plain data, so that a snapshot is a copy.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "pipeline/campaign/group.h"
#include "pipeline/campaign/judge.h"
#include "pipeline/policy/tunables.h"
#include "pipeline/profile/profile_table.h"

namespace stillwatch::pipeline {

enum class Stage : uint8_t { kSuspected = 1, kConfirmed, kDormant, kClosed, kWithdrawn };

struct Campaign {
  std::string id;               // 32 hex digits, a keyed hash of the founding core
  uint32_t founding_anchor = 0;
  Stage stage = Stage::kSuspected;
  Group group;                  // as last seen
  Judgement judgement;
  Judgement before;             // of the look before; where that did not find it: one that says nothing
  bool found = false;           // by the last look
  std::vector<AccountId> waiting;  // members, sorted, whom the look before found neither here nor in a confirmed campaign
  std::vector<AccountId> joined, left;  // since the last record
  std::vector<AccountId> members_written;  // sorted
  std::string why;              // of the last change
  std::string superseded_by;
  Stage stage_written = Stage::kWithdrawn;
  bool written = false, changed = false;
  uint8_t rung_written = 0;     // of the advice in the last record
  uint32_t parts_written = 0;
  int64_t evidence_s = 0;       // newest hit, seconds of traffic time
  uint64_t exposure = 0;        // hits before the first record
  uint64_t budget_exchanges = 0, budget_tokens = 0;  // a day, since it was first throttled; 0: never
};

inline bool IsLive(const Campaign& campaign) { return campaign.stage == Stage::kSuspected || campaign.stage == Stage::kConfirmed; }

// Whether it rests on more than one look: enough of its members were found by two in a row, or a person confirmed it.
bool Stands(const Campaign& campaign, const Tunables& tunables);

std::vector<AccountId> MembersNotWaiting(const Campaign& campaign);  // sorted

// The campaign without those who wait. The group's counts stay those of all that were found.
Campaign WithoutWaiting(Campaign campaign);

// Takes accounts (sorted) out of a group and counts its owners and hits again.
void RemoveMembers(const std::vector<AccountId>& out, Group* group);

class CampaignBook {
 public:
  CampaignBook(Salt salt, uint32_t campaigns_max)
      : salt_(DeriveSalt(salt, "campaign")), campaigns_max_(campaigns_max) {}

  // Matches groups with campaigns and marks what changed. `observable`: whether a judgement reaches a
  // verdict at all (else the campaign is withdrawn, or never begun). Campaigns given up because the book
  // is full: *dropped.
  void Update(std::vector<Group> groups, std::vector<Judgement> judgements, int64_t now_s,
              const Tunables& tunables, uint64_t* dropped);

  // The live campaigns as seeds of the next evaluation.
  std::vector<Seed> Seeds(const ProfileTable& profiles) const;

  std::vector<std::unique_ptr<Campaign>>& campaigns() { return campaigns_; }
  const std::vector<std::unique_ptr<Campaign>>& campaigns() const { return campaigns_; }
  const Campaign* Find(std::string_view id) const;
  // Takes the account out of all campaigns, as if it had never been in them; in how many it was.
  size_t Erase(const AccountId& id);
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc

 private:
  struct Confirmed {  // a campaign that was, as the last look left it
    std::vector<AccountId> members;
    Judgement judgement;
  };

  std::string IdOf(uint32_t anchor) const;
  std::vector<Campaign*> Match(const std::vector<Group>& groups) const;
  static void LookBack(const std::vector<Confirmed>& confirmed, const Group& group, Campaign* campaign);
  static void Renew(Campaign* campaign, Group group, Judgement judgement, int64_t now_s, const Tunables& tunables);

  const Salt salt_;
  const uint32_t campaigns_max_;
  std::vector<std::unique_ptr<Campaign>> campaigns_;  // in order of founding
};

// Members of a campaign as of now, as sorted ids.
std::vector<AccountId> MemberIds(const Group& group);

}  // namespace stillwatch::pipeline
