// Which account is advised what, over all campaigns: the highest rung wins, of equal ones the campaign that was found
// first. A look proposes for every member of every live campaign, then Settle says what has to be written: advice that
// is new, changed or half through its time, and accounts whose advice no longer stands. Accounts are known by the name
// that topics give them, since consumers hold advice by it: an account that the directory names anew is withdrawn under
// its old name. New and harsher advice may wait, for each account its own time: `delay_of`. Batch thread only; as large as
// the accounts under advice.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "pipeline/policy/ladder.h"

namespace stillwatch::pipeline {

struct AccountAdvice {
  AdviceGiven given;
  std::string campaign_id;
  uint32_t probability = 0;  // of distillation_like, in 1/65,536
  int64_t evidence_ns = 0;   // newest evidence of the campaign
  int64_t decided_ns = 0;    // when the rung was first asked for; set by the book
};

class AdviceBook {
 public:
  struct Change {
    std::string account;
    const AccountAdvice* advice;  // null: revoked. Valid until the next Settle.
    int64_t expires_ns;
  };

  // Campaigns in the order in which they were found.
  void Propose(const std::string& account, const AccountAdvice& advice);
  // In order of accounts. Empty `delay_of`: nothing waits.
  using DelayOf = std::function<int64_t(const std::string& account, const AccountAdvice& advice)>;
  std::vector<Change> Settle(int64_t now_ns, int64_t ttl_ns, const DelayOf& delay_of = {});
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc

 private:
  struct Standing {
    AccountAdvice advice;
    int64_t expires_ns = 0;
  };
  struct Wait {
    Rung rung = Rung::kObserve;
    int64_t since_ns = 0;
  };
  // Since when this rung is asked for, which no standing advice reaches.
  const Wait& WaitOf(const std::string& account, Rung rung, int64_t now_ns, std::map<std::string, Wait>* waits) const;

  std::map<std::string, Standing> standing_, proposed_;
  std::map<std::string, Wait> waiting_;  // asked for, not told yet
};

}  // namespace stillwatch::pipeline
