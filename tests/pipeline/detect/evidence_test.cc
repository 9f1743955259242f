// Evidence layers against slow oracles, and the integer arithmetic against golden values made with a plain
// Python (math.log2, math.log, math.exp).
#include <functional>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "base/hash.h"
#include "pipeline/evidence/cohort_continuity.h"
#include "pipeline/evidence/core_finder.h"
#include "pipeline/evidence/core_holders.h"
#include "pipeline/evidence/elicitation.h"
#include "pipeline/evidence/fixed_point.h"
#include "pipeline/evidence/fragment_postings.h"
#include "pipeline/evidence/fragment_table.h"
#include "pipeline/evidence/instruction.h"
#include "pipeline/evidence/label_propagation.h"
#include "pipeline/evidence/public_core.h"
#include "pipeline/evidence/elicitation_layer.h"
#include "pipeline/evidence/work_division.h"
#include "pipeline/evidence/work_layer.h"
#include "tests/pipeline/detect/crowd.h"

namespace stillwatch::pipeline {
namespace {

TEST(FixedPoint, LogarithmsEqualPython) {
  // floor(256 * log2(x)); the mantissa is cut to 8 bits, so long numbers may be lower by 2.
  const std::map<uint64_t, int> golden = {{1, 0}, {2, 256}, {3, 405}, {5, 594}, {7, 718}, {10, 850},
                                          {100, 1700}, {255, 2046}, {256, 2048}, {1000, 2551},
                                          {65'535, 4095}, {1'000'000, 5102}};
  for (const auto& [x, q8] : golden) {
    EXPECT_LE(Log2Q8(x), q8) << x;
    EXPECT_GE(Log2Q8(x), q8 - 2) << x;
  }
  for (uint64_t x = 1; x < 100'000; ++x) ASSERT_LE(Log2Q8(x), Log2Q8(x + 1)) << x;
}

TEST(FixedPoint, TailsEqualPython) {
  // k ln(k/e) - (k - e), in nats: (10, 2) 8.094, (3, 5/256) 12.123; (5, 20) for the deficit 8.069.
  EXPECT_NEAR(ExcessNats(10, 512) / 256.0, 8.094, 0.15);
  EXPECT_NEAR(ExcessNats(3, 5) / 256.0, 12.123, 0.15);
  EXPECT_EQ(ExcessNats(2, 512), 0);
  EXPECT_NEAR(DeficitNats(5, 20 * 256) / 256.0, 8.069, 0.15);
  EXPECT_NEAR(DeficitNats(0, 20 * 256) / 256.0, 20.0, 0.01);
  EXPECT_EQ(DeficitNats(20, 20 * 256), 0);
  for (uint64_t k = 1; k < 200; ++k) ASSERT_LE(ExcessNats(k, 700), ExcessNats(k + 1, 700));
}

TEST(FixedPoint, ProbabilityIsMonotoneAndRight) {
  EXPECT_EQ(ProbabilityOf(0), 32'768u);
  EXPECT_NEAR(ProbabilityOf(256) / 65'536.0, 0.7311, 0.002);
  EXPECT_NEAR(ProbabilityOf(-4 * 256) / 65'536.0, 0.0180, 0.001);
  for (int32_t x = -4000; x < 4000; ++x) ASSERT_LE(ProbabilityOf(x), ProbabilityOf(x + 1));
}

TEST(FragmentTable, CountsOwnersLikeASet) {
  std::mt19937 random(5);
  FragmentTable table(1 << 12, 1 << 14);
  std::map<uint32_t, std::set<uint64_t>> oracle;
  for (int i = 0; i < 60'000; ++i) {
    const uint32_t fragment = Mix32(random() % 300 + 1);
    const uint64_t owner = random() % (fragment % 200 + 1);
    table.Note(fragment, owner, 1);
    oracle[fragment].insert(owner);
  }
  for (const auto& [fragment, owners] : oracle) {
    const double estimate = table.OwnersOf(fragment), truth = static_cast<double>(owners.size());
    if (truth <= 1) EXPECT_EQ(estimate, 1);
    else EXPECT_NEAR(estimate, truth, truth * 0.5 + 2) << truth;  // four standard errors of 64 registers
  }
}

TEST(FragmentTable, OneOwnerNeverEnters) {
  FragmentTable table(1 << 10, 1 << 10);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(table.Note(7, 42, 1), 1u);
  EXPECT_EQ(table.counters().Get(FragmentCounter::kAdmitted), 0u);
  EXPECT_EQ(table.Note(7, 43, 1), 2u);
  EXPECT_EQ(table.counters().Get(FragmentCounter::kAdmitted), 1u);
}

TEST(FragmentTable, FullSetsLoseTheFewestOwnersAndSayso) {
  FragmentTable table(64, 1 << 14);
  for (uint64_t owner = 0; owner < 20; ++owner) table.Note(1, owner, 1);  // the one that matters
  for (uint32_t fragment = 2; fragment < 3000; ++fragment) {
    table.Note(fragment, 100, 2), table.Note(fragment, 101, 2);
  }
  EXPECT_GE(table.OwnersOf(1), 12u);
  EXPECT_GT(table.counters().Get(FragmentCounter::kEvicted), 0u);
}

TEST(Instruction, ShinglesDoNotCrossTheCut) {
  const std::vector<uint32_t> tokens = {1, 2, 3, 4};
  std::vector<Fragment> whole, cut;
  FragmentsOf(tokens, 0, &whole);
  FragmentsOf(tokens, 2, &cut);
  EXPECT_EQ(whole.size(), 3u);
  ASSERT_EQ(cut.size(), 2u);
  EXPECT_EQ(cut[0].position, 0u);
  EXPECT_EQ(cut[1].position, 2u);
}

TEST(Instruction, ThinningKeepsTheTemplateWhateverTheSlotHolds) {
  std::mt19937 random(3);
  std::vector<uint32_t> head(40), tail(40);
  for (uint32_t& t : head) t = random();
  for (uint32_t& t : tail) t = random();
  const auto fill = [&](size_t slot) {
    std::vector<uint32_t> tokens = head;
    for (size_t i = 0; i < slot; ++i) tokens.push_back(random());
    tokens.insert(tokens.end(), tail.begin(), tail.end());
    std::vector<Fragment> fragments;
    FragmentsOf(tokens, 0, &fragments);
    std::set<uint32_t> hashes;
    for (const Fragment& f : fragments) hashes.insert(f.hash);
    EXPECT_LE(hashes.size(), kFragmentsConsidered);
    return hashes;
  };
  const auto a = fill(30), b = fill(30);
  size_t common = 0;
  for (uint32_t hash : a) common += b.contains(hash);
  EXPECT_GE(common, 30u);  // 78 of 108 shingles are the template's; 64 are kept
}

// A population as requests, without profiles.
struct Requests {
  std::vector<RememberedRequest> store;
  std::vector<RequestRef> refs;
  void Add(uint32_t owner, std::vector<uint32_t> fragments) {
    RememberedRequest r{};
    for (size_t i = 0; i < fragments.size() && i < kRequestFragments; ++i) r.fragments[r.fragments_count++] = fragments[i];
    r.text_hash = static_cast<uint32_t>(store.size());
    store.push_back(r);
    owners.push_back(owner);
  }
  std::span<const RequestRef> Refs() {
    refs.clear();
    for (size_t i = 0; i < store.size(); ++i) refs.push_back({owners[i], owners[i], &store[i]});
    std::stable_sort(refs.begin(), refs.end(), [](const auto& a, const auto& b) { return a.owner < b.owner; });
    return refs;
  }
  std::vector<uint32_t> owners;
};

TEST(CoreFinder, OwnersEqualASlowCount) {
  std::mt19937 random(11);
  Requests requests;
  for (uint32_t owner = 0; owner < 60; ++owner) {
    for (int n = 0; n < 5; ++n) {
      std::vector<uint32_t> fragments;
      for (int i = 0; i < 12; ++i) fragments.push_back(Mix32(random() % 150 + 1));
      requests.Add(owner, fragments);
    }
  }
  const CoreSet cores = FindCores(requests.Refs(), {.owners_min = 3, .texts_min = 3, .merge_percent = 101});
  std::map<uint32_t, std::set<uint32_t>> oracle;
  for (size_t i = 0; i < requests.store.size(); ++i) {
    for (uint32_t f : requests.store[i].shingles()) oracle[f].insert(requests.owners[i]);
  }
  std::erase_if(oracle, [](const auto& e) { return e.second.size() < 3; });
  ASSERT_EQ(cores.cores.size(), oracle.size());  // nothing merges at 101 percent
  for (const Core& core : cores.cores) EXPECT_EQ(core.owners, oracle.at(core.anchor).size());
}

TEST(CoreFinder, ARigidSentenceIsOneCoreAcrossItsSlot) {
  Requests requests;
  for (uint32_t owner = 0; owner < 10; ++owner) {
    requests.Add(owner, {10, 11, 12, 1000 + owner, 2000 + owner, 13, 14});
    requests.Add(owner, {3000 + owner, 20, 21, 22});
  }
  const CoreSet cores = FindCores(requests.Refs(), {});
  ASSERT_EQ(cores.cores.size(), 2u);
  EXPECT_EQ(cores.cores[0].fragments, 5u);
  EXPECT_EQ(cores.cores[0].anchor, 10u);
  EXPECT_EQ(cores.cores[1].fragments, 3u);
}

TEST(CoreFinder, CopiesOfOneTextAreNoTemplate) {
  Requests requests;
  for (uint32_t owner = 0; owner < 10; ++owner) {
    requests.Add(owner, {10, 11, 12});
    requests.store.back().text_hash = owner % 2;  // two texts in all
  }
  EXPECT_TRUE(FindCores(requests.Refs(), {.texts_min = 3}).cores.empty());
}

TEST(CoreHolders, EqualAWalkOverAllRequests) {
  std::mt19937 random(12);
  Requests requests;
  for (uint32_t owner = 0; owner < 80; ++owner) {
    for (uint32_t n = 0; n < 6; ++n) {
      std::vector<uint32_t> fragments;
      const uint32_t sentence = random() % 8;  // in order, so that neighbours merge; each word may be missing or twice
      for (uint32_t i = 0; i < 9 && n != 0; ++i) {
        for (uint32_t times = std::min<uint32_t>(random() % 4, 2); times > 0; --times) fragments.push_back(Mix32(sentence * 9 + i + 1));
      }
      for (uint32_t i = 0; i < 6; ++i) fragments.push_back(Mix32(1'000 + random() % 4'000));
      requests.Add(owner, fragments);
    }
  }
  const std::span<const RequestRef> all = requests.Refs();
  std::vector<RequestRef> some;  // cores are found in a part and looked for in all
  for (const RequestRef& ref : all) {
    if (ref.owner % 3 == 0) some.push_back(ref);
  }
  const CoreSet cores = FindCores(some, {});
  const auto merged = [](const Core& core) { return core.fragments > 1; };
  ASSERT_TRUE(std::any_of(cores.cores.begin(), cores.cores.end(), merged));
  const Tunables tunables;
  std::vector<ClientChoice> choices;
  for (const RequestRef& ref : all) choices.push_back(ChoiceOf(*ref.request));
  const Likeness population = LikenessOf(all);
  for (const bool built : {false, true}) {  // without and with the index
    const FragmentPostings postings = built ? FragmentPostings(all, FragmentRuns(all, 3), 3) : FragmentPostings(all);
    EXPECT_EQ(postings.built(), built);
    std::vector<std::vector<uint32_t>> oracle(cores.cores.size());
    PublicCores public_cores(population, cores.cores.size());
    std::vector<uint32_t> held;
    for (uint32_t i = 0; i < all.size(); ++i) {
      cores.CoresOf(*all[i].request, &held);
      for (uint32_t core : held) oracle[core].push_back(i);
      public_cores.Note(all[i].owner, choices[i], held);
    }
    const std::vector<bool> is_public = public_cores.Find(tunables);
    CoreHolders holders(postings, choices, population, tunables);
    for (int again = 0; again < 3; ++again) {  // the first time counted, then remembered, beside other cores
      const auto found = holders.Of(cores);
      ASSERT_EQ(found.size(), oracle.size());
      for (size_t core = 0; core < oracle.size(); ++core) {
        EXPECT_EQ(found[core]->requests, oracle[core]);
        EXPECT_EQ(found[core]->is_public, is_public[core]);
        std::set<uint32_t> owners;
        for (uint32_t request : oracle[core]) owners.insert(all[request].owner);
        EXPECT_EQ(found[core]->owner_list, std::vector<uint32_t>(owners.begin(), owners.end()));
      }
      holders.Of(FindCores(std::span(some).subspan(some.size() / 4), {.merge_percent = 90}));
    }
  }
}

TEST(LabelPropagation, TwoCliquesWithAWeakBridgeStayApart) {
  std::vector<WeightedEdge> edges;
  for (uint32_t side = 0; side < 2; ++side) {
    for (uint32_t i = 0; i < 6; ++i) {
      for (uint32_t j = i + 1; j < 6; ++j) edges.push_back({side * 6 + i, side * 6 + j, 100});
    }
  }
  edges.push_back({5, 6, 1});
  const auto label = PropagateLabels(12, edges);
  EXPECT_EQ(std::set<uint32_t>(label.begin(), label.begin() + 6).size(), 1u);
  EXPECT_EQ(std::set<uint32_t>(label.begin() + 6, label.end()).size(), 1u);
  EXPECT_NE(label[0], label[11]);
}

// Each node in turn takes the label that weighs most among its neighbours, all of them in each of 20 rounds.
std::vector<uint32_t> SlowLabels(uint32_t nodes, const std::vector<WeightedEdge>& edges) {
  std::vector<uint32_t> label(nodes);
  for (uint32_t node = 0; node < nodes; ++node) label[node] = node;
  for (int round = 0; round < 20; ++round) {
    for (uint32_t node = 0; node < nodes; ++node) {
      std::map<uint32_t, int64_t> votes;
      for (const WeightedEdge& edge : edges) {
        if (edge.a == node) votes[label[edge.b]] += edge.weight;
        if (edge.b == node) votes[label[edge.a]] += edge.weight;
      }
      int64_t most = 0;
      for (const auto& [candidate, weight] : votes) {
        if (weight > most) most = weight, label[node] = candidate;
      }
    }
  }
  return label;
}

TEST(LabelPropagation, EqualsASlowOneOnRandomGraphs) {
  std::mt19937 random(17);
  for (int graph = 0; graph < 200; ++graph) {
    const uint32_t nodes = 2 + static_cast<uint32_t>(random() % 60);
    std::vector<WeightedEdge> edges;
    for (size_t n = random() % (3 * nodes); n > 0; --n) {
      const auto a = static_cast<uint32_t>(random() % nodes), b = static_cast<uint32_t>(random() % nodes);
      if (a != b) edges.push_back({a, b, 1 + static_cast<int32_t>(random() % 4)});  // few weights: many ties
    }
    ASSERT_EQ(PropagateLabels(nodes, edges), SlowLabels(nodes, edges)) << graph;
  }
}

TEST(SortedEdges, AreSortedByAccountsAndLayer) {
  std::mt19937 random(18);
  std::vector<EdgeRecord> edges;
  for (uint32_t i = 0; i < 3'000; ++i) {
    EdgeRecord& edge = edges.emplace_back();
    for (AccountId* id : {&edge.a, &edge.b}) {
      id->bytes[0] = static_cast<uint8_t>(random() % 8);
      id->bytes[7] = static_cast<uint8_t>(random() % 2 * 200);
      id->bytes[8] = static_cast<uint8_t>(random() % 4 * 80);  // some begin alike
    }
    edge.layer = random() % 2 == 0 ? Layer::kTemplate : Layer::kElicitation;
    edge.count = i;
  }
  const std::vector<EdgeRecord> sorted = SortedEdges(edges);
  ASSERT_EQ(sorted.size(), edges.size());
  std::set<uint32_t> seen;
  for (size_t i = 0; i < sorted.size(); ++i) {
    EXPECT_FALSE(i != 0 && sorted[i].Key() < sorted[i - 1].Key());
    EXPECT_TRUE(sorted[i].Key() == edges[sorted[i].count].Key());
    EXPECT_TRUE(seen.insert(sorted[i].count).second);
  }
}

std::vector<WorkItem> Items(std::mt19937* random, uint32_t owners, uint32_t each, uint32_t payloads, bool own_subjects) {
  std::vector<WorkItem> items;
  for (uint32_t owner = 0; owner < owners; ++owner) {
    const uint32_t subject = (*random)();
    for (uint32_t n = 0; n < each; ++n) {
      WorkItem item{owner, static_cast<uint32_t>((*random)() % 3), static_cast<uint32_t>((*random)()), {}};
      const uint32_t payload = (*random)() % payloads;
      for (uint32_t k = 0; k < 6; ++k) item.payload.push_back(Mix32(payload * 6 + k + 1));
      if (own_subjects) {
        for (uint32_t k = 0; k < 4; ++k) item.payload.push_back(Mix32(subject + k));
      }
      std::sort(item.payload.begin(), item.payload.end());
      items.push_back(item);
    }
  }
  return items;
}

TEST(WorkDivision, CountsEqualAllPairs) {
  std::mt19937 random(1);
  const auto items = Items(&random, 12, 8, 25, false);
  const WorkDivision fast = MeasureWorkDivision(items, {});
  uint64_t pairs = 0, collisions = 0, crossing = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    for (size_t j = i + 1; j < items.size(); ++j) {
      if (items[i].owner == items[j].owner) continue;
      const bool same_core = items[i].core == items[j].core, same = items[i].payload == items[j].payload;
      pairs += same_core;
      collisions += same_core && same;
      crossing += !same_core && same;
    }
  }
  EXPECT_EQ(fast.pairs, pairs);
  EXPECT_EQ(fast.collisions, collisions);
  EXPECT_EQ(fast.crossing, crossing);
}

// Continuity by its definition: every fragment of every item against every other item.
Continuity SlowContinuity(std::span<const WorkItem> items, size_t items_max, bool without_habits) {
  std::map<uint32_t, std::vector<const WorkItem*>> by_owner;
  for (const WorkItem& item : items) by_owner[item.owner].push_back(&item);
  std::vector<std::vector<const WorkItem*>> owners;
  for (auto& [owner, mine] : by_owner) {
    if (mine.size() < 2) continue;
    mine.resize(std::min({mine.size(), items_max, kContinuityItemsMax}));
    owners.push_back(mine);
  }
  ContinuityCount count;
  for (size_t o = 0; o < owners.size() && owners.size() > 1; ++o) {
    const auto& mine = owners[o];
    Recurrence own, other;
    const auto compare = [&](const WorkItem& a, const WorkItem& b, Recurrence* to) {
      if (a.text == b.text) return;
      for (uint32_t fragment : a.payload) {
        size_t times = 0;
        for (const WorkItem* item : mine) times += static_cast<size_t>(std::ranges::count(item->payload, fragment));
        if (without_habits && mine.size() > 2 && times * 2 > mine.size()) continue;
        ++to->of;
        to->hits += std::ranges::count(b.payload, fragment) != 0;
      }
    };
    for (const WorkItem* a : mine) {
      for (const WorkItem* b : mine) compare(*a, *b, &own);
      for (const WorkItem* b : owners[(o + 1) % owners.size()]) compare(*a, *b, &other);
    }
    count.Add(own, other, {});
  }
  return count.Take();
}

void ExpectEqual(const Continuity& a, const Continuity& b) {
  EXPECT_EQ(a.compared, b.compared);
  EXPECT_EQ(a.returning, b.returning);
  EXPECT_EQ(a.own_ppm, b.own_ppm);
  EXPECT_EQ(a.other_ppm, b.other_ppm);
}

TEST(CohortContinuity, EqualsTheDefinitionWhoeverIsLeftOut) {
  std::mt19937 random(31);
  uint64_t compared = 0, returning = 0;
  for (int world = 0; world < 60; ++world) {
    Requests requests;
    const uint32_t owners = 1 + random() % (world % 10 == 0 ? 3 : 40);
    for (uint32_t owner = 0; owner < owners; ++owner) {
      for (uint32_t n = random() % 16; n > 0; --n) {
        std::vector<uint32_t> fragments;
        for (uint32_t i = random() % 20; i > 0; --i) {
          const uint32_t subject = random() % 3 == 0 ? owner * 50 + random() % 12 : 5'000 + random() % 300;
          fragments.push_back(Mix32(subject));
          if (random() % 200 == 0) fragments.push_back(fragments.back());
        }
        if (world % 3 == 0) fragments.insert(fragments.end(), {Mix32(77), Mix32(78), Mix32(owner)});  // a prompt, and a habit
        requests.Add(owner, fragments);
        if (random() % 12 == 0) requests.store.back().text_hash = random() % 4;
        if (random() % 6 == 0) requests.store.back().flags |= kConversation;
      }
    }
    const std::span<const RequestRef> all = requests.Refs();
    const CoreSet cores = FindCores(all, {.owners_min = 2 + static_cast<uint32_t>(random() % 4)});
    CohortContinuity cohort(all, owners);
    for (size_t items_max = 0; items_max <= kContinuityItemsMax + 1; ++items_max) {
      std::vector<uint32_t> left_out;
      for (uint32_t owner = 0; owner < owners; ++owner) {
        if (random() % 5 == 0) left_out.push_back(owner);
      }
      if (items_max % 4 == 0) left_out.clear();
      std::shuffle(left_out.begin(), left_out.end(), random);
      std::vector<WorkItem> items;
      for (const RequestRef& ref : all) {
        if (std::ranges::count(left_out, ref.owner) != 0 || (ref.request->flags & kConversation) != 0) continue;
        WorkItem& item = items.emplace_back(WorkItem{ref.owner, 0, ref.request->text_hash, {}, 0});
        for (uint32_t fragment : ref.request->shingles()) {
          if (cores.CoreOfFragment(fragment) == UINT32_MAX) item.payload.push_back(fragment);
        }
      }
      const Continuity slow = SlowContinuity(items, items_max, true);
      ExpectEqual(cohort.Measure(left_out, cores, items_max, {}), slow);
      ExpectEqual(MeasureContinuity(items, items_max, true, {}), slow);
      ExpectEqual(MeasureContinuity(items, items_max, false, {}), SlowContinuity(items, items_max, false));
      compared += slow.compared, returning += slow.returning;
    }
  }
  EXPECT_GT(returning, 100u);
  EXPECT_LT(returning, compared * 9 / 10);
}

// As many accounts of people as a small population has.
Continuity PeopleNextDoor() {
  std::mt19937 random(9);
  return MeasureContinuity(Items(&random, 60, 8, 1'000'000, true), 8, false, {});
}

TEST(WorkDivision, ADealerIsSeenAgainstThePeopleNextDoor) {
  std::mt19937 random(2);
  const Continuity people = PeopleNextDoor();
  EXPECT_EQ(people.returning, people.compared);
  EXPECT_EQ(people.compared, 60u);
  const Continuity dealt = MeasureContinuity(Items(&random, 40, 8, 1'000'000, false), 8, false, {});
  EXPECT_LE(dealt.returning, 2u);
  EXPECT_GE(DealerNats(dealt, people, {}), Nats(46));
  // Neither a handful of accounts nor a handful to compare with says anything much.
  EXPECT_LT(DealerNats(MeasureContinuity(Items(&random, 3, 4, 1'000'000, false), 8, false, {}), people, {}), Nats(46));
  EXPECT_EQ(DealerNats(dealt, {.compared = 10, .returning = 10}, {}), 0);
  // Where nobody comes back to anything, that the group does not either is no evidence.
  EXPECT_EQ(DealerNats(dealt, {.compared = 200, .returning = 0}, {}), 0);
}

// 51 of 357 users of an app where 242 of 759 others do: certainly fewer, and not as few as a dealer's.
TEST(WorkDivision, ALargeGroupThatReturnsSomewhatLessIsPeople) {
  const Continuity others{.compared = 759, .returning = 242};
  EXPECT_EQ(DealerNats({.compared = 357, .returning = 51}, others, {}), 0);
  EXPECT_GE(DealerNats({.compared = 357, .returning = 25}, others, {}), Nats(46));
  EXPECT_GE(DealerNats({.compared = 40, .returning = 2}, others, {}), Nats(46));
  int32_t before = INT32_MAX;
  for (uint32_t returning = 0; returning <= 178; ++returning) {
    const int32_t nats = DealerNats({.compared = 357, .returning = returning}, others, {});
    EXPECT_LE(nats, before);
    before = nats;
  }
}

TEST(WorkDivision, PeopleWithSubjectsOfTheirOwnAreNoDealer) {
  std::mt19937 random(3);
  auto items = Items(&random, 40, 8, 1'000'000, true);
  const Continuity people = MeasureContinuity(items, 8, false, {});
  EXPECT_TRUE(KeepsSubjects(people));
  EXPECT_EQ(DealerNats(people, {.compared = 100, .returning = 100}, {}), 0);
  // Most, not all: against a population where everybody does, still people.
  EXPECT_EQ(DealerNats({.compared = 40, .returning = 25}, {.compared = 100, .returning = 100}, {}), 0);
  // Permutation oracle: the same items dealt to owners at random lose their continuity.
  std::vector<uint32_t> owners;
  for (const WorkItem& item : items) owners.push_back(item.owner);
  std::shuffle(owners.begin(), owners.end(), random);
  for (size_t i = 0; i < items.size(); ++i) items[i].owner = owners[i];
  EXPECT_LE(MeasureContinuity(items, 8, false, {}).returning, 6u);
}

TEST(WorkDivision, AHabitOfWordingIsNoSubject) {
  std::mt19937 random(4);
  auto items = Items(&random, 40, 8, 1'000'000, true);  // the "subject" is in every item of its owner
  EXPECT_EQ(MeasureContinuity(items, 8, true, {}).returning, 0u);
  EXPECT_EQ(MeasureContinuity(items, 8, false, {}).returning, 40u);
}

TEST(WorkDivision, AGridOfCoresIsDealtAndOneQuestionIsNot) {
  // No payload beside the cores: 40 owners with eight cells of a 100 x 100 grid each, or everybody the same cell.
  std::mt19937 random(5);
  std::vector<WorkItem> grid, question;
  for (uint32_t owner = 0; owner < 40; ++owner) {
    for (uint32_t n = 0; n < 8; ++n) {
      grid.push_back({owner, 1, static_cast<uint32_t>(random()), {}, random() % 10'000 + 1});
      question.push_back({owner, 1, static_cast<uint32_t>(random()), {}, 7});
    }
  }
  const WorkDivision dealt = MeasureWorkDivision(grid, {}), asked = MeasureWorkDivision(question, {});
  EXPECT_LT(dealt.collisions * Tunables{}.class_payloads_max, dealt.pairs);
  EXPECT_EQ(asked.collisions, asked.pairs);
}

// --- Public cores ---------------------------------------------------------------------------------------

// Owners who send one core each, with clients as `choose` says; and `everyone`, who send something else.
struct Phrase {
  Requests requests;
  void Add(uint32_t owners, uint32_t core, const std::function<void(RememberedRequest*)>& choose) {
    for (uint32_t n = 0; n < owners; ++n) {
      const uint32_t owner = next_owner++;
      requests.Add(owner, {core, core + 1, 1'000'000 + owner});
      choose(&requests.store.back());
    }
  }
  bool IsPublic(uint32_t core) {
    const auto refs = requests.Refs();
    const CoreSet cores = FindCores(refs, {});
    PublicCores found(LikenessOf(refs), cores.cores.size());
    for (size_t i = 0; i < refs.size(); ++i) found.Note(refs[i].owner, ChoiceOf(*refs[i].request), cores.held(i));
    return found.Find({})[cores.CoreOfFragment(core)];
  }
  uint32_t next_owner = 0;
};

TEST(PublicCores, WhatAllSortsOfClientsSendIsEverybodys) {
  std::mt19937 random(6);
  const auto anybody = [&](RememberedRequest* r) {
    r->model = static_cast<uint16_t>(random() % 4), r->parameters = static_cast<uint16_t>(random() % 12), r->client = static_cast<uint16_t>(random() % 8);
  };
  const auto same_settings = [&](RememberedRequest* r) { anybody(r), r->model = 1, r->parameters = 5; };
  const auto same_client = [&](RememberedRequest* r) { anybody(r), r->client = 3; };
  Phrase phrase;
  phrase.Add(300, 5'000'000, anybody);  // who send what nobody else sends
  for (size_t i = 0; i < phrase.requests.store.size(); ++i) phrase.requests.store[i].fragments_count = 0;
  phrase.Add(40, 100, anybody);
  phrase.Add(40, 200, same_settings);
  phrase.Add(40, 300, same_client);
  phrase.Add(4, 400, anybody);
  EXPECT_TRUE(phrase.IsPublic(100));
  EXPECT_FALSE(phrase.IsPublic(200));
  EXPECT_FALSE(phrase.IsPublic(300));
  EXPECT_FALSE(phrase.IsPublic(400)) << "four owners are too few to tell";
}

TEST(PublicCores, LikenessEqualsAllPairs) {
  std::mt19937 random(7);
  Requests requests;
  for (uint32_t owner = 0; owner < 70; ++owner) {
    requests.Add(owner, {owner});
    RememberedRequest& r = requests.store.back();
    r.model = static_cast<uint16_t>(random() % 3), r.parameters = static_cast<uint16_t>(random() % 5), r.client = static_cast<uint16_t>(random() % 7);
  }
  const auto refs = requests.Refs();
  const Likeness fast = LikenessOf(refs);
  uint64_t pairs = 0, equal[ClientChoice::kFeatures] = {};
  for (size_t i = 0; i < refs.size(); ++i) {
    for (size_t j = i + 1; j < refs.size(); ++j) {
      ++pairs;
      const ClientChoice a = ChoiceOf(*refs[i].request), b = ChoiceOf(*refs[j].request);
      for (size_t f = 0; f < ClientChoice::kFeatures; ++f) equal[f] += a.values[f] == b.values[f];
    }
  }
  EXPECT_EQ(fast.pairs, pairs);
  for (size_t f = 0; f < ClientChoice::kFeatures; ++f) EXPECT_EQ(fast.equal_pairs[f], equal[f]) << f;
}

TEST(PublicCores, ChanceIsCountedInLargePopulationsToo) {
  // 60,000 owners, 1 in 500 pairs alike: 1,000 owners of a core have 999 equal pairs by chance.
  const Likeness population{.equal_pairs = {3'600'000, 0, 0}, .pairs = 1'799'970'000};
  EXPECT_FALSE(MoreAlike({.equal_pairs = {999, 0, 0}, .pairs = 499'500}, population, ClientChoice::kSettings, {}));
  EXPECT_FALSE(MoreAlike({.equal_pairs = {1'900, 0, 0}, .pairs = 499'500}, population, ClientChoice::kSettings, {}));
  EXPECT_TRUE(MoreAlike({.equal_pairs = {2'100, 0, 0}, .pairs = 499'500}, population, ClientChoice::kSettings, {}));
}

// --- Layers 3 and 5 as edges ------------------------------------------------------------------------------

// A look over hand-made accounts, one owner each.
// Of 1,000 owners of as many requests each.
uint64_t AmongOthers(uint64_t a, uint64_t b, uint64_t together) { return ExpectedAsAmongOthersQ8({a, a * 20}, {b, b * 20}, together, {1'000, 20'000}); }

TEST(PublicCores, TheLargestCampaignIsTiedAgainstOthers) {
  const Tunables tunables;
  // Independent use, and whatever is shared less than four times as often as among others: never tied.
  for (uint64_t k = 10; k < 900; k += 10) {
    EXPECT_FALSE(TiedAgainstOthers(k * k / 1'000, AmongOthers(k, k, k * k / 1'000), tunables)) << k;
  }
  EXPECT_FALSE(TiedAgainstOthers(180, AmongOthers(300, 300, 180), tunables));  // 60 % against 17 %: phrases of people with a subject
  // 48 in 50 of those who hold one hold the other, a fiftieth of the others holds it: a campaign of a quarter of all, or more.
  for (uint64_t k = 250; k <= 500; k += 50) {
    const uint64_t both = k * 24 / 25, others = (1'000 - k) / 50;
    EXPECT_TRUE(TiedAgainstOthers(both, AmongOthers(both + others, both + others, both), tunables)) << k;
  }
  // Few owners: that nobody else holds it is no proof.
  EXPECT_FALSE(TiedAgainstOthers(10, ExpectedAsAmongOthersQ8({10, 40}, {10, 40}, 10, {40, 160}), tunables));
  // Busy owners hold more: those who ask nine tenths of everything are expected to hold what others hold at times.
  EXPECT_FALSE(TiedAgainstOthers(200, ExpectedAsAmongOthersQ8({220, 18'000}, {220, 18'000}, 200, {1'000, 20'000}), tunables));
}

struct Accounts {
  std::vector<Profile> profiles;
  void Ask(uint32_t account, std::vector<uint32_t> fragments, uint8_t elicitation = 0) {
    while (profiles.size() <= account) {
      Profile& profile = profiles.emplace_back();
      profile.id.bytes[0] = static_cast<uint8_t>(profiles.size());
      profile.owner = profiles.size();
    }
    RememberedRequest r{};
    for (uint32_t f : fragments) r.fragments[r.fragments_count++] = f;
    r.text_hash = ++texts;
    r.time_s = 1000 + texts;
    r.elicitation = elicitation;
    Remember(&profiles[account], r);
  }
  // All links that the layer writes, by index of account.
  static std::set<std::pair<int, int>> Pairs(const std::vector<EdgeRecord>& edges) {
    std::set<std::pair<int, int>> pairs;
    for (const EdgeRecord& e : edges) pairs.insert({e.a.bytes[0] - 1, e.b.bytes[0] - 1});
    return pairs;
  }
  uint32_t texts = 0;
};

TEST(WorkLayer, OnePayloadUnderTwoPromptsLinksTwoAccounts) {
  Accounts crowd;
  // Twelve accounts, two prompts {10,11,12} and {20,21,22}; items 900+k come to account k under the first prompt and to
  // account k + 6 under the second. 50 + n and 70 + n: an account's own words.
  for (uint32_t k = 0; k < 6; ++k) {
    crowd.Ask(k, {10, 11, 12, 900 + 10 * k, 901 + 10 * k});
    crowd.Ask(k + 6, {20, 21, 22, 900 + 10 * k, 901 + 10 * k});
    crowd.Ask(k, {20, 21, 22, 50 + 2 * k, 51 + 2 * k});
    crowd.Ask(k + 6, {10, 11, 12, 70 + 2 * k, 71 + 2 * k});
  }
  const CoreLook look = LookAtCores(crowd.profiles, {.core_owner_share_max = 1});
  std::vector<uint32_t> bundle_of_core(look.cores.cores.size(), 0);
  const std::vector<EdgeRecord> edges = FindWorkEdges(look, bundle_of_core, {});
  std::set<std::pair<int, int>> expected;
  for (int k = 0; k < 6; ++k) expected.insert({k, k + 6});
  EXPECT_EQ(Accounts::Pairs(edges), expected);
  for (const EdgeRecord& edge : edges) {
    EXPECT_EQ(edge.layer, Layer::kWorkDivision);
    EXPECT_EQ(edge.count, 2u);
    EXPECT_EQ(edge.shared_cores, 2u);
    EXPECT_GT(edge.weight, 0);
    EXPECT_LT(edge.first_s, edge.last_s);
  }
  // The same payload under the same prompt is no crossing.
  Accounts same;
  for (uint32_t account = 0; account < 8; ++account) {
    same.Ask(account, {10, 11, 12, 900, 901});
    same.Ask(account, {10, 11, 12, 50 + 2 * account, 51 + 2 * account});
  }
  const CoreLook alike = LookAtCores(same.profiles, {.core_owner_share_max = 1});
  EXPECT_TRUE(FindWorkEdges(alike, std::vector<uint32_t>(alike.cores.cores.size(), 0), {}).empty());
}

TEST(ElicitationLayer, LinksThoseWhoAskInTheWordsOfOnePrompt) {
  const uint8_t asks = 60;  // 3.75 nats
  Accounts crowd;
  for (uint32_t account = 0; account < 5; ++account) crowd.Ask(account, {10, 11, 12, 900 + 2 * account, 901 + 2 * account}, asks);
  for (uint32_t account = 5; account < 10; ++account) crowd.Ask(account, {20, 21, 22, 900 + 2 * account, 901 + 2 * account});
  // A prompt with which one in five asks.
  for (uint32_t account = 10; account < 15; ++account) {
    crowd.Ask(account, {30, 31, 32, 900 + 2 * account, 901 + 2 * account}, account == 10 ? asks : 0);
  }
  const CoreLook look = LookAtCores(crowd.profiles, {.core_owner_share_max = 1});
  const std::vector<EdgeRecord> edges = FindElicitationEdges(look, {});
  std::set<std::pair<int, int>> expected;
  for (int a = 0; a < 5; ++a) {
    for (int b = a + 1; b < 5; ++b) expected.insert({a, b});  // fewer than edge_neighbours: everybody
  }
  EXPECT_EQ(Accounts::Pairs(edges), expected);
  for (const EdgeRecord& edge : edges) {
    EXPECT_EQ(edge.layer, Layer::kElicitation);
    EXPECT_EQ(edge.count, 2u) << "each pair once";
    EXPECT_EQ(edge.weight, 60 * 16);
  }
}

TEST(Elicitation, PhrasesCountOnceAndClassesAreCapped) {
  const ElicitationExpert expert(crowd::TokenOf);
  const auto judge = [&](std::vector<const char*> words) {
    std::vector<uint32_t> tokens;
    for (const char* word : words) tokens.push_back(crowd::TokenOf(word));
    return expert.Judge(tokens);
  };
  EXPECT_EQ(judge({"what", "is", "the", "capital", "of", "france"}).sixteenths, 0);
  const Elicitation steps = judge({"think", "step", "by", "step"});
  EXPECT_EQ(steps.classes, kAsksReasoning);
  EXPECT_EQ(judge({"step", "by", "step", "step", "by", "step"}).sixteenths, steps.sixteenths);
  EXPECT_EQ(judge({"step", "by"}).sixteenths, 0);
  const Elicitation both = judge({"give", "your", "reasoning", "step", "by", "step", "then", "score", "it", "with", "the", "rubric"});
  EXPECT_EQ(both.classes, kAsksReasoning | kAsksRubric);
  EXPECT_GE(both.sixteenths * 16, Nats(25));
  EXPECT_LT(steps.sixteenths * 16, Nats(25));  // asking for steps alone says nothing
}

}  // namespace
}  // namespace stillwatch::pipeline
