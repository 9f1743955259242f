// Layers 8 and 11: one choice an owner that people share for ordinary reasons, so never more than a hint. The day of the
// sign-up is taken given the age, or "new" alone would count; the network is the one an owner uses most.
#include <algorithm>

#include "pipeline/campaign/group_layers.h"
#include "pipeline/evidence/concentration.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint64_t kTogetherMin = 3;  // owners of one choice: that nobody else has it says nothing of one or two

enum Count : size_t { kMost, kOwners, kOthers };

Finding MeasureChoice(const GroupView& view, const OneChoice& everyone, int32_t nats_max) {
  ChoiceCounts inside;
  ChoicesOutside outside{everyone.sums};
  Finding finding;
  for (const OwnerView& owner : view.members) {
    const std::pair<uint32_t, uint32_t>& choice = everyone.of[owner.place];
    if (choice.second != 0) ++finding.counts[kOwners], ++inside[choice];
  }
  finding.counts[kOthers] = everyone.known;
  for (uint32_t place : view.inside) {
    if (everyone.of[place].second != 0) --finding.counts[kOthers], outside.left_out.Add(everyone.of[place]);
  }
  for (const auto& [choice, n] : inside) finding.counts[kMost] = std::max<uint64_t>(finding.counts[kMost], n);
  // Of half of the owners at least, or nothing is known of the group.
  finding.known = finding.counts[kOwners] * 2 >= view.members.size() && finding.counts[kOthers] != 0;
  if (finding.known && finding.counts[kMost] >= kTogetherMin) finding.nats = std::min(ConcentrationNats(inside, outside), nats_max);
  return finding;
}

}  // namespace

Finding MeasureSignups(const GroupView& view, const Tunables& tunables) {
  return MeasureChoice(view, view.everyone->signups, tunables.hint_nats_max);
}

std::string SignupSentence(const Finding& finding) {
  if (!finding.known) return "no account directory says when these accounts were made";
  return std::to_string(finding.counts[kMost]) + " of " + std::to_string(finding.counts[kOwners]) +
         " accounts were made on one day; other accounts of that age are spread over more";
}

Finding MeasureNetwork(const GroupView& view, const Tunables& tunables) {
  return MeasureChoice(view, view.everyone->networks, tunables.hint_nats_max);
}

std::string NetworkSentence(const Finding& finding) {
  if (!finding.known) return "the accounts' addresses are not known";
  return "at most " + std::to_string(finding.counts[kMost]) + " of " + std::to_string(finding.counts[kOwners]) +
         " accounts come from one network; people share networks too, so this is a hint and decides nothing";
}

}  // namespace stillwatch::pipeline
