#include "pipeline/policy/advice_book.h"

#include "base/mutant.h"

namespace stillwatch::pipeline {

namespace {

bool SameAdvice(const AccountAdvice& a, const AccountAdvice& b) {
  return a.given.rung == b.given.rung && a.given.reason_code == b.given.reason_code && a.campaign_id == b.campaign_id;
}

}  // namespace

void AdviceBook::Propose(const std::string& account, const AccountAdvice& advice) {
  const auto [at, fresh] = proposed_.try_emplace(account, Standing{advice});
  if (!fresh && at->second.advice.given.rung < advice.given.rung) at->second.advice = advice;
}

std::vector<AdviceBook::Change> AdviceBook::Settle(int64_t now_ns, int64_t ttl_ns) {
  std::vector<Change> changes;
  for (auto& [account, now] : proposed_) {
    const auto before = standing_.find(account);
    const bool stands = before != standing_.end() && SameAdvice(before->second.advice, now.advice) &&
                        (before->second.expires_ns - now_ns > ttl_ns / 2 || MutantIs("advice.not_renewed"));
    now.expires_ns = stands ? before->second.expires_ns : now_ns + ttl_ns;
    if (!stands) changes.push_back({account, &now.advice, now.expires_ns});
  }
  for (const auto& [account, before] : standing_) {
    if (!proposed_.contains(account) && !MutantIs("advice.not_withdrawn")) changes.push_back({account, nullptr, 0});
  }
  standing_.swap(proposed_);  // nodes stay where they are
  proposed_.clear();
  return changes;
}

}  // namespace stillwatch::pipeline
