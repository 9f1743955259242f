#include "pipeline/campaign/judge.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/hash.h"
#include "base/mutant.h"
#include "pipeline/campaign/group_layer.h"
#include "pipeline/evidence/fixed_point.h"
#include "pipeline/evidence/language.h"
#include "pipeline/evidence/work_division.h"

namespace stillwatch::pipeline {

namespace {

constexpr uint32_t kSecondsPerDay = 86'400;

const RememberedRequest& RequestOf(const Population& population, const GroupMember& member, const Hit& hit) {
  return population.profiles[member.account].requests[hit.request];
}

// What remains of a request without the cores that carry the group. (A question dealt to a few of the accounts
// is payload: the fit keeps cores of a good share of the owners only.)
WorkItem ItemOf(uint32_t owner, uint32_t core, const RememberedRequest& request, const CoreSet& cores) {
  WorkItem item{owner, core, request.text_hash, {}, 0};
  for (uint32_t fragment : request.shingles()) {
    if (cores.CoreOfFragment(fragment) == UINT32_MAX) item.payload.push_back(fragment);
  }
  std::sort(item.payload.begin(), item.payload.end());
  return item;
}

// A framework's conversations, and a class's, stay on the account that began them.
bool ConversationsMove(const GroupEvidence& evidence, const Tunables& tunables) { return evidence.identity >= tunables.family_nats; }

// Whether a task is told by the hits that begin a conversation: where conversations move between accounts, what follows ("go
// on", "explain that") is alike whatever was asked, and would make a class of the group. Where few hits begin one, all tell.
bool BeginningsTell(const Population& population, const Tunables& tunables, const Group& group) {
  if (!ConversationsMove(group.evidence, tunables) || MutantIs("detect.demands_to_go_on_are_a_class")) return false;
  size_t begin = 0;
  for (const GroupMember& member : group.members) {
    for (const Hit& hit : member.hits) begin += (RequestOf(population, member, hit).flags & kConversation) == 0;
  }
  return begin >= 2 * group.members.size();
}

// Every hit as a work item, or every one that begins a conversation.
std::vector<WorkItem> WorkItems(const Population& population, const Tunables& tunables, const Group& group) {
  std::vector<WorkItem> items;
  std::vector<uint32_t> held;
  const bool beginnings_tell = BeginningsTell(population, tunables, group);
  for (const GroupMember& member : group.members) {
    for (const Hit& hit : member.hits) {
      const RememberedRequest& request = RequestOf(population, member, hit);
      if (beginnings_tell && (request.flags & kConversation) != 0) continue;
      WorkItem& item = items.emplace_back(ItemOf(member.owner, hit.core, request, group.cores));
      group.cores.CoresOf(request, &held);
      for (uint32_t core : held) item.cores_held = Mix64(item.cores_held + core + 1);
    }
  }
  return items;
}

template <typename T>
T MedianOf(std::vector<T> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Layer 5, which needs the accounts outside.
void MeasureElicitation(const Population& population, const GroupView& view, const Tunables& tunables, Group* group) {
  const uint8_t asks = static_cast<uint8_t>(std::min(tunables.elicitation_nats / 16, 255));
  uint64_t out_asking = view.everyone->asking, out_requests = view.everyone->requests;
  for (uint32_t place : view.inside) {
    out_asking -= view.everyone->owners[place].asking;
    out_requests -= view.everyone->owners[place].requests.size();
  }
  // Members by owner: the same question of their hits only.
  std::map<uint32_t, std::vector<const RememberedRequest*>> hits_of;
  for (const GroupMember& member : group->members) {
    for (const Hit& hit : member.hits) hits_of[member.owner].push_back(&RequestOf(population, member, hit));
  }
  uint64_t asking_owners = 0;
  for (const auto& [owner, hits] : hits_of) {
    uint32_t asking = 0;
    for (const RememberedRequest* r : hits) asking += r->elicitation >= asks;
    group->counts.eliciting_hits += asking;
    asking_owners += asking * 2 >= hits.size();
  }
  std::set<uint32_t> borrowing;
  for (const GroupMember& member : group->borrowers) {
    if (!hits_of.contains(member.owner)) borrowing.insert(member.owner);
  }
  group->counts.borrowers = static_cast<uint32_t>(borrowing.size());
  // Owners that mostly ask for reasoning or rubrics, against the share of such requests outside.
  const uint64_t expected_q8 = hits_of.size() * (out_asking + 1) * 256 / (out_requests + 2);
  group->evidence.elicitation =
      std::min(tunables.elicitation_nats_max, ExcessNats(asking_owners, expected_q8));
}

void CountTemplates(const Population& population, const Tunables& tunables, Group* group) {
  // A template: a core that carries hits of enough owners. `hit.core` is the core that says most, so two
  // runs of one sentence count once.
  std::map<uint32_t, std::set<uint32_t>> owners_of;
  std::map<uint32_t, std::set<uint32_t>> cores_of;
  for (const GroupMember& member : group->members) {
    for (const Hit& hit : member.hits) owners_of[hit.core].insert(member.owner);
  }
  for (const auto& [core, owners] : owners_of) group->counts.templates += owners.size() >= tunables.core_owners_min;
  for (const GroupMember& member : group->members) {
    for (const Hit& hit : member.hits) {
      if (owners_of[hit.core].size() >= tunables.core_owners_min) cores_of[member.owner].insert(hit.core);
    }
  }
  for (const auto& [owner, cores] : cores_of) group->counts.mixing_owners += cores.size() >= 2;
  std::set<uint32_t> days;
  std::map<uint32_t, std::map<uint32_t, uint64_t>> texts;  // text, owner, hits
  std::map<uint32_t, uint64_t> hits_of;
  const bool beginnings_tell = BeginningsTell(population, tunables, *group);
  for (const GroupMember& member : group->members) {
    for (const Hit& hit : member.hits) {
      const RememberedRequest& request = RequestOf(population, member, hit);
      ++group->counts.hits;
      group->counts.conversation_hits += (request.flags & kConversation) != 0;
      days.insert(request.time_s / kSecondsPerDay);
      if (beginnings_tell && (request.flags & kConversation) != 0) continue;
      ++texts[request.text_hash][member.owner];
      ++hits_of[member.owner];
    }
  }
  const auto pairs_across = [](const std::map<uint32_t, uint64_t>& by_owner) {
    uint64_t sum = 0, squares = 0;
    for (const auto& [owner, n] : by_owner) sum += n, squares += n * n;
    return (sum * sum - squares) / 2;
  };
  group->counts.hit_pairs = pairs_across(hits_of);
  for (const auto& [text, by_owner] : texts) {
    if (by_owner.size() < 2) continue;
    group->counts.equal_pairs += pairs_across(by_owner);
    for (const auto& [owner, n] : by_owner) group->counts.overlapping_hits += static_cast<uint32_t>(n);
  }
  group->counts.days = static_cast<uint32_t>(days.size());
}

// Owners that ask in many languages, among the group's and outside.
void CountLanguages(const Population& population, Group* group) {
  std::set<uint32_t> owners;
  for (const GroupMember& member : group->members) owners.insert(member.owner);
  GroupCounts& c = group->counts;
  c.multilingual = static_cast<uint32_t>(std::ranges::count_if(owners, [&](uint32_t owner) { return population.multilingual[owner]; }));
  c.outside_multilingual = population.multilingual_owners - c.multilingual;
  c.outside_owners = population.owners - static_cast<uint32_t>(owners.size());
}

// One work in many languages on every account, against what others do: no class asks so, whose students ask in their own.
bool IsTranslated(const GroupCounts& c, const Tunables& tunables) {
  const uint64_t expected_q8 = uint64_t{c.owners} * (c.outside_multilingual + 1) * 256 / (uint64_t{c.outside_owners} + 2);
  return c.multilingual >= tunables.group_accounts_min && c.multilingual * 2 > c.owners &&
         ExcessNats(c.multilingual, expected_q8) >= tunables.family_nats && !MutantIs("detect.languages_are_a_class");
}

// Where the work is in many languages, who asks in one or two happens to ask what the others do: neither a member nor a borrower.
void KeepWhoAskInMany(const Population& population, const Tunables& tunables, Group* group) {
  CountLanguages(population, group);
  if (!IsTranslated(group->counts, tunables)) return;
  RemoveMembersIf([&](const GroupMember& member) { return !population.multilingual[member.owner]; }, group);
}

std::string Share(uint64_t part, uint64_t whole) {
  return std::to_string(part) + " of " + std::to_string(whole);
}

// Owners with several accounts each, and nothing but prompts and work that would say that one hand is behind them.
bool AreCompanies(const Group& group, const GroupEvidence& e, const Tunables& tunables) {
  return group.members.size() >= 2ull * group.counts.owners && std::max({e.stack, e.timing, e.identity}) < tunables.family_nats &&
         e.elicitation < tunables.harvest_nats && !MutantIs("detect.pipelines_are_a_campaign");
}

// How much of the bar of one pair in `one_in` is reached; 256 is the bar. Pairs stay below 2^42.
uint64_t ShareOfBarQ8(uint64_t pairs, uint64_t one_in, uint64_t of) { return of == 0 ? 0 : pairs * one_in * 256 / of; }

uint64_t SquareRoot(uint64_t x) {
  uint64_t root = 0;
  for (uint64_t bit = 1ull << 31; bit != 0; bit >>= 1) {
    if ((root + bit) * (root + bit) <= x) root += bit;
  }
  return root;
}

}  // namespace

void MeasureGroup(const Population& population, const Everyone& everyone, CohortContinuity* cohort, const Tunables& tunables, Group* group) {
  KeepWhoAskInMany(population, tunables, group);
  CountTemplates(population, tunables, group);
  GroupCounts& counts = group->counts;

  const std::vector<WorkItem> items = WorkItems(population, tunables, *group);
  const WorkDivision work = MeasureWorkDivision(items, tunables);
  counts.payload_pairs = work.pairs;
  counts.collisions = work.collisions;
  counts.crossing_pairs = static_cast<uint32_t>(std::min<uint64_t>(work.crossing, UINT32_MAX));
  std::vector<size_t> hits;
  std::vector<int32_t> scores;
  for (const GroupMember& member : group->members) hits.push_back(member.hits.size()), scores.push_back(member.score - member.kin_nats);
  const size_t items_each = MedianOf(hits);
  counts.continuity = MeasureContinuity(items, items_each, false, tunables);
  std::vector<uint32_t> owners;
  for (const GroupMember& member : group->members) owners.push_back(member.owner);
  counts.cohort = cohort->Measure(std::move(owners), group->cores, items_each, tunables);
  group->evidence.work = DealerNats(counts.continuity, counts.cohort, tunables);

  group->evidence.content = std::min(MedianOf(scores), tunables.content_nats_max);
  const GroupView view = MakeGroupView(everyone, *group);
  MeasureElicitation(population, view, tunables, group);
  for (size_t i = 0; i < kGroupLayers; ++i) group->findings[i] = GroupLayers()[i].measure(view, tunables);
  counts.draws = static_cast<uint32_t>(view.draws.size());
  CountFindings(group);
}

void CountFindings(Group* group) {
  group->evidence.content = std::max(group->evidence.content, FamilyNats(*group, EvidenceFamily::kContent));
  group->evidence.stack = FamilyNats(*group, EvidenceFamily::kStack);
  group->evidence.timing = FamilyNats(*group, EvidenceFamily::kTiming);
}

void MeasureIdentity(std::span<const EdgeRecord> edges, uint32_t accounts, const Tunables& tunables, Group* group) {
  std::set<AccountId> inside, outside;
  const auto is_member = [&](const AccountId& id) {
    const auto at = std::lower_bound(group->members.begin(), group->members.end(), id,
                                     [](const GroupMember& member, const AccountId& x) { return member.id < x; });
    return at != group->members.end() && at->id == id;
  };
  IdentityCounts& c = group->identity;
  c = {};
  for (const EdgeRecord& edge : edges) {
    if (edge.layer != Layer::kMigration) continue;
    const bool a = is_member(edge.a), b = is_member(edge.b);
    if (a && b) {
      ++c.edges, c.events += edge.count;
      inside.insert(edge.a), inside.insert(edge.b);
    } else if (!a && !b) {
      outside.insert(edge.a), outside.insert(edge.b);
    }
  }
  c.accounts = static_cast<uint32_t>(inside.size());
  c.outside_accounts = static_cast<uint32_t>(outside.size());
  const uint64_t members = group->members.size();
  c.outside = static_cast<uint32_t>(accounts - std::min<uint64_t>(accounts, members));
  const uint64_t expected_q8 = members * (c.outside_accounts + 1) * 256 / (uint64_t{c.outside} + 2);
  group->evidence.identity = std::min(tunables.identity_nats_max, ExcessNats(c.accounts, expected_q8));
}

Judgement JudgeGroup(const Group& group, const Tunables& tunables) {
  const GroupCounts& c = group.counts;
  Judgement j;
  j.evidence = group.evidence;
  const auto check = [&](std::string_view name, bool known, bool look_alike, std::string text) {
    j.checks.push_back({name, !known ? Verdict::kNoData : look_alike ? Verdict::kFailed : Verdict::kPassed, std::move(text)});
    j.explained |= known && look_alike;
    return known && look_alike;
  };

  // A grid that an operator deals wraps around too, but on his clients; people on clients of their own choice need meet half
  // as often to be a class, or a small language whose phrases look rare beside the others.
  // Work in many languages has few items in each and so few payloads; a class, or back ends that are asked the same, has equal texts.
  constexpr uint64_t kTranslatedPayloads = 16;
  const uint64_t class_payloads = tunables.class_payloads_max * (j.evidence.stack < tunables.family_nats ? 2ull : 1ull) / (IsTranslated(c, tunables) ? kTranslatedPayloads : 1);
  // Two measures of one thing: a class whose students put the questions in words of their own is near both bars and above none.
  const uint64_t texts_q8 = ShareOfBarQ8(c.equal_pairs, tunables.equal_text_one_in, c.hit_pairs);
  const uint64_t payloads_q8 = ShareOfBarQ8(c.collisions, class_payloads, c.payload_pairs);
  const uint64_t alike_q8 = MutantIs("detect.class_bars_stand_alone") ? std::max(texts_q8, payloads_q8) : texts_q8 + payloads_q8;
  if (check("classroom", c.hits != 0, alike_q8 > 256,
            Share(c.overlapping_hits, c.hits) + " matching requests have a text that another account sent too; " +
                Share(c.equal_pairs, c.hit_pairs) + " pairs of texts are equal, " + Share(c.collisions, c.payload_pairs) +
                " pairs of payloads; " + Share(c.multilingual, c.owners) + " accounts ask in " + std::to_string(tunables.languages_many) + " languages or more, of others " +
                Share(c.outside_multilingual, c.outside_owners))) {
    j.evidence.content = j.evidence.work = j.evidence.timing = 0;
  }
  // One template, or one to each account: an app into which people put what is theirs, unless the work is seen to be dealt. A few
  // among companies: a public prompt in their pipelines, whose records come back no more than a dealer's items do.
  const bool one = c.templates < tunables.templates_min || c.mixing_owners * 2 < c.owners;
  const bool few = c.templates < tunables.templates_alone_min && AreCompanies(group, j.evidence, tunables);
  if (check("shared_app", true, (one && j.evidence.work < tunables.family_nats) || few,
            std::to_string(c.templates) + " prompt cores; " + Share(c.mixing_owners, c.owners) +
                " accounts use two or more of them")) {
    j.evidence.content /= 2;
    j.evidence.work = j.evidence.timing = 0;
  }
  if (check("agent_framework", c.hits != 0, c.conversation_hits * 100ull > c.hits * tunables.conversation_percent_max &&
                j.evidence.work < tunables.family_nats && !ConversationsMove(j.evidence, tunables),
            Share(c.conversation_hits, c.hits) + " matching requests continue a conversation")) {
    j.evidence.content /= 2;
    j.evidence.work = j.evidence.timing = 0;
  }
  if (check("own_subjects", c.continuity.compared != 0, KeepsSubjects(c.continuity),
            Share(c.continuity.returning, c.continuity.compared) + " accounts come back to subjects of their own")) {
    j.evidence.content /= 2;
    j.evidence.work = 0;
  }
  if (check("borrowed_prompts", true, c.borrowers * 2 > c.owners,
            std::to_string(c.borrowers) + " other accounts use the same prompts with parameters of their own")) {
    j.evidence.content /= 2;
    j.evidence.work = 0;
  }
  check("aged_accounts", false, false, "no account directory says how old these accounts are");
  check("authorised", false, false, "not on the allow-list; contracts outside it are not known here");

  // Identity is in no count of families: one hand behind the accounts does not say what it does with them.
  for (int32_t nats : {j.evidence.content, j.evidence.work, j.evidence.stack, j.evidence.timing}) j.families += nats >= tunables.family_nats;
  j.pooled = ProbabilityOf(tunables.prior_pooled + j.evidence.content + j.evidence.stack + (j.evidence.work + j.evidence.timing) / 2 +
                           j.evidence.identity);
  j.distillation_like = ProbabilityOf(tunables.prior_distillation + j.evidence.content + j.evidence.work +
                                      j.evidence.elicitation + (j.evidence.stack + j.evidence.timing) / 2);
  // Shared prompts and parameters say who goes together; that outputs are harvested, only work or elicitation say.
  const bool harvests = j.evidence.work >= tunables.harvest_nats || j.evidence.elicitation >= tunables.harvest_nats;
  if (j.families < 2 || !harvests) j.distillation_like = std::min(j.distillation_like, 32'768u);

  // P(group wrong) n + sum of (1 - p_i) given that the group is right; two Poisson deviations on top.
  const uint64_t n = group.members.size();
  uint64_t wrong_q16 = 0;
  for (const GroupMember& member : group.members) wrong_q16 += 65'536 - ProbabilityOf(member.score - tunables.family_nats);
  const uint64_t p = j.distillation_like;
  const uint64_t expected_q16 = (65'536 - p) * n + wrong_q16 * p / 65'536;
  j.innocents_high_q16 = std::min(n << 16, expected_q16 + 2 * SquareRoot(expected_q16 << 16));
  const uint64_t spread = 2 * SquareRoot(expected_q16 << 16);
  j.innocents_low = (expected_q16 > spread ? expected_q16 - spread : 0) >> 16;
  j.innocents_high = (j.innocents_high_q16 + 65'535) >> 16;
  return j;
}

}  // namespace stillwatch::pipeline
