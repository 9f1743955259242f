// EmbedFlows', AllPairsChunk's, ComponentStep's and LabelStep's PTX against the plain CPU loops.
#include <gmock/gmock.h>

#include <cstring>
#include <random>

#include "gpu/cuda/bulk_launch.h"
#include "gpu/join/representatives.h"
#include "tests/gpu/flows.h"
#include "tests/gpu/graphs.h"
#include "tests/ptx/device_code.h"

namespace stillwatch::gpu {
namespace {

using ptx::LoadKernels;
using ptx::Module;
using testing::AnyOf;
using testing::HasSubstr;

constexpr const char* kArchs[] = {"80", "90", "90a", "100"};

ptx::Report LaunchFlows(const Module& module, Flows flows, uint32_t seed, std::vector<FlowEmbedding>* out) {
  FlowFilters filters = MakeFlowFilters(Salt{7});
  out->resize(flows.size());
  std::memset(static_cast<void*>(out->data()), 0x55, out->size() * sizeof(FlowEmbedding));
  ptx::Memory memory;
  const auto map = [&](const char* name, auto& values) {
    return memory.Map(name, values.data(), values.size() * sizeof values[0], false);
  };
  const uint64_t filters_at = memory.Map("filters", &filters, sizeof filters, false),
                 steps_at = map("steps", flows.steps), offsets_at = map("offsets", flows.step_offsets),
                 rows_at = map("rows", flows.instructions),
                 row_offsets_at = map("row offsets", flows.instruction_offsets),
                 out_at = memory.Map("out", out->data(), out->size() * sizeof(FlowEmbedding));
  const void* const arguments[] = {&filters_at, &steps_at, &offsets_at, &rows_at, &row_offsets_at, &out_at};
  return module.Launch("EmbedFlows", {static_cast<uint32_t>(flows.size()), 1}, {kFlowThreads, 1},
                       arguments, memory, {.seed = seed});
}

void ExpectFlowsEqual(const Module& module, const Flows& flows, uint32_t seed) {
  const FlowFilters filters = MakeFlowFilters(Salt{7});
  const FlowBatch batch = flows.batch();
  std::vector<FlowEmbedding> got;
  const ptx::Report report = LaunchFlows(module, flows, seed, &got);
  ASSERT_TRUE(report.ok()) << report.error;
  for (size_t i = 0; i < got.size(); ++i) {
    FlowEmbedding expected;
    const size_t row = batch.instruction_offsets[i], rows = batch.instruction_offsets[i + 1] - row;
    EmbedFlow(filters, FlowKernelFor({}).convolve,
              batch.steps.subspan(batch.step_offsets[i],
                                  batch.step_offsets[i + 1] - batch.step_offsets[i]),
              batch.instructions.subspan(row * kEmbeddingDims, rows * kEmbeddingDims), &expected);
    ASSERT_EQ(std::memcmp(&expected, &got[i], sizeof expected), 0) << "flow " << i << ", seed " << seed;
  }
}

TEST(FlowKernel, EveryArchitectureInAnyOrder) {
  std::mt19937_64 random(1);
  for (const char* arch : kArchs) {
    const Module module = LoadKernels(arch);
    for (const uint32_t seed : {0u, 1u, 2u}) {
      Flows flows;
      for (int i = 0; i < 20; ++i) {
        flows.Add(RandomSteps(random, random() % 300), RandomInstructions(random, random() % 5));
      }
      ExpectFlowsEqual(module, flows, seed);
    }
  }
}

TEST(FlowKernel, AwkwardFlows) {
  ExpectFlowsEqual(LoadKernels("80"), AwkwardFlows(3), 0);
  ExpectFlowsEqual(LoadKernels("100"), AwkwardFlows(4), 9);
}

ptx::Report LaunchPairs(const Module& module, std::vector<int8_t> rows, uint32_t first, uint32_t count,
                        uint32_t k, int32_t threshold, uint32_t seed,
                        std::vector<RepresentativeMatch>* out) {
  const uint32_t row_count = static_cast<uint32_t>(rows.size() / kEmbeddingDims);
  const uint32_t chunks = (row_count + kTopKChunkRows - 1) / kTopKChunkRows, list_keys = chunks * k;
  std::vector<uint64_t> lists(size_t{count} * list_keys, 0x1234567812345678ull);
  out->resize(size_t{count} * k);
  ptx::Memory memory;
  const uint64_t rows_at = memory.Map("rows", rows.data(), rows.size(), false),
                 lists_at = memory.Map("lists", lists.data(), lists.size() * 8),
                 out_at = memory.Map("matches", out->data(), out->size() * sizeof(RepresentativeMatch));
  const void* const tile[] = {&rows_at, &row_count, &first, &count, &k, &threshold, &lists_at};
  const ptx::Report report =
      module.Launch("AllPairsChunk", {(count + kTopKQueries - 1) / kTopKQueries, chunks},
                    {kTopKThreads, 1}, tile, memory, {.seed = seed});
  if (!report.ok()) return report;
  const void* const merge[] = {&lists_at, &count, &list_keys, &k, &out_at};
  return module.Launch("MergeTopK", {(count + 3) / 4, 1}, {kMergeThreads, 1}, merge, memory, {.seed = seed});
}

std::vector<int8_t> Values(std::mt19937_64& random, size_t rows, int range) {
  std::vector<int8_t> values(rows * kEmbeddingDims);
  for (int8_t& value : values) {
    value = static_cast<int8_t>(static_cast<int>(random() % (2 * range)) - range);
  }
  return values;
}

// How many matches differ from the CPU's.
uint32_t DifferentPairs(const Module& module, const std::vector<int8_t>& rows, uint32_t first,
                        uint32_t count, uint32_t k, int32_t threshold, uint32_t seed) {
  auto plain = Representatives::Make(static_cast<uint32_t>(rows.size() / kEmbeddingDims), ScalarDotKernel());
  std::vector<RepresentativeMatch> expected(rows.size() / kEmbeddingDims * k), got;
  EXPECT_TRUE(plain.ok() && plain.value().AllPairs(rows, k, threshold, expected).ok());
  const ptx::Report report = LaunchPairs(module, rows, first, count, k, threshold, seed, &got);
  EXPECT_TRUE(report.ok()) << report.error;
  uint32_t different = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const RepresentativeMatch& other = expected[size_t{first} * k + i];
    different += got[i].representative != other.representative || got[i].dot != other.dot;
  }
  return different;
}

TEST(AllPairsKernel, EveryArchitectureInAnyOrder) {
  std::mt19937_64 random(2);
  for (const char* arch : kArchs) {
    const Module module = LoadKernels(arch);
    for (const uint32_t seed : {0u, 1u, 2u}) {
      EXPECT_EQ(DifferentPairs(module, Values(random, 200, 128), 0, 200, 16, 20'000, seed), 0u);
    }
  }
}

// A part of the rows, equal dots, thresholds that nothing, something and all is above; extremes.
TEST(AllPairsKernel, PartsTiesAndThresholds) {
  std::mt19937_64 random(3);
  const Module module = LoadKernels("80");
  for (const uint32_t rows : {1u, 2u, 33u, 130u}) {
    for (const int32_t threshold : {INT32_MIN, 0, INT32_MAX}) {
      const uint32_t first = rows / 2;
      EXPECT_EQ(DifferentPairs(module, Values(random, rows, 1), first, rows - first, 64, threshold, rows), 0u);
    }
  }
  const std::vector<int8_t> low(kEmbeddingDims * 70, -128);
  for (const int32_t threshold : {128 * 16'384 - 1, 128 * 16'384}) {
    EXPECT_EQ(DifferentPairs(module, low, 3, 60, 5, threshold, 0), 0u);
  }
}

ptx::Report LaunchLabels(const Module& module, const char* kernel, Graph graph, uint32_t weight_min,
                         uint32_t seed, std::vector<uint32_t>* next, uint32_t* changed) {
  std::vector<VoteSlot> slots(2 * (graph.neighbours.size() + graph.nodes()));
  next->assign(graph.nodes(), 0x55555555u);
  *changed = 0;
  ptx::Memory memory;
  const auto map = [&](const char* name, auto& values, bool writable) {
    using Value = std::remove_reference_t<decltype(values[0])>;
    return reinterpret_cast<Value*>(memory.Map(name, values.data(), values.size() * sizeof(Value), writable));
  };
  LabelArguments arguments = {};
  arguments.offsets = map("offsets", graph.offsets, false);
  arguments.neighbours = map("neighbours", graph.neighbours, false);
  arguments.weights = map("weights", graph.weights, false);
  arguments.labels = map("labels", graph.labels, false);
  arguments.next = map("next", *next, true);
  arguments.slots = map("slots", slots, true);
  arguments.changed = reinterpret_cast<uint32_t*>(memory.Map("changed", changed, sizeof *changed));
  arguments.nodes = graph.nodes();
  arguments.weight_min = weight_min;
  const void* const words[] = {&arguments};
  return module.Launch(kernel, {(graph.nodes() + 3) / 4, 1}, {kLabelThreads, 1}, words, memory, {.seed = seed});
}

void ExpectLabelsEqual(const Module& module, LabelRule rule, const Graph& graph, uint32_t weight_min,
                       uint32_t seed) {
  std::vector<uint32_t> expected = graph.labels, got;
  LabelStepper stepper(graph.nodes());
  ASSERT_TRUE(stepper.Run(graph.view(), rule, weight_min, 1, expected).ok());
  uint32_t changed, changes = 0;
  const ptx::Report report =
      LaunchLabels(module, rule == LabelRule::kComponents ? "ComponentStep" : "LabelStep", graph,
                   weight_min, seed, &got, &changed);
  ASSERT_TRUE(report.ok()) << report.error;
  ASSERT_EQ(got, expected) << "seed " << seed;
  for (uint32_t node = 0; node < graph.nodes(); ++node) changes += got[node] != graph.labels[node];
  EXPECT_EQ(changed, changes);
}

TEST(LabelKernels, EveryArchitectureInAnyOrder) {
  std::mt19937_64 random(4);
  for (const char* arch : kArchs) {
    const Module module = LoadKernels(arch);
    for (const uint32_t seed : {0u, 1u, 2u}) {
      for (const LabelRule rule : {LabelRule::kComponents, LabelRule::kPropagate}) {
        Graph graph = RandomGraph(random, 61, 400, 3);
        ExpectLabelsEqual(module, rule, graph, 0, seed);
        for (uint32_t& label : graph.labels) label = static_cast<uint32_t>(random() % 8);
        ExpectLabelsEqual(module, rule, graph, 2, seed);
      }
    }
  }
}

// No edge, one node, a hub beyond the table in shared memory at every size around it, a hub whose
// neighbours all have one label or each its own, weights of 0 and as large as they may be.
TEST(LabelKernels, AwkwardGraphs) {
  std::mt19937_64 random(5);
  const Module module = LoadKernels("80");
  for (const LabelRule rule : {LabelRule::kComponents, LabelRule::kPropagate}) {
    ExpectLabelsEqual(module, rule, GraphOf(1, {}), 0, 0);
    ExpectLabelsEqual(module, rule, GraphOf(7, {}), 1, 1);
    ExpectLabelsEqual(module, rule, GraphOf(2, {{0, 1, 0}}), 0, 2);
    ExpectLabelsEqual(module, rule, GraphOf(2, {{0, 1, 0x7fffffffu}}), 0, 0);
    for (const uint32_t rim : {30u, 62u, 63u, 64u, 65u, 500u}) {
      Graph graph = Wheel(rim);
      ExpectLabelsEqual(module, rule, graph, 0, rim);
      ExpectLabelsEqual(module, rule, graph, 2, rim);
      std::fill(graph.labels.begin(), graph.labels.end(), rim);
      ExpectLabelsEqual(module, rule, graph, 0, 0);
    }
  }
}

TEST(BulkKernels, AMissingBarrierIsCaught) {
  std::mt19937_64 random(6);
  const Module module = LoadKernels("BULK_MISSING_BARRIER");
  for (const uint32_t seed : {0u, 1u, 2u, 3u}) {
    Flows flows;
    flows.Add(RandomSteps(random, 200));
    std::vector<FlowEmbedding> out;
    EXPECT_THAT(LaunchFlows(module, flows, seed, &out).error,
                AnyOf(HasSubstr("shared-memory race"), HasSubstr("uninitialised shared")));
    std::vector<uint32_t> next;
    uint32_t changed;
    EXPECT_THAT(LaunchLabels(module, "LabelStep", Wheel(20), 0, seed, &next, &changed).error,
                HasSubstr("shared-memory race"));
  }
}

// A record too many, a neighbour for oneself, an edge too many.
TEST(BulkKernels, AnOffByOneIsCaught) {
  std::mt19937_64 random(7);
  const Module module = LoadKernels("BULK_OFF_BY_ONE");
  Flows flows;
  for (int i = 0; i < 20; ++i) flows.Add(RandomSteps(random, 50));
  std::vector<FlowEmbedding> wrong, right;
  ASSERT_EQ(LaunchFlows(module, flows, 0, &wrong).error, "");
  ASSERT_EQ(LaunchFlows(LoadKernels("80"), flows, 0, &right).error, "");
  EXPECT_NE(std::memcmp(wrong.data(), right.data(), wrong.size() * sizeof wrong[0]), 0);
  EXPECT_GT(DifferentPairs(module, Values(random, 60, 128), 0, 60, 4, 0, 0), 50u);
  for (const char* kernel : {"ComponentStep", "LabelStep"}) {
    std::vector<uint32_t> next;
    uint32_t changed;
    EXPECT_THAT(LaunchLabels(module, kernel, GraphOf(2, {{0, 1, 1}}), 0, 0, &next, &changed).error,
                HasSubstr("buffer 'weights', which has 8")) << kernel;
  }
}

}  // namespace
}  // namespace stillwatch::gpu
