// The CUDA backend with the kernels' PTX in the place of a GPU: equal to the CPU, and still equal
// when the device fails at any operation.
#include <gmock/gmock.h>

#include <cstring>
#include <fstream>
#include <random>

#include "gpu/cpu/cpu_backend.h"
#include "gpu/cuda/cuda_backend.h"
#include "gpu/cuda/proof.h"
#include "gpu/window/window.h"
#include "tests/gpu/flows.h"
#include "tests/gpu/graphs.h"
#include "tests/gpu/texts.h"
#include "tests/ptx/device_code.h"
#include "tests/ptx/ptx_device.h"

namespace stillwatch::gpu {
namespace {

using ptx::DeviceScript;
using ptx::PtxDevice;
using testing::HasSubstr;

const ptx::Module& Kernels() {
  static const ptx::Module module = ptx::LoadKernels("80");
  return module;
}

BackendOptions Options() {
  BackendOptions options;
  options.salt = Salt{11};
  options.window_bytes = LshWindow::BytesMin();
  options.representatives_max = 500;
  options.pairs_rows_max = 50;
  options.graph_nodes_max = 40;
  options.graph_edges_max = 200;
  return options;
}

Result<std::unique_ptr<Backend>> MakeOn(DeviceScript* script,
                                        const BackendOptions& options = Options()) {
  return MakeCudaBackend(options, std::make_unique<PtxDevice>(&Kernels(), script));
}

// Flows, accounts, labels and three batches of texts, all that a backend is asked; everything it answered, as bytes.
std::string Answers(Backend& backend) {
  std::mt19937_64 random(1);
  std::string answers;
  const auto note = [&](const void* data, size_t bytes) {
    answers.append(static_cast<const char*>(data), bytes);
  };
  Flows flows;
  for (int i = 0; i < 5; ++i) flows.Add(RandomSteps(random, i * 60), RandomInstructions(random, i % 3));
  std::vector<FlowEmbedding> embeddings(flows.size());
  EXPECT_TRUE(backend.EmbedFlows(flows.batch(), embeddings).ok());
  note(embeddings.data(), embeddings.size() * sizeof(FlowEmbedding));
  const std::vector<int8_t> accounts = RandomInstructions(random, 20);
  std::vector<RepresentativeMatch> pairs(20 * 3);
  EXPECT_TRUE(backend.AllPairs(accounts, 3, 10, pairs).ok());
  note(pairs.data(), pairs.size() * sizeof(RepresentativeMatch));
  for (const LabelRule rule : {LabelRule::kComponents, LabelRule::kPropagate}) {
    Graph graph = RandomGraph(random, 40, 60, 3);
    const auto steps = backend.PropagateLabels(graph.view(), rule, 1, 3, graph.labels);
    EXPECT_TRUE(steps.ok());
    note(graph.labels.data(), graph.labels.size() * sizeof(uint32_t));
  }
  for (int batch = 0; batch < 3; ++batch) {
    Texts texts;
    const std::vector<uint32_t> core = RandomText(random, 30);
    texts.Add({});
    for (int i = 0; i < 20; ++i) {
      std::vector<uint32_t> text = i % 3 == 0 ? core : RandomText(random, 1 + random() % 60);
      text.push_back(static_cast<uint32_t>(random()));
      texts.Add(text, i % 5 == 0 ? 3 : 0);
    }
    std::vector<Sketch> sketches(texts.batch().rows());
    EXPECT_TRUE(backend.ComputeSketches(texts.batch(), sketches).ok());
    note(sketches.data(), sketches.size() * sizeof(Sketch));
    std::vector<uint64_t> ids(sketches.size());
    for (uint64_t& id : ids) id = random();
    std::vector<Candidate> candidates;
    EXPECT_TRUE(backend.ProbeAndInsert(sketches, ids, &candidates).ok());
    EXPECT_FALSE(candidates.empty());
    for (const Candidate& c : candidates) {  // not its padding
      const uint64_t fields[] = {c.row, c.id, c.bands_shared, c.oph_equal, c.simhash_distance};
      note(fields, sizeof fields);
    }
    std::vector<int8_t> rows;
    for (const Sketch& sketch : sketches)
      rows.insert(rows.end(), sketch.embedding, sketch.embedding + kEmbeddingDims);
    EXPECT_TRUE(backend.SetRepresentatives(rows).ok());
    std::vector<RepresentativeMatch> matches(sketches.size() * 5);
    EXPECT_TRUE(backend.TopK(rows, 5, matches).ok());
    note(matches.data(), matches.size() * sizeof(RepresentativeMatch));
    backend.AdvanceEpoch();
  }
  return answers;
}

std::string CpuAnswers() {
  auto cpu = MakeScalarBackend(Options());
  EXPECT_TRUE(cpu.ok());
  return Answers(*cpu.value());
}

uint64_t CounterOf(const Backend& backend, GpuCounter counter) {
  return backend.Counters()->Get(counter);
}

TEST(CudaBackend, EqualsTheCpu) {
  DeviceScript script;
  auto made = MakeOn(&script);
  ASSERT_TRUE(made.ok()) << made.message();
  EXPECT_TRUE(Answers(*made.value()) == CpuAnswers());
  EXPECT_EQ(script.fault, "");
  EXPECT_GT(script.warp_instructions, 10'000u) << "the kernels did the work";
  EXPECT_EQ(made.value()->Info().name, "cuda (PTX on the CPU)");
  EXPECT_FALSE(made.value()->Info().degraded);
  auto cpu = MakeScalarBackend(Options());
  Answers(*cpu.value());
  for (int i = 0; i < static_cast<int>(GpuCounter::kCount); ++i) {
    EXPECT_EQ(CounterOf(*made.value(), static_cast<GpuCounter>(i)),
              CounterOf(*cpu.value(), static_cast<GpuCounter>(i)))
        << kGpuCounterNames[static_cast<size_t>(i)];
  }
}

TEST(CudaBackend, AFailureAtAnyOperationChangesNoAnswer) {
  const std::string expected = CpuAnswers();
  DeviceScript whole;
  uint64_t first;
  {
    auto made = MakeOn(&whole);
    ASSERT_TRUE(made.ok());
    first = whole.operations;
    Answers(*made.value());
  }
  ASSERT_GT(whole.operations, first + 15);
  EXPECT_EQ(whole.graphs_run, 2u) << "the second batch of a size records its sorts, the third has them";
  uint32_t sort_steps = 0;
  for (uint64_t at = first; at < whole.operations; ++at) {
    // Of the hundreds of equal steps of a sort every sixteenth.
    if (whole.log[at] == "launch of SortStep" && ++sort_steps % 16 != 0) continue;
    DeviceScript script;
    script.fail_at = at;
    auto made = MakeOn(&script);
    ASSERT_TRUE(made.ok());
    ASSERT_TRUE(Answers(*made.value()) == expected) << "failed at operation " << at;
    ASSERT_TRUE(made.value()->Info().degraded);
    ASSERT_EQ(CounterOf(*made.value(), GpuCounter::kDeviceFailed), 1u);
    ASSERT_EQ(CounterOf(*made.value(), GpuCounter::kDegraded), 1u);
    ASSERT_EQ(CounterOf(*made.value(), GpuCounter::kTextsSketched), 60u)
        << "each text once, by whomever";
    ASSERT_EQ(script.operations, at + 1) << "a device that failed is asked nothing more";
  }
}

// A batch of four trips through two lanes, by devices that do all as late and as early as they may.
TEST(CudaBackend, LanesDoNotMixTheirTrips) {
  constexpr uint64_t kTexts = 3'100;
  std::mt19937_64 random(3);
  Texts texts;
  for (uint64_t i = 0; i < kTexts; ++i) texts.Add(RandomText(random, 1 + random() % 3));
  auto cpu = MakeScalarBackend(Options());
  std::vector<Sketch> expected(kTexts);
  ASSERT_TRUE(cpu.value()->ComputeSketches(texts.batch(), expected).ok());
  for (const bool eager : {false, true}) {
    for (const bool fails : {false, true}) {
      DeviceScript script;
      script.eager = eager;
      auto made = MakeOn(&script);
      ASSERT_TRUE(made.ok());
      if (fails) script.fail_at = script.operations + 14;  // in the third trip
      std::vector<Sketch> got(kTexts);
      ASSERT_TRUE(made.value()->ComputeSketches(texts.batch(), got).ok());
      EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(Sketch)), 0);
      EXPECT_EQ(CounterOf(*made.value(), GpuCounter::kTextsSketched), kTexts);
      EXPECT_EQ(CounterOf(*made.value(), GpuCounter::kFallbackRows), fails ? kTexts - 1'024 : 0u);
      EXPECT_EQ(made.value()->Info().degraded, fails);
      EXPECT_EQ(script.fault, "");
    }
  }
}

// Counts a millisecond at each look, so that a join takes one.
class TickingClock final : public Clock {
 public:
  int64_t MonotonicNs() const override { return now_ns_ += kNsPerMs; }
  int64_t UnixNs() const override { return now_ns_; }
  mutable int64_t now_ns_ = 0;
};

// A degraded box under more batches than the CPU can join: all are sketched, some joins are skipped
// and each of those is counted. At rest again, none is.
TEST(CudaBackend, JoinsBeyondTheCpuAreSkippedAndCounted) {
  TickingClock clock;
  BackendOptions options = Options();
  options.clock = &clock;
  DeviceScript script;
  auto made = MakeOn(&script, options);
  ASSERT_TRUE(made.ok());
  script.fail_at = script.operations;
  std::mt19937_64 random(5);
  Texts texts;
  texts.Add({});
  for (int i = 0; i < 9; ++i) texts.Add(RandomText(random, 20));
  std::vector<Sketch> sketches(10);
  const std::vector<uint64_t> ids(10, 1);
  std::vector<Candidate> candidates;
  constexpr uint64_t kBatches = 3'000;
  for (uint64_t batch = 0; batch < kBatches; ++batch) {
    ASSERT_TRUE(made.value()->ComputeSketches(texts.batch(), sketches).ok());
    ASSERT_TRUE(made.value()->ProbeAndInsert(sketches, ids, &candidates).ok());
  }
  const uint64_t joined = CounterOf(*made.value(), GpuCounter::kWindowTexts);
  const uint64_t skipped = CounterOf(*made.value(), GpuCounter::kJoinsSkipped);
  EXPECT_EQ(joined + skipped, 9 * kBatches) << "each text with tokens is joined or counted";
  EXPECT_EQ(CounterOf(*made.value(), GpuCounter::kTextsSketched), 9 * kBatches);
  EXPECT_GT(skipped, 9u);
  EXPECT_GT(joined, skipped / 10);
  for (int batch = 0; batch < 100; ++batch) {
    clock.now_ns_ += 10 * kNsPerMs;
    ASSERT_TRUE(made.value()->ProbeAndInsert(sketches, ids, &candidates).ok());
  }
  EXPECT_EQ(CounterOf(*made.value(), GpuCounter::kJoinsSkipped), skipped);
}

TEST(CudaBackend, AFailureAtTheStartIsAnError) {
  DeviceScript whole;
  ASSERT_TRUE(MakeOn(&whole).ok());
  for (uint64_t at = 0; at < whole.operations; ++at) {
    DeviceScript script;
    script.fail_at = at;
    auto made = MakeOn(&script);
    ASSERT_FALSE(made.ok()) << at;
    EXPECT_THAT(made.message(), HasSubstr("injected fault"));
  }
}

TEST(CudaBackend, TooLittleDeviceMemorySaysWhatWouldFit) {
  DeviceScript probe;
  ASSERT_TRUE(MakeOn(&probe).ok());
  const uint64_t needed = DeviceScript().free_bytes - probe.free_bytes;
  EXPECT_EQ(needed, DeviceMemoryFor(Options()).value().all()) << "what is said without a device is what is taken";
  DeviceScript exact, one_less;
  exact.free_bytes = needed;
  one_less.free_bytes = needed - 1;
  EXPECT_TRUE(MakeOn(&exact).ok());
  EXPECT_EQ(exact.free_bytes, 0u);
  EXPECT_FALSE(MakeOn(&one_less).ok());
  DeviceScript script;
  script.free_bytes = needed - 100 * kEmbeddingDims;
  auto made = MakeOn(&script);
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.message(), HasSubstr("representatives_max of 400 or less (sketch.representatives_max) would fit"));
  EXPECT_EQ(script.operations, 0u) << "nothing was taken";
  BackendOptions smaller = Options();
  smaller.representatives_max = 400;
  EXPECT_TRUE(MakeOn(&script, smaller).ok()) << "what it says is true";
  DeviceScript tiny;
  tiny.free_bytes = 1000;
  EXPECT_THAT(MakeOn(&tiny).message(), HasSubstr("the smallest window (sketch.window_mib) and the fewest representatives"));
}

TEST(CudaBackend, DeviceMemorySmallerThanTheWindow) {
  BackendOptions large = Options();
  large.window_bytes = 64u << 20;
  DeviceScript script;
  script.free_bytes = 140u << 20;
  auto made = MakeOn(&script, large);
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.message(), HasSubstr("PTX on the CPU has 146800640 free; window_bytes of "));
  EXPECT_EQ(script.operations, 0u) << "nothing was taken";
  const size_t at = made.message().find("window_bytes of ") + 16;
  large.window_bytes = std::strtoull(made.message().c_str() + at, nullptr, 10);
  EXPECT_TRUE(MakeOn(&script, large).ok()) << "what it says is true";
}

// The equality part of tools/gpu-proof, which the GPU will run, finds the kernels equal here, and
// says so where a device fails.
TEST(GpuProof, EqualityPart) {
  DeviceScript script;
  PtxDevice device(&Kernels(), &script);
  const std::vector<EqualityResult> results = ProveEquality(device, 1);
  ASSERT_EQ(results.size(), 12u);
  for (const EqualityResult& result : results) {
    EXPECT_EQ(result.different, 0u) << result.name;
    EXPECT_EQ(result.error, "") << result.name;
    EXPECT_GT(result.cases, 0u) << result.name;
  }
  const ptx::Module wrong = ptx::LoadKernels("OFF_BY_ONE_SHINGLE");
  DeviceScript again;
  PtxDevice faulty(&wrong, &again);
  EXPECT_GT(ProveEquality(faulty, 1)[0].different, 100u);
}

TEST(CudaBackend, RefusesWhatTheCpuRefuses) {
  DeviceScript script;
  auto made = MakeOn(&script);
  ASSERT_TRUE(made.ok());
  Texts texts;
  texts.Add(std::vector<uint32_t>(65'537, 1));
  std::vector<Sketch> out(1);
  EXPECT_THAT(made.value()->ComputeSketches(texts.batch(), out).message(),
              HasSubstr("65537 tokens"));
  std::vector<int8_t> values(kEmbeddingDims * 501);
  EXPECT_THAT(made.value()->SetRepresentatives(values).message(),
              HasSubstr("representatives_max is 500"));
  std::vector<RepresentativeMatch> matches(65);
  EXPECT_FALSE(made.value()->TopK(std::span(values).first(kEmbeddingDims), 65, matches).ok());
  EXPECT_FALSE(made.value()->Info().degraded) << "a caller's mistake is no failure of the device";
}

TEST(CudaBackend, RefusesTableFilesThatTheCpuRefuses) {
  const std::string path = testing::TempDir() + "/no_table_of_ours";
  std::ofstream(path) << std::string(200, 'x');
  for (const bool rarity : {false, true}) {
    BackendOptions options = Options();
    (rarity ? options.rarity_table_path : options.embedding_table_path) = path;
    DeviceScript script;
    const auto made = MakeOn(&script, options);
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.message(), MakeScalarBackend(options).message());
    EXPECT_EQ(script.operations, 0u);
  }
}

}  // namespace
}  // namespace stillwatch::gpu
