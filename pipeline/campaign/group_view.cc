#include <algorithm>
#include <bit>
#include <map>

#include "base/endian.h"
#include "base/hash.h"
#include "pipeline/campaign/group_layer.h"

namespace stillwatch::pipeline {

namespace {

constexpr size_t kDraws = 4;
constexpr int kVolumeSteps = 2;  // powers of two that a matched owner's exchanges may be away

// What owners are matched by.
struct Kind {
  uint32_t dialects;
  int volume;  // power of two of its exchanges
  auto operator<=>(const Kind&) const = default;
};

Kind KindOf(std::span<const Profile> profiles, const OwnerView& owner) {
  Kind kind{0, 0};
  uint64_t exchanges = 0;
  for (uint32_t account : AccountsOf(owner)) {
    kind.dialects |= profiles[account].dialects;
    exchanges += profiles[account].exchanges;
  }
  kind.volume = std::bit_width(exchanges);
  return kind;
}

// Owners of one kind that no draw has taken yet.
struct Waiting {
  std::vector<uint32_t> owners;
  size_t next = 0;
};

// Nothing when the population has no match for one in eight of the members.
std::vector<uint32_t> Draw(std::span<const Kind> members, std::map<Kind, Waiting>* waiting) {
  std::vector<uint32_t> drawn;
  for (const Kind& kind : members) {
    for (int step = 0; step <= 2 * kVolumeSteps; ++step) {  // 0, -1, 1, -2, 2
      const int away = step % 2 == 0 ? step / 2 : -(step + 1) / 2;
      const auto at = waiting->find({kind.dialects, kind.volume + away});
      if (at == waiting->end() || at->second.next == at->second.owners.size()) continue;
      drawn.push_back(at->second.owners[at->second.next++]);
      break;
    }
  }
  if (drawn.size() * 8 < members.size() * 7) drawn.clear();
  return drawn;
}

}  // namespace

std::vector<uint32_t> AccountsOf(const OwnerView& owner) {
  std::vector<uint32_t> accounts;
  for (const RequestRef& ref : owner.requests) {
    if (accounts.empty() || accounts.back() != ref.account) accounts.push_back(ref.account);
  }
  return accounts;
}

GroupView MakeGroupView(const Population& population, const Group& group) {
  GroupView view;
  view.profiles = population.profiles;
  std::map<uint32_t, std::vector<const RememberedRequest*>> member_hits, borrower_hits;
  const auto collect = [&](const std::vector<GroupMember>& from, auto* to) {
    for (const GroupMember& member : from) {
      auto& hits = (*to)[member.owner];
      for (const Hit& hit : member.hits) hits.push_back(&population.profiles[member.account].requests[hit.request]);
    }
  };
  collect(group.members, &member_hits);
  collect(group.borrowers, &borrower_hits);
  const std::span<const RequestRef> refs = population.requests;
  for (size_t i = 0; i < refs.size();) {
    size_t end = i;
    while (end < refs.size() && refs[end].owner == refs[i].owner) ++end;
    OwnerView owner{refs[i].owner, refs.subspan(i, end - i), {}};
    i = end;
    if (const auto at = member_hits.find(owner.owner); at != member_hits.end()) {
      owner.hits = at->second;
      view.members.push_back(std::move(owner));
    } else if (const auto borrowed = borrower_hits.find(owner.owner); borrowed != borrower_hits.end()) {
      owner.hits = borrowed->second;
      view.borrowers.push_back(std::move(owner));
    } else {
      view.outside.push_back(std::move(owner));
    }
  }

  std::map<Kind, Waiting> waiting;
  for (uint32_t i = 0; i < view.outside.size(); ++i) waiting[KindOf(view.profiles, view.outside[i])].owners.push_back(i);
  const auto shuffled = [&](uint32_t i) {
    return Mix64(LoadLe<uint64_t>(view.profiles[view.outside[i].requests.front().account].id.bytes) + 1);
  };
  for (auto& [kind, of_kind] : waiting) {
    std::sort(of_kind.owners.begin(), of_kind.owners.end(), [&](uint32_t a, uint32_t b) {
      return std::pair(shuffled(a), a) < std::pair(shuffled(b), b);
    });
  }
  std::vector<Kind> kinds;
  for (const OwnerView& member : view.members) kinds.push_back(KindOf(view.profiles, member));
  while (view.draws.size() < kDraws) {
    std::vector<uint32_t> draw = Draw(kinds, &waiting);
    if (draw.empty()) break;
    view.draws.push_back(std::move(draw));
  }
  return view;
}

}  // namespace stillwatch::pipeline
