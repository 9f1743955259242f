// Reads DIR/campaign-verdict.ndjson: the present state of each campaign, put together from its last
// verdict. A verdict may be split into parts (accounts are spread over them).
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "base/result.h"

namespace stillwatch::stillgen {

enum class Rung { kNone, kObserve, kStepUp, kThrottle, kDegrade, kBlock };
Rung RungOf(const std::string& action);  // kNone for an unknown name
const char* RungName(Rung rung);

struct Group {
  std::string campaign_id, state;
  Rung rung = Rung::kNone;
  double pooled = 0, distillation_like = 0;  // 0 to 1
  std::vector<std::string> accounts;         // key ids
  std::vector<std::string> evidence, counter_evidence;  // sentences
  std::string event_time;
};

// Live groups in order of first appearance: withdrawn, closed and superseded ones are left out, repeats
// of an event id are dropped. A line that is no JSON object is an error with its number.
Result<std::vector<Group>> ReadVerdicts(std::istream& lines, const std::string& name);

}  // namespace stillwatch::stillgen
