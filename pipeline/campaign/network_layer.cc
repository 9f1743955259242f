// Layers 8 and 11: one choice an owner that people share for ordinary reasons, so never more than a hint. The day of the
// sign-up is taken given the age, or "new" alone would count; the network is the one an owner uses most.
#include <algorithm>
#include <bit>

#include "pipeline/campaign/group_layers.h"
#include "pipeline/evidence/concentration.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint64_t kTogetherMin = 3;  // owners of one choice: that nobody else has it says nothing of one or two

enum Count : size_t { kMost, kOwners, kOthers };

template <typename Choose>
Finding MeasureChoice(const GroupView& view, int32_t nats_max, Choose choose) {
  ChoiceCounts inside, outside;
  Finding finding;
  const auto note = [&](const std::vector<OwnerView>& owners, ChoiceCounts* counts) {
    uint64_t known = 0;
    for (const OwnerView& owner : owners) {
      const std::pair<uint32_t, uint32_t> choice = choose(owner);
      if (choice.second == 0) continue;
      ++known, ++(*counts)[choice];
    }
    return known;
  };
  finding.counts[kOwners] = note(view.members, &inside);
  finding.counts[kOthers] = note(view.outside, &outside);
  for (const auto& [choice, n] : inside) finding.counts[kMost] = std::max<uint64_t>(finding.counts[kMost], n);
  // Of half of the owners at least, or nothing is known of the group.
  finding.known = finding.counts[kOwners] * 2 >= view.members.size() && finding.counts[kOthers] != 0;
  if (finding.known && finding.counts[kMost] >= kTogetherMin) finding.nats = std::min(ConcentrationNats(inside, outside), nats_max);
  return finding;
}

}  // namespace

Finding MeasureSignups(const GroupView& view, const Tunables& tunables) {
  int64_t newest_s = 0;
  for (const Profile& profile : view.profiles) newest_s = std::max(newest_s, profile.last_ns / 1'000'000'000);
  return MeasureChoice(view, tunables.hint_nats_max, [&](const OwnerView& owner) -> std::pair<uint32_t, uint32_t> {
    const int64_t created_s = view.profiles[owner.requests.front().account].created_s;
    if (created_s <= 0) return {0, 0};
    const auto age_days = static_cast<uint64_t>(std::max<int64_t>(newest_s - created_s, 0)) / 86'400;
    return {std::bit_width(age_days), static_cast<uint32_t>(created_s / 86'400)};
  });
}

std::string SignupSentence(const Finding& finding) {
  if (!finding.known) return "no account directory says when these accounts were made";
  return std::to_string(finding.counts[kMost]) + " of " + std::to_string(finding.counts[kOwners]) +
         " accounts were made on one day; other accounts of that age are spread over more";
}

Finding MeasureNetwork(const GroupView& view, const Tunables& tunables) {
  return MeasureChoice(view, tunables.hint_nats_max, [&](const OwnerView& owner) -> std::pair<uint32_t, uint32_t> {
    return {0, view.profiles[owner.requests.front().account].home.Most()};
  });
}

std::string NetworkSentence(const Finding& finding) {
  if (!finding.known) return "the accounts' addresses are not known";
  return "at most " + std::to_string(finding.counts[kMost]) + " of " + std::to_string(finding.counts[kOwners]) +
         " accounts come from one network; people share networks too, so this is a hint and decides nothing";
}

}  // namespace stillwatch::pipeline
