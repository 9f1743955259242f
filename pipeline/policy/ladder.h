// The advice ladder: observe, step-up verification, throttle, degrade, block. Each rung has a probability,
// a bound on innocents, an expiry. Advice only: Stillwatch never acts. Without owner data nobody can say
// that accounts are unrelated, so advice stops at step-up unless the operator lifts that.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/campaign/judge.h"

namespace stillwatch::pipeline {

enum class Rung : uint8_t { kObserve = 1, kStepUp, kThrottle, kDegrade, kBlock };

struct PolicyOptions {
  std::string version = "default-1";
  std::vector<std::string> allow_owners;  // accounts as topics name them, organisations' 16 hex digits
  Rung action_max = Rung::kThrottle;
  bool owner_unknown_lifts = false;
  uint32_t step_up_permille = 700;
  uint32_t throttle_permille = 950;
  uint32_t degrade_permille = 970;
  uint32_t block_permille = 990;
  uint32_t advice_ttl_hours = 72;
};

struct AdviceGiven {
  Rung rung = Rung::kObserve;
  bool needs_human = false;
  bool reversible = true;
  std::string reason_code;   // what decided or capped it: "probability", "owner_unknown", ...
};

AdviceGiven Advise(const Judgement& judgement, uint64_t accounts, bool owners_known,
                   const PolicyOptions& policy, const Tunables& tunables);

}  // namespace stillwatch::pipeline
