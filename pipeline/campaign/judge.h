// From a fitted group to evidence by family, look-alike checks, labels and innocents. Inside a family the
// strongest counts, never the sum. A check that fails is an explanation: it takes away the evidence that
// it explains (never the account, or an alibi could be bought).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pipeline/campaign/everyone.h"
#include "pipeline/campaign/fit.h"
#include "pipeline/campaign/group.h"
#include "pipeline/evidence/cohort_continuity.h"
#include "pipeline/evidence/edge.h"
#include "pipeline/policy/tunables.h"

namespace stillwatch::pipeline {

enum class Verdict : uint8_t { kPassed, kFailed, kNoData };  // of a look-alike check; passed: no look-alike

struct LookAlike {
  std::string_view name;
  Verdict verdict;
  std::string text;
};

// What a person said of a group like this one (feedback_book.h); it changes no evidence, but what follows from it.
enum class Said : uint8_t { kNothing, kConfirmed, kRejected, kRejectedWhenSmaller };

struct Judgement {
  GroupEvidence evidence;       // after explanations
  std::vector<LookAlike> checks;
  bool explained = false;       // a check failed: the verdict stays at observe
  uint32_t families = 0;        // that reach family_nats
  uint32_t pooled = 0, distillation_like = 0;  // 1/65,536
  uint64_t innocents_low = 0, innocents_high = 0;
  uint64_t innocents_high_q16 = 0;  // accounts in 1/65,536, before rounding up
  Said said = Said::kNothing;
};

// Fills group->counts, findings and evidence (before explanations). After MeasureIdentity: what tells a task depends on it.
// `everyone` and `cohort`: of the population, for all groups of a look.
void MeasureGroup(const Population& population, const Everyone& everyone, CohortContinuity* cohort, const Tunables& tunables, Group* group);

// What of the findings counts, into group->evidence.
void CountFindings(Group* group);

// Layer 2: fills group->identity and its evidence from the edges among its members, against accounts outside.
void MeasureIdentity(std::span<const EdgeRecord> edges, uint32_t accounts, const Tunables& tunables, Group* group);

Judgement JudgeGroup(const Group& group, const Tunables& tunables);

}  // namespace stillwatch::pipeline
