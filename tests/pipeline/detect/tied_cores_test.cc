// Which requests an account prefers to remember, against a plain set of the anchors.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "pipeline/evidence/tied_cores.h"

namespace stillwatch::pipeline {
namespace {

EdgeRecord Edge(Layer layer, std::vector<uint32_t> cores) {
  EdgeRecord edge;
  edge.layer = layer;
  for (uint32_t core : cores) edge.cores[edge.cores_count++] = core;
  return edge;
}

RememberedRequest With(std::vector<uint32_t> fragments) {
  RememberedRequest request{};
  for (uint32_t fragment : fragments) request.fragments[request.fragments_count++] = fragment;
  return request;
}

TEST(TiedCores, AreThoseOfTheTemplateEdgesOfTheLastLookOnly) {
  TiedCores tied;
  EXPECT_FALSE(tied.In(With({1, 2, 3})));
  const std::vector<EdgeRecord> first = {Edge(Layer::kTemplate, {1, 5}), Edge(Layer::kMigration, {2}), Edge(Layer::kTemplate, {5})};
  tied.Learn(first);
  EXPECT_EQ(tied.size(), 2u);
  EXPECT_TRUE(tied.In(With({9, 5})));
  EXPECT_FALSE(tied.In(With({2})));
  EXPECT_FALSE(tied.In(With({})));
  const std::vector<EdgeRecord> second = {Edge(Layer::kTemplate, {2})};
  tied.Learn(second);
  EXPECT_TRUE(tied.In(With({2})));
  EXPECT_FALSE(tied.In(With({1, 5})));
}

TEST(TiedCores, AnswerAsASetOfTheirAnchorsDoes) {
  std::mt19937 random(5);
  for (int round = 0; round < 30; ++round) {
    std::vector<EdgeRecord> edges;
    std::set<uint32_t> anchors;
    for (uint32_t i = random() % 200; i > 0; --i) {
      std::vector<uint32_t> cores;
      for (uint32_t k = random() % (kEdgeCores + 1); k > 0; --k) cores.push_back(random() % 1'000);
      anchors.insert(cores.begin(), cores.end());
      edges.push_back(Edge(Layer::kTemplate, cores));
    }
    TiedCores tied;
    tied.Learn(edges);
    ASSERT_EQ(tied.size(), anchors.size());
    for (int r = 0; r < 300; ++r) {
      std::vector<uint32_t> fragments;
      for (uint32_t k = random() % (kRequestFragments + 1); k > 0; --k) fragments.push_back(random() % 10'000);
      bool expected = false;
      for (uint32_t fragment : fragments) expected |= anchors.contains(fragment);
      ASSERT_EQ(tied.In(With(fragments)), expected);
    }
  }
}

}  // namespace
}  // namespace stillwatch::pipeline
