// Labels of a graph on the CPU: against a map of votes written anew, and against union-find.
#include "gpu/join/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "gpu/cpu/cpu_backend.h"
#include "gpu/window/window.h"
#include "tests/gpu/graphs.h"

namespace stillwatch::gpu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// One step of label propagation, by a map.
std::vector<uint32_t> SlowStep(const Graph& graph, uint32_t weight_min) {
  std::vector<uint32_t> next;
  for (uint32_t node = 0; node < graph.nodes(); ++node) {
    std::map<uint32_t, uint64_t> votes;
    uint64_t own = 0;
    for (uint32_t edge = graph.offsets[node]; edge < graph.offsets[node + 1]; ++edge) {
      if (graph.weights[edge] < weight_min) continue;
      votes[graph.labels[graph.neighbours[edge]]] += graph.weights[edge];
      own = std::max<uint64_t>(own, graph.weights[edge]);
    }
    votes[graph.labels[node]] += own;
    auto best = votes.begin();  // labels rise: the first with most votes is the least
    for (auto at = votes.begin(); at != votes.end(); ++at) {
      if (at->second > best->second) best = at;
    }
    next.push_back(best->first);
  }
  return next;
}

std::vector<uint32_t> Components(const Graph& graph, uint32_t weight_min) {
  std::vector<uint32_t> parent(graph.nodes());
  std::iota(parent.begin(), parent.end(), 0u);
  const auto find = [&](uint32_t node) {
    while (parent[node] != node) node = parent[node];
    return node;
  };
  for (uint32_t node = 0; node < graph.nodes(); ++node) {
    for (uint32_t edge = graph.offsets[node]; edge < graph.offsets[node + 1]; ++edge) {
      if (graph.weights[edge] < weight_min) continue;
      const uint32_t a = find(node), b = find(graph.neighbours[edge]);
      parent[std::max(a, b)] = std::min(a, b);
    }
  }
  for (uint32_t node = 0; node < graph.nodes(); ++node) parent[node] = find(node);
  return parent;
}

TEST(Labels, PropagationEqualsAMapOfVotes) {
  std::mt19937_64 random(1);
  LabelStepper stepper(300);
  for (int i = 0; i < 60; ++i) {
    const uint32_t nodes = 1 + static_cast<uint32_t>(random() % 300);
    Graph graph = RandomGraph(random, nodes, static_cast<uint32_t>(random() % 1000),
                              i % 3 == 0 ? 1 : i % 3 == 1 ? 4 : 100'000);
    for (uint32_t step = 0; step < 5; ++step) {
      const uint32_t weight_min = step % 3;
      const std::vector<uint32_t> expected = SlowStep(graph, weight_min);
      ASSERT_TRUE(stepper.Run(graph.view(), LabelRule::kPropagate, weight_min, 1, graph.labels).ok());
      ASSERT_EQ(graph.labels, expected);
    }
  }
}

TEST(Labels, ComponentsEqualUnionFind) {
  std::mt19937_64 random(2);
  LabelStepper stepper(2'000);
  for (int i = 0; i < 40; ++i) {
    const uint32_t nodes = 1 + static_cast<uint32_t>(random() % 2'000);
    Graph graph = RandomGraph(random, nodes, nodes / 2 + static_cast<uint32_t>(random() % nodes), 3);
    const uint32_t weight_min = i % 4;
    const std::vector<uint32_t> expected = Components(graph, weight_min);
    const auto steps = stepper.Run(graph.view(), LabelRule::kComponents, weight_min, 10'000, graph.labels);
    ASSERT_TRUE(steps.ok());
    EXPECT_LT(steps.value(), 100u);
    ASSERT_EQ(graph.labels, expected);
  }
}

// A label jumps to its label's label, so a chain takes steps by its length's logarithm.
TEST(Labels, ALongChainTakesFewSteps) {
  std::vector<Edge> edges;
  for (uint32_t i = 0; i + 1 < 1'000; ++i) edges.emplace_back(i, i + 1, 1);
  Graph graph = GraphOf(1'000, edges);
  LabelStepper stepper(1'000);
  const auto steps = stepper.Run(graph.view(), LabelRule::kComponents, 0, 1'000, graph.labels);
  ASSERT_TRUE(steps.ok());
  EXPECT_LE(steps.value(), 13u);
  EXPECT_EQ(graph.labels, std::vector<uint32_t>(1'000, 0));
}

// Two groups of four, each tied closely, and one loose edge between them.
TEST(Labels, PropagationKeepsWhatALooseEdgeJoins) {
  std::vector<Edge> edges = {{3, 4, 1}};
  for (const uint32_t first : {0u, 4u}) {
    for (uint32_t a = 0; a < 4; ++a) {
      for (uint32_t b = a + 1; b < 4; ++b) edges.emplace_back(first + a, first + b, 5);
    }
  }
  Graph graph = GraphOf(8, edges);
  LabelStepper stepper(8);
  const auto steps = stepper.Run(graph.view(), LabelRule::kPropagate, 0, 50, graph.labels);
  ASSERT_TRUE(steps.ok());
  EXPECT_LT(steps.value(), 50u) << "it comes to rest";
  EXPECT_THAT(graph.labels, ElementsAre(0, 0, 0, 0, 4, 4, 4, 4));
}

TEST(Labels, TwoNodesDoNotSwapForEver) {
  Graph graph = GraphOf(2, {{0, 1, 7}});
  LabelStepper stepper(2);
  const auto steps = stepper.Run(graph.view(), LabelRule::kPropagate, 0, 50, graph.labels);
  EXPECT_EQ(steps.value(), 2u);
  EXPECT_THAT(graph.labels, ElementsAre(0, 0));
}

TEST(Labels, RefusesWhatIsNoGraph) {
  BackendOptions options;
  options.window_bytes = LshWindow::BytesMin();
  options.representatives_max = 64;
  options.graph_nodes_max = 5;
  options.graph_edges_max = 8;
  auto made = MakeCpuBackend(options);
  ASSERT_TRUE(made.ok());
  const auto message = [&](const Graph& graph) {
    std::vector<uint32_t> labels = graph.labels;
    const auto steps = made.value()->PropagateLabels(graph.view(), LabelRule::kPropagate, 0, 9, labels);
    if (!steps.ok()) EXPECT_EQ(labels, graph.labels);
    return steps.ok() ? "" : steps.message();
  };
  const Graph good = GraphOf(5, {{0, 1, 1}, {1, 2, 2}, {3, 4, 1}});
  EXPECT_EQ(message(good), "");
  EXPECT_THAT(message(GraphOf(6, {})), HasSubstr("graph_nodes_max is 5"));
  EXPECT_THAT(message(Wheel(4)), HasSubstr("graph_edges_max is 8"));
  Graph bad = good;
  bad.neighbours[2] = 5;
  EXPECT_THAT(message(bad), HasSubstr("node 1 has a neighbour that is no node"));
  bad = good;
  bad.labels[4] = 5;
  EXPECT_THAT(message(bad), HasSubstr("node 4 has a label that is no node"));
  bad = good;
  bad.offsets[1] = 4;
  EXPECT_THAT(message(bad), HasSubstr("node 1 has offsets out of order"));
  bad = good;
  bad.weights[0] = 0x80000000u;
  EXPECT_THAT(message(bad), HasSubstr("node 0 has weights of 2^31"));
  bad = good;
  bad.weights.pop_back();
  EXPECT_THAT(message(bad), HasSubstr("do not agree"));
  bad = good;
  bad.offsets.clear();
  EXPECT_THAT(message(bad), HasSubstr("do not agree"));
}

}  // namespace
}  // namespace stillwatch::gpu
