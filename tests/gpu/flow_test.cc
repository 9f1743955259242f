// Flow embeddings: every kernel that this machine runs, chosen by taking features away, against the
// plain loop; the plain loop against golden vectors of tests/gpu/golden_flow.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "base/bytes.h"
#include "gpu/cpu/cpu_backend.h"
#include "gpu/flow/flow_embedding.h"
#include "gpu/window/window.h"
#include "tests/gpu/features.h"
#include "tests/gpu/flows.h"

namespace stillwatch::gpu {
namespace {

std::vector<FlowEmbedding> Embed(const FlowKernel& kernel, const Flows& flows, Salt salt) {
  const FlowFilters filters = MakeFlowFilters(salt);
  const FlowBatch batch = flows.batch();
  std::vector<FlowEmbedding> out(flows.size());
  std::memset(static_cast<void*>(out.data()), 0x55, out.size() * sizeof(FlowEmbedding));
  for (size_t i = 0; i < flows.size(); ++i) {
    const size_t row = batch.instruction_offsets[i], rows = batch.instruction_offsets[i + 1] - row;
    EmbedFlow(filters, kernel.convolve,
              batch.steps.subspan(batch.step_offsets[i],
                                  batch.step_offsets[i + 1] - batch.step_offsets[i]),
              batch.instructions.subspan(row * kEmbeddingDims, rows * kEmbeddingDims), &out[i]);
  }
  return out;
}

TEST(FlowEmbedding, EveryKernelOfThisMachineEqualsThePlainLoop) {
  std::set<std::string> ran;
  for (const CpuFeatures& features : FeatureSubsets()) {
    const FlowKernel kernel = FlowKernelFor(features);
    ran.insert(kernel.name);
    EXPECT_EQ(kernel.name, LevelOf(features));
    for (const uint64_t seed : {1u, 2u}) {
      Flows flows = AwkwardFlows(seed);
      std::mt19937_64 random(seed);
      for (int i = 0; i < 200; ++i) {
        flows.Add(RandomSteps(random, random() % 300), RandomInstructions(random, random() % 3));
      }
      const auto expected = Embed(FlowKernelFor({}), flows, Salt{seed});
      const auto got = Embed(kernel, flows, Salt{seed});
      for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_EQ(std::memcmp(&expected[i], &got[i], sizeof got[i]), 0) << kernel.name << ", flow " << i;
      }
    }
  }
  EXPECT_EQ(ran, LevelsOfThisCpu());
}

TEST(FlowEmbedding, GoldenVectorsOfBothBackends) {
  BackendOptions options;
  options.window_bytes = LshWindow::BytesMin();
  options.representatives_max = 64;
  auto scalar = MakeScalarBackend(options);
  auto fast = MakeCpuBackend(options);
  ASSERT_TRUE(scalar.ok() && fast.ok());
  for (Backend* backend : {scalar.value().get(), fast.value().get()}) {
    std::ifstream file(STILLWATCH_SOURCE_DIR "/tests/data/gpu/flow_golden.txt");
    ASSERT_TRUE(file.good());
    std::string line, kind, name, value;
    size_t seen = 0;
    Flows flows;
    FlowEmbedding out;
    while (std::getline(file, line)) {
      std::istringstream in(line);
      in >> kind;
      if (kind == "flow") {
        uint64_t state;
        uint32_t steps, rows;
        in >> name >> state >> steps >> rows;
        const auto next = [&] {
          state = state * 6364136223846793005u + 1442695040888963407u;
          return static_cast<uint32_t>(state >> 32);
        };
        std::vector<FlowStep> list(steps);
        for (FlowStep& step : list) {
          step.size_bytes = next();
          step.size_bytes >>= next() % 32;
          step.gap_us = next();
          step.gap_us >>= next() % 32;
          step.from_client = next() % 2;
        }
        std::vector<int8_t> values(size_t{rows} * kEmbeddingDims);
        for (int8_t& one : values) one = static_cast<int8_t>(next() >> 24);
        flows = Flows();
        flows.Add(list, values);
        ASSERT_TRUE(backend->EmbedFlows(flows.batch(), std::span(&out, 1)).ok());
      } else if (kind == "content" || kind == "shape") {
        in >> value;
        const int8_t* half = kind == "content" ? out.content : out.shape;
        EXPECT_EQ(HexOf(Bytes(reinterpret_cast<const uint8_t*>(half), kEmbeddingDims)), value)
            << name << " " << kind;
        ++seen;
      }
    }
    EXPECT_EQ(seen, 18u);
    EXPECT_EQ(backend->Counters()->Get(GpuCounter::kFlowsEmbedded), 9u);
  }
}

TEST(FlowEmbedding, FarRecordsDoNotCount) {
  std::mt19937_64 random(5);
  std::vector<FlowStep> steps = RandomSteps(random, 300);
  Flows flows;
  flows.Add(steps);
  steps[255].size_bytes ^= 0x40000000u;  // the last that is looked at
  steps[255].from_client ^= 1;
  flows.Add(steps);
  steps.resize(256);
  flows.Add(steps);
  const auto out = Embed(FlowKernelFor(FeaturesOfThisCpu()), flows, Salt{});
  EXPECT_NE(std::memcmp(&out[0], &out[1], sizeof out[0]), 0);
  EXPECT_EQ(std::memcmp(&out[1], &out[2], sizeof out[0]), 0);
}

TEST(FlowEmbedding, AFlowIsLikeItselfWithOtherGapsAndUnlikeAnother) {
  std::mt19937_64 random(6);
  const auto stream = [&](uint32_t size, uint32_t gap) {
    std::vector<FlowStep> steps = {{1800, 0, 1, {}}};
    for (int i = 0; i < 150; ++i) {
      steps.push_back({size + static_cast<uint32_t>(random() % 30),
                       gap + static_cast<uint32_t>(random() % gap), 0, {}});
    }
    return steps;
  };
  Flows flows;
  flows.Add(stream(90, 20'000));  // tokens that trickle
  flows.Add(stream(90, 20'000));
  flows.Add(stream(16'000, 50));  // a file
  const auto out = Embed(FlowKernelFor(FeaturesOfThisCpu()), flows, Salt{});
  const auto distance = [&](size_t a, size_t b) {
    int sum = 0;
    for (uint32_t d = 0; d < kEmbeddingDims; ++d) {
      const int difference = out[a].shape[d] - out[b].shape[d];
      sum += difference * difference;
    }
    return sum;
  };
  EXPECT_LT(10 * distance(0, 1), distance(0, 2));
}

TEST(FlowEmbedding, RefusesWhatDoesNotAgree) {
  BackendOptions options;
  options.window_bytes = LshWindow::BytesMin();
  options.representatives_max = 64;
  auto backend = MakeCpuBackend(options);
  ASSERT_TRUE(backend.ok());
  Flows flows = AwkwardFlows(1);
  std::vector<FlowEmbedding> out(flows.size());
  EXPECT_TRUE(backend.value()->EmbedFlows(flows.batch(), out).ok());
  EXPECT_THAT(backend.value()->EmbedFlows(flows.batch(), std::span(out).first(3)).message(),
              testing::HasSubstr("do not agree"));
  flows.step_offsets[4] = 100'000;
  EXPECT_THAT(backend.value()->EmbedFlows(flows.batch(), out).message(),
              testing::HasSubstr("steps of flow 3 are out of order"));
  Flows many;
  many.Add({}, std::vector<int8_t>(kEmbeddingDims * (kFlowInstructionsMax + 1)));
  EXPECT_THAT(backend.value()->EmbedFlows(many.batch(), std::span(out).first(1)).message(),
              testing::HasSubstr("has 4097 instructions"));
  EXPECT_EQ(backend.value()->Counters()->Get(GpuCounter::kFlowsEmbedded), out.size());
}

}  // namespace
}  // namespace stillwatch::gpu
