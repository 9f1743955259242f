// Layer 6. Hours in which the members were active together beyond what their day explains, less the most that matched
// groups of other owners show; and another member's hit soon after a 429, against the same time before it. The first needs
// days: on a capture of hours it is silent.
#include <algorithm>

#include "pipeline/campaign/group_layers.h"
#include "pipeline/campaign/synchrony.h"
#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint32_t kHoursMin = 72;      // three days, before a day has a course
constexpr uint32_t kHandoverS = 30;     // a queue gives the work to another account within this

enum Count : size_t { kDays, kMost, kExpected, kMembers, kCohortTenths, k429, kAfter, kBefore };

void AddHours(std::span<const Profile> profiles, std::span<const RequestRef> requests, HourCounts* counts) {
  std::vector<uint32_t> hours;
  for (uint32_t account : AccountsOf(requests)) profiles[account].hours.List(&hours);
  std::sort(hours.begin(), hours.end());
  hours.erase(std::unique(hours.begin(), hours.end()), hours.end());
  for (uint32_t hour : hours) {
    if (hour >= counts->first && hour - counts->first < counts->active.size()) ++counts->active[hour - counts->first];
  }
}

// 429s of members' hits, and whether another member's hit came within kHandoverS after and before each.
void CountHandovers(const GroupView& view, Finding* finding) {
  std::vector<std::pair<uint32_t, uint32_t>> hits;  // time, owner
  for (const OwnerView& owner : view.members) {
    for (const RememberedRequest* hit : owner.hits) hits.push_back({hit->time_s, owner.place});
  }
  std::sort(hits.begin(), hits.end());
  const auto other_in = [&](uint32_t from, uint32_t to, uint32_t owner) {  // [from, to)
    for (auto at = std::lower_bound(hits.begin(), hits.end(), std::pair(from, 0u)); at != hits.end() && at->first < to; ++at) {
      if (at->second != owner) return true;
    }
    return false;
  };
  for (const OwnerView& owner : view.members) {
    for (const RememberedRequest* hit : owner.hits) {
      if ((hit->flags & kLimited) == 0 || hit->time_s <= kHandoverS) continue;
      ++finding->counts[k429];
      finding->counts[kAfter] += other_in(hit->time_s + 1, hit->time_s + 1 + kHandoverS, owner.place);
      finding->counts[kBefore] += other_in(hit->time_s - kHandoverS, hit->time_s, owner.place);
    }
  }
}

}  // namespace

Finding MeasureSynchrony(const GroupView& view, const Tunables& tunables) {
  Finding finding;
  finding.counts[kMembers] = view.members.size();
  CountHandovers(view, &finding);
  const int32_t handover = ExcessNats(finding.counts[kAfter], (finding.counts[kBefore] + 1) * 256);
  int64_t together = 0;
  const Everyone& everyone = *view.everyone;
  HourCounts mine{everyone.first_hour, std::vector<uint32_t>(everyone.hours, 0)};
  if (mine.active.size() >= kHoursMin && !view.draws.empty()) {
    finding.known = true;
    HourCounts all = mine;
    std::vector<HourCounts> draws(view.draws.size(), mine);
    for (size_t d = 0; d < draws.size(); ++d) {
      for (uint32_t i : view.draws[d]) AddHours(everyone.profiles, everyone.owners[i].requests, &draws[d]);
      for (size_t h = 0; h < all.active.size(); ++h) all.active[h] += draws[d].active[h];
    }
    for (const OwnerView& owner : view.members) AddHours(everyone.profiles, owner.requests, &mine);
    const Synchrony group = MeasureHours(mine, &all, tunables.synchrony_half_life_days);
    int64_t cohort = 0;
    for (const HourCounts& draw : draws) cohort = std::max(cohort, MeasureHours(draw, nullptr, tunables.synchrony_half_life_days).nats);
    together = group.nats - cohort;
    finding.counts[kDays] = group.days;
    finding.counts[kMost] = group.most;
    finding.counts[kExpected] = group.expected;
    finding.counts[kCohortTenths] = static_cast<uint64_t>(cohort) * 10 / 256;
  }
  finding.nats = static_cast<int32_t>(std::clamp<int64_t>(std::max<int64_t>(together, handover), 0, tunables.stack_nats_max));
  return finding;
}

std::string SynchronySentence(const Finding& finding) {
  const auto& c = finding.counts;
  std::string text = "fewer than three days, or too few other accounts, to say which hours the accounts share";
  if (finding.known) {
    text = "on " + std::to_string(c[kDays]) + " days more accounts were active in one hour than their day explains";
    if (c[kDays] != 0) {
      text += " (at most " + std::to_string(c[kMost]) + " of " + std::to_string(c[kMembers]) + " where " + std::to_string(c[kExpected]) +
              " were to be expected)";
    }
    text += "; as many matched accounts show " + TenthsText(c[kCohortTenths]) + " nats";
  }
  return text + ". Within 30 s of " + std::to_string(c[k429]) + " answers with 429 another account went on " +
         std::to_string(c[kAfter]) + " times, and had asked before them " + std::to_string(c[kBefore]) + " times";
}

}  // namespace stillwatch::pipeline
