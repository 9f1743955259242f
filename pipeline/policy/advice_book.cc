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

const AdviceBook::Wait& AdviceBook::WaitOf(const std::string& account, Rung rung, int64_t now_ns,
                                           std::map<std::string, Wait>* waits) const {
  const auto before = waiting_.find(account);
  // A rung that rose while it waited goes on waiting from when anything was asked for.
  const int64_t since_ns = before == waiting_.end() ? now_ns : before->second.since_ns;
  return waits->insert_or_assign(account, Wait{rung, since_ns}).first->second;
}

std::vector<AdviceBook::Change> AdviceBook::Settle(int64_t now_ns, int64_t ttl_ns, const DelayOf& delay_of) {
  std::vector<Change> changes;
  std::map<std::string, Wait> waits;
  for (auto at = proposed_.begin(); at != proposed_.end();) {
    const std::string& account = at->first;
    Standing& now = at->second;
    const auto before = standing_.find(account);
    const bool harsher = before == standing_.end() || before->second.advice.given.rung < now.advice.given.rung;
    now.advice.decided_ns = harsher ? now_ns : before->second.advice.decided_ns;
    if (harsher && delay_of) {
      const Wait& wait = WaitOf(account, now.advice.given.rung, now_ns, &waits);
      now.advice.decided_ns = wait.since_ns;
      if (now_ns >= wait.since_ns + delay_of(account, now.advice) || MutantIs("advice.does_not_wait")) {
        waits.erase(account);
      } else if (before == standing_.end()) {
        at = proposed_.erase(at);
        continue;
      } else {
        now.advice = before->second.advice;  // stands meanwhile
      }
    }
    const bool stands = before != standing_.end() && SameAdvice(before->second.advice, now.advice) &&
                        (before->second.expires_ns - now_ns > ttl_ns / 2 || MutantIs("advice.not_renewed"));
    now.expires_ns = stands ? before->second.expires_ns : now_ns + ttl_ns;
    if (!stands) changes.push_back({account, &now.advice, now.expires_ns});
    ++at;
  }
  waiting_.swap(waits);
  for (const auto& [account, before] : standing_) {
    if (!proposed_.contains(account) && !MutantIs("advice.not_withdrawn")) changes.push_back({account, nullptr, 0});
  }
  standing_.swap(proposed_);  // nodes stay where they are
  proposed_.clear();
  return changes;
}

}  // namespace stillwatch::pipeline
