#include <algorithm>
#include <map>

#include "pipeline/campaign/group_layer.h"

namespace stillwatch::pipeline {

namespace {

constexpr size_t kDraws = 4;
constexpr int kVolumeSteps = 2;  // powers of two that a matched owner's exchanges may be away

// Takes owners of each kind in their order, none twice and nobody of the group.
class Cohort {
 public:
  Cohort(const Everyone& everyone, std::span<const uint32_t> inside) : everyone_(everyone), is_inside_(everyone.owners.size(), false) {
    for (uint32_t place : inside) is_inside_[place] = true;
  }

  // Nothing when the population has no match for one in eight of the members.
  std::vector<uint32_t> Draw(std::span<const OwnerView> members) {
    std::vector<uint32_t> drawn;
    for (const OwnerView& member : members) {
      const OwnerKind& kind = everyone_.owners[member.place].kind;
      for (int step = 0; step <= 2 * kVolumeSteps; ++step) {  // 0, -1, 1, -2, 2
        const int away = step % 2 == 0 ? step / 2 : -(step + 1) / 2;
        const uint32_t place = Next({kind.dialects, kind.volume + away});
        if (place == UINT32_MAX) continue;
        drawn.push_back(place);
        break;
      }
    }
    if (drawn.size() * 8 < members.size() * 7) drawn.clear();
    return drawn;
  }

 private:
  // UINT32_MAX: all are taken.
  uint32_t Next(const OwnerKind& kind) {
    const auto at = everyone_.of_kind.find(kind);
    if (at == everyone_.of_kind.end()) return UINT32_MAX;
    size_t& next = next_[kind];
    while (next < at->second.size() && is_inside_[at->second[next]]) ++next;
    return next == at->second.size() ? UINT32_MAX : at->second[next++];
  }

  const Everyone& everyone_;
  std::vector<bool> is_inside_;  // by place
  std::map<OwnerKind, size_t> next_;
};

}  // namespace

GroupView MakeGroupView(const Everyone& everyone, const Group& group) {
  GroupView view;
  view.everyone = &everyone;
  std::map<uint32_t, std::vector<const RememberedRequest*>> member_hits, borrower_hits;  // by place
  const auto collect = [&](const std::vector<GroupMember>& from, auto* to) {
    for (const GroupMember& member : from) {
      auto& hits = (*to)[everyone.place_of_owner[member.owner]];
      for (const Hit& hit : member.hits) hits.push_back(&everyone.profiles[member.account].requests[hit.request]);
    }
  };
  collect(group.members, &member_hits);
  collect(group.borrowers, &borrower_hits);
  for (auto& [place, hits] : member_hits) view.members.push_back({place, everyone.owners[place].requests, std::move(hits)});
  for (auto& [place, hits] : borrower_hits) {
    if (!member_hits.contains(place)) view.borrowers.push_back({place, everyone.owners[place].requests, std::move(hits)});
  }
  for (const auto* some : {&view.members, &view.borrowers}) {
    for (const OwnerView& owner : *some) view.inside.push_back(owner.place);
  }
  Cohort cohort(everyone, view.inside);
  while (view.draws.size() < kDraws) {
    std::vector<uint32_t> draw = cohort.Draw(view.members);
    if (draw.empty()) break;
    view.draws.push_back(std::move(draw));
  }
  return view;
}

}  // namespace stillwatch::pipeline
