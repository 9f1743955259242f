// Groups as a look finds them, by the numbers of their accounts. For tests of the books.
#pragma once

#include "pipeline/campaign/group.h"
#include "pipeline/campaign/judge.h"

namespace stillwatch::pipeline {

inline AccountId IdOf(uint32_t n) {
  AccountId id;
  for (int i = 0; i < 4; ++i) id.bytes[i] = static_cast<uint8_t>(n >> (24 - 8 * i));
  return id;
}

// Accounts [first, last), one owner each.
inline Group GroupOf(uint32_t first, uint32_t last, uint32_t founding_anchor) {
  Group group;
  group.founding_anchor = founding_anchor;
  for (uint32_t n = first; n < last; ++n) {
    GroupMember member;
    member.id = IdOf(n), member.account = member.owner = n, member.last_s = 1'000;
    group.members.push_back(member);
  }
  group.counts.owners = last - first;
  return group;
}

// Enough for every rung.
inline Judgement Strong() {
  Judgement judgement;
  judgement.families = 2, judgement.pooled = judgement.distillation_like = 65'000;
  return judgement;
}

}  // namespace stillwatch::pipeline
