#include "pipeline/policy/ladder.h"

#include "base/mutant.h"

namespace stillwatch::pipeline {

AdviceGiven Advise(const Judgement& judgement, uint64_t accounts, bool owners_known,
                   const PolicyOptions& policy) {
  AdviceGiven advice;
  if (judgement.said == Said::kRejected) {
    advice.reason_code = "rejected";
    return advice;
  }
  const uint64_t permille = static_cast<uint64_t>(judgement.distillation_like) * 1000 / 65'536;
  advice.reason_code = "probability";
  if (judgement.explained) advice.reason_code = "look_alike";
  else if (judgement.families < 2) advice.reason_code = "one_family";
  else if (permille >= policy.block_permille) advice.rung = Rung::kBlock;
  else if (permille >= policy.degrade_permille) advice.rung = Rung::kDegrade;
  else if (permille >= policy.throttle_permille) advice.rung = Rung::kThrottle;
  else if (permille >= policy.step_up_permille) advice.rung = Rung::kStepUp;
  // A person who looked outweighs a look-alike and a missing family, up to the rung that costs an innocent least.
  if (judgement.said == Said::kConfirmed && advice.rung < Rung::kStepUp) {
    advice.rung = Rung::kStepUp;
    advice.reason_code = "confirmed";
  }

  const auto cap = [&](Rung most, const char* reason) {
    if (advice.rung <= most) return;
    advice.rung = most;
    advice.reason_code = reason;
  };
  if (judgement.innocents_high_q16 * 1000 > (accounts << 16) * policy.innocents_permille) {
    cap(Rung::kStepUp, "innocents");
  }
  cap(policy.action_max, "action_max");
  if (!owners_known && !policy.owner_unknown_lifts && !MutantIs("detect.owner_cap")) cap(Rung::kStepUp, "owner_unknown");
  advice.needs_human = advice.rung >= Rung::kDegrade;
  advice.reversible = advice.rung != Rung::kBlock;
  return advice;
}

}  // namespace stillwatch::pipeline
