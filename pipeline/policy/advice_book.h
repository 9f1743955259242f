// Which account is advised what, over all campaigns: the highest rung wins, of equal ones the campaign that was found
// first. A look proposes for every member of every live campaign, then Settle says what has to be written: advice that
// is new, changed or half through its time, and accounts whose advice no longer stands. Accounts are known by the name
// that topics give them, since consumers hold advice by it: an account that the directory names anew is withdrawn under
// its old name. Batch thread only; as large as the accounts under advice.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "pipeline/policy/ladder.h"

namespace stillwatch::pipeline {

struct AccountAdvice {
  AdviceGiven given;
  std::string campaign_id;
  uint32_t probability = 0;  // of distillation_like, in 1/65,536
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
  // In order of accounts.
  std::vector<Change> Settle(int64_t now_ns, int64_t ttl_ns);
  template <typename S>
  void VisitState(S& state);  // pipeline/snapshot/pipeline_state.cc

 private:
  struct Standing {
    AccountAdvice advice;
    int64_t expires_ns = 0;
  };
  std::map<std::string, Standing> standing_, proposed_;
};

}  // namespace stillwatch::pipeline
