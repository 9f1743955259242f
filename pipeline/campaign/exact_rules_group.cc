// Layer 10 of a whole group: how many of its accounts the rule flags, against everybody outside.
#include <algorithm>

#include "pipeline/campaign/group_layers.h"
#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

namespace {

enum Count : size_t { kProbers, kOwners, kOutsideProbers, kOutside, kSets };

}  // namespace

Finding MeasureExactRules(const GroupView& view, const Tunables& tunables) {
  Finding finding;
  const Everyone& everyone = *view.everyone;
  for (const OwnerView& owner : view.members) finding.counts[kProbers] += everyone.owners[owner.place].prober;
  finding.counts[kOwners] = view.members.size();
  finding.counts[kOutsideProbers] = everyone.probers;
  for (uint32_t place : view.inside) finding.counts[kOutsideProbers] -= everyone.owners[place].prober;
  finding.counts[kOutside] = view.outside();
  finding.counts[kSets] = tunables.probe_sets_min;
  finding.known = finding.counts[kOutside] != 0;
  // Most of the group, or the rule speaks for those few and not for it.
  if (!finding.known || finding.counts[kProbers] * 2 < finding.counts[kOwners]) return finding;
  const uint64_t expected_q8 = finding.counts[kOwners] * (finding.counts[kOutsideProbers] + 1) * 256 / (finding.counts[kOutside] + 2);
  finding.nats = std::min(ExcessNats(finding.counts[kProbers], expected_q8), tunables.content_nats_max);
  return finding;
}

std::string ExactRulesSentence(const Finding& finding) {
  if (!finding.known) return "no other accounts to compare with";
  return std::to_string(finding.counts[kProbers]) + " of " + std::to_string(finding.counts[kOwners]) +
         " accounts asked for the log probabilities of one token under " + std::to_string(finding.counts[kSets]) +
         " or more different sets of biased token ids; of " + std::to_string(finding.counts[kOutside]) + " others " +
         std::to_string(finding.counts[kOutsideProbers]) + " did";
}

}  // namespace stillwatch::pipeline
