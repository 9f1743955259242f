// Evidence layers against slow oracles, and the integer arithmetic against golden values made with a plain
// Python (math.log2, math.log, math.exp).
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "base/hash.h"
#include "pipeline/evidence/core_finder.h"
#include "pipeline/evidence/elicitation.h"
#include "pipeline/evidence/fixed_point.h"
#include "pipeline/evidence/fragment_table.h"
#include "pipeline/evidence/instruction.h"
#include "pipeline/evidence/label_propagation.h"
#include "pipeline/evidence/work_division.h"
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

TEST(WorkDivision, ADealerIsSeenAndAClassIsNot) {
  std::mt19937 random(2);
  EXPECT_GE(MeasureWorkDivision(Items(&random, 40, 8, 1'000'000, false), {}).nats, Nats(46));
  EXPECT_EQ(MeasureWorkDivision(Items(&random, 40, 8, 12, false), {}).nats, 0);  // a dozen payloads
  EXPECT_EQ(MeasureWorkDivision(Items(&random, 4, 4, 1'000'000, false), {}).nats, 0);  // too few to say
}

TEST(WorkDivision, PeopleWithSubjectsOfTheirOwnAreNoDealer) {
  std::mt19937 random(3);
  const WorkDivision people = MeasureWorkDivision(Items(&random, 40, 8, 1'000'000, true), {});
  EXPECT_TRUE(people.people);
  EXPECT_EQ(people.nats, 0);
  // Permutation oracle: the same items dealt to owners at random lose their continuity.
  auto dealt = Items(&random, 40, 8, 1'000'000, true);
  std::vector<uint32_t> owners;
  for (const WorkItem& item : dealt) owners.push_back(item.owner);
  std::shuffle(owners.begin(), owners.end(), random);
  for (size_t i = 0; i < dealt.size(); ++i) dealt[i].owner = owners[i];
  EXPECT_FALSE(MeasureWorkDivision(dealt, {}).people);
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
