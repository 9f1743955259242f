// Plays a World over virtual time without packets: every exchange as plain values, in the order asked.
// The same actors, questions and truth as a capture. The network's delays are left out and bodies have no bytes but
// their texts, so answers differ in length and time, and the two drift apart by some requests (docs/recorded-exchanges.md).
#pragma once

#include <cstdint>
#include <functional>

#include "tools/stillgen/responder.h"
#include "tools/stillgen/world.h"

namespace stillwatch::stillgen {

struct Exchanged {
  const Account* account;
  const Prompt* prompt;
  const Answer* answer;
  uint64_t serial;      // from 1, in the order asked
  int64_t asked_ns, first_token_ns, answered_ns;
  bool harvest;
};

struct DriveTotals {
  uint64_t exchanges = 0, rate_limited = 0;
  int64_t last_ns = 0;
};

// The values are good during the visit only. Counts for the truth in the accounts.
DriveTotals Drive(World* world, const Responder::Options& options, const std::function<void(const Exchanged&)>& visit);

}  // namespace stillwatch::stillgen
