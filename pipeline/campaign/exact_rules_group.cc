// Layer 10 of a whole group: how many of its accounts the rule flags, against everybody outside.
#include <algorithm>

#include "pipeline/campaign/group_layers.h"
#include "pipeline/evidence/exact_rules_layer.h"
#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

namespace {

enum Count : size_t { kProbers, kOwners, kOutsideProbers, kOutside, kSets };

uint64_t Probers(const std::vector<OwnerView>& owners, std::span<const Profile> profiles, const Tunables& tunables) {
  return static_cast<uint64_t>(std::count_if(owners.begin(), owners.end(), [&](const OwnerView& owner) {
    const std::vector<uint32_t> accounts = AccountsOf(owner);
    return std::any_of(accounts.begin(), accounts.end(), [&](uint32_t a) { return IsProber(profiles[a], tunables); });
  }));
}

}  // namespace

Finding MeasureExactRules(const GroupView& view, const Tunables& tunables) {
  Finding finding;
  finding.counts[kProbers] = Probers(view.members, view.profiles, tunables);
  finding.counts[kOwners] = view.members.size();
  finding.counts[kOutsideProbers] = Probers(view.outside, view.profiles, tunables);
  finding.counts[kOutside] = view.outside.size();
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
