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

// Who is authorised to distil: an account as topics name it, or an organisation's 16 hex digits.
struct AllowedOwner {
  AllowedOwner(std::string name, int64_t until = INT64_MAX, std::string why = "")
      : owner(std::move(name)), until_ns(until), reason(std::move(why)) {}
  std::string owner;
  int64_t until_ns;  // of traffic time
  std::string reason;
};

struct PolicyOptions {
  std::string version = "default-1";
  std::vector<AllowedOwner> allow_owners;
  Rung action_max = Rung::kThrottle;
  bool owner_unknown_lifts = false;
  bool calibrated = true;  // verdicts say labels.pooled as calibration.h has it
  uint32_t step_up_permille = 700;
  uint32_t throttle_permille = 950;
  uint32_t degrade_permille = 970;
  uint32_t block_permille = 990;
  uint32_t innocents_permille = 10;       // of the group, upper bound: above it step-up is the most
  uint32_t throttle_budget_percent = 10;  // of the group's last day, shared by all its accounts
  uint32_t advice_ttl_hours = 72;
  uint32_t advice_delay_max_hours = 0;    // of traffic time; new and harsher advice waits by chance
};

struct AdviceGiven {
  Rung rung = Rung::kObserve;
  bool needs_human = false;
  bool reversible = true;
  std::string reason_code;   // what decided or capped it: "probability", "owner_unknown", ...
  uint64_t budget_exchanges = 0, budget_tokens = 0;  // a day, of the campaign's accounts together; from throttle on
};

AdviceGiven Advise(const Judgement& judgement, uint64_t accounts, bool owners_known,
                   const PolicyOptions& policy);

}  // namespace stillwatch::pipeline
