#include "pipeline/campaign/group_layers.h"

#include <algorithm>

#include "base/mutant.h"

namespace stillwatch::pipeline {

namespace {

constexpr GroupLayer kLayers[] = {
    {4, "semantic_cluster", EvidenceFamily::kMeaning, "requests in clusters of like embeddings that other accounts of the group use, against everybody outside and the cohort",
     "36 bytes of a profile: 12 clusters with counts; 669 bytes a cluster", "52 to 60 days after the last use", &MeasureSemantic, &SemanticSentence},
    {6, "synchrony", EvidenceFamily::kTiming,
     "days with an hour in which more members were active than the course of the day, the day and the week explain; 429s after which another member asks on",
     "168 bytes of a profile: one bit an hour, 56 days; one bit a remembered request for 429s", "halves every 7 days, gone after 56",
     &MeasureSynchrony, &SynchronySentence},
    {7, "parameters_and_client", EvidenceFamily::kStack,
     "parameters given the model, client family, JA4 and HTTP/2 given the client, over hits; clients that are not what they say",
     "10 bytes of each remembered request", "60 days, with the request", &MeasureStack, &StackSentence},
    {8, "signups", EvidenceFamily::kCohort, "accounts made on the same days, given how old they are", "8 bytes of a profile, from the directory",
     "as the directory", &MeasureSignups, &SignupSentence},
    {9, "residual_traffic", EvidenceFamily::kCohort, "lengths, answers and turns of the requests that are no hits, against the cohort's",
     "6 bytes of each remembered request", "60 days, with the request", &MeasureResidual, &ResidualSentence},
    {10, "exact_rules", EvidenceFamily::kContent, "accounts that probed with many sets of biased token ids, against everybody outside",
     "8 bytes of a profile", "60 days after the account's last activity", &MeasureExactRules, &ExactRulesSentence},
    {11, "network", EvidenceFamily::kNetwork, "accounts whose most used /24 or /48 is the same", "12 bytes of a profile", "with the profile",
     &MeasureNetwork, &NetworkSentence},
};
static_assert(std::size(kLayers) == kGroupLayers);

}  // namespace

std::span<const GroupLayer> GroupLayers() { return kLayers; }

int32_t FamilyNats(const Group& group, EvidenceFamily family) {
  int32_t most = 0;
  for (size_t i = 0; i < kGroupLayers; ++i) {
    const bool as_timing = MutantIs("detect.network_is_a_family") && kLayers[i].family == EvidenceFamily::kNetwork;
    if ((kLayers[i].family == family || as_timing) && Counts(family)) most = std::max(most, group.findings[i].nats);
  }
  return most;
}

std::string TenthsText(uint64_t tenths) { return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10); }

}  // namespace stillwatch::pipeline
