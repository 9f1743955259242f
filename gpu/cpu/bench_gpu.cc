// Microbenchmarks of gpu/: each stage of a sketch, the window, the representatives.
//   bench_gpu [--benchmark_filter=REGEX]
// One thread; pin it to a core. Tokens are drawn by Zipf's law from 200,000 words, the most common
// of them from the built-in rarity list, as text does; BM_SketchRandomTokens draws evenly from all
// hashes (the worst case for caches).
#include <benchmark/benchmark.h>
#include <hwy/targets.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "gpu/cpu/cpu_backend.h"
#include "gpu/join/representatives.h"
#include "gpu/sketch/rarity_table.h"
#include "gpu/sketch/table_file.h"

namespace stillwatch::gpu {
namespace {

constexpr uint32_t kVocabulary = 200'000;

std::vector<uint32_t> ZipfTokens(size_t count, uint64_t seed) {
  static const std::vector<double>* cumulative = [] {
    auto* sums = new std::vector<double>();
    double sum = 0;
    for (uint32_t i = 0; i < kVocabulary; ++i) sums->push_back(sum += 1.0 / (i + 2.7));
    return sums;
  }();
  const auto listed = BuiltInRarityList();
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0, cumulative->back());
  std::vector<uint32_t> tokens(count);
  for (uint32_t& token : tokens) {
    const auto rank = static_cast<size_t>(
        std::lower_bound(cumulative->begin(), cumulative->end(), uniform(random)) -
        cumulative->begin());
    token = rank < listed.size() ? *ListedTokenHash(listed[rank].token, Salt{})
                                 : Mix32(static_cast<uint32_t>(rank) * 0x9e3779b1u);
  }
  return tokens;
}

struct Batch {
  std::vector<uint32_t> tokens, offsets{0}, cuts;
  TokenBatch view() const { return {tokens, offsets, cuts}; }
};
Batch EqualTexts(std::vector<uint32_t> tokens, uint32_t length) {
  Batch batch;
  batch.tokens = std::move(tokens);
  while (batch.offsets.back() + length <= batch.tokens.size()) {
    batch.offsets.push_back(batch.offsets.back() + length);
    batch.cuts.push_back(0);
  }
  return batch;
}

std::unique_ptr<Backend> MakeBackend(uint64_t window_bytes, bool scalar = false) {
  BackendOptions options;
  options.window_bytes = window_bytes;
  auto made = scalar ? MakeScalarBackend(options) : MakeCpuBackend(options);
  if (!made.ok()) {
    std::fprintf(stderr, "bench_gpu: %s\n", made.message().c_str());
    std::exit(1);
  }
  return std::move(made).value();
}

void RunSketches(benchmark::State& state, const Batch& batch, bool scalar = false) {
  auto backend = MakeBackend(16u << 20, scalar);
  std::vector<Sketch> out(batch.cuts.size());
  for (auto _ : state) {
    benchmark::DoNotOptimize(backend->ComputeSketches(batch.view(), out).ok());
  }
  const auto texts = static_cast<double>(state.iterations()) * static_cast<double>(out.size());
  state.counters["texts/s"] = benchmark::Counter(texts, benchmark::Counter::kIsRate);
  state.counters["time/text"] =
      benchmark::Counter(texts, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.SetLabel(backend->Info().name);
}

void BM_Sketch(benchmark::State& state) {
  const auto length = static_cast<uint32_t>(state.range(0));
  RunSketches(state, EqualTexts(ZipfTokens(400'000, 1), length));
}
// The same on a processor without AVX-512.
void BM_SketchAvx2(benchmark::State& state) {
  hwy::SetSupportedTargetsForTest(HWY_AVX2);
  RunSketches(state, EqualTexts(ZipfTokens(400'000, 1), static_cast<uint32_t>(state.range(0))));
  hwy::SetSupportedTargetsForTest(0);
}
BENCHMARK(BM_SketchAvx2)->Arg(100)->Arg(500)->Unit(benchmark::kMicrosecond);

BENCHMARK(BM_Sketch)->Arg(8)->Arg(20)->Arg(100)->Arg(500)->Arg(4000)->Unit(benchmark::kMicrosecond);

void BM_SketchRandomTokens(benchmark::State& state) {
  std::mt19937_64 random(2);
  std::vector<uint32_t> tokens(400'000);
  for (uint32_t& token : tokens) token = static_cast<uint32_t>(random());
  RunSketches(state, EqualTexts(std::move(tokens), static_cast<uint32_t>(state.range(0))));
}
BENCHMARK(BM_SketchRandomTokens)->Arg(100)->Arg(500)->Unit(benchmark::kMicrosecond);

void BM_SketchScalar(benchmark::State& state) {
  RunSketches(state, EqualTexts(ZipfTokens(40'000, 1), 100), true);
}
BENCHMARK(BM_SketchScalar)->Unit(benchmark::kMicrosecond);

// Texts that share nothing: the steady state of a full window. An operation is one band probed or
// inserted.
void BM_WindowDistinct(benchmark::State& state) {
  auto backend = MakeBackend(static_cast<uint64_t>(state.range(0)) << 20);
  constexpr uint32_t kRows = 4096;
  std::vector<Sketch> sketches(kRows);
  std::vector<uint64_t> ids(kRows);
  std::vector<Candidate> candidates;
  for (Sketch& sketch : sketches) {
    sketch.tokens = 100;
    sketch.versions = backend->Versions();
  }
  uint32_t next = 1;
  const auto fill = [&] {
    for (uint32_t row = 0; row < kRows; ++row) {
      for (uint32_t& key : sketches[row].bands) key = Mix32(next++);
      ids[row] = next;
    }
  };
  for (uint64_t texts = 0; texts < (static_cast<uint64_t>(state.range(0)) << 20) / 584;
       texts += kRows) {
    fill();
    if (!backend->ProbeAndInsert(sketches, ids, &candidates).ok()) std::exit(1);
  }
  for (auto _ : state) {
    state.PauseTiming();
    fill();
    state.ResumeTiming();
    benchmark::DoNotOptimize(backend->ProbeAndInsert(sketches, ids, &candidates).ok());
  }
  const double texts = static_cast<double>(state.iterations()) * kRows;
  state.counters["texts/s"] = benchmark::Counter(texts, benchmark::Counter::kIsRate);
  state.counters["ops/s"] = benchmark::Counter(texts * 2 * kBands, benchmark::Counter::kIsRate);
}
BENCHMARK(BM_WindowDistinct)->Arg(256)->Arg(1024)->Unit(benchmark::kMillisecond);

// Texts of 2,000 families that share half of their bands: many candidates a text.
void BM_WindowFamilies(benchmark::State& state) {
  auto backend = MakeBackend(256u << 20);
  constexpr uint32_t kRows = 4096;
  std::mt19937_64 random(3);
  std::vector<Sketch> sketches(kRows);
  std::vector<uint64_t> ids(kRows);
  std::vector<Candidate> candidates;
  uint64_t id = 0, reported = 0, batches = 0;
  for (auto _ : state) {
    state.PauseTiming();
    for (uint32_t row = 0; row < kRows; ++row) {
      Sketch& sketch = sketches[row];
      const auto family = static_cast<uint32_t>(random() % 2000);
      for (uint32_t b = 0; b < kBands; ++b) {
        sketch.bands[b] = b % 2 != 0 ? Mix32(family * 32 + b) : static_cast<uint32_t>(random());
      }
      sketch.tokens = 100;
      sketch.versions = backend->Versions();
      ids[row] = ++id;
    }
    if (++batches % 8 == 0) backend->AdvanceEpoch();
    state.ResumeTiming();
    benchmark::DoNotOptimize(backend->ProbeAndInsert(sketches, ids, &candidates).ok());
    reported += candidates.size();
  }
  const double texts = static_cast<double>(state.iterations()) * kRows;
  state.counters["texts/s"] = benchmark::Counter(texts, benchmark::Counter::kIsRate);
  state.counters["candidates/text"] = static_cast<double>(reported) / texts;
}
BENCHMARK(BM_WindowFamilies)->Unit(benchmark::kMillisecond);

void RunTopK(benchmark::State& state, const DotKernel& kernel) {
  if (kernel.tile == nullptr) return state.SkipWithError("this processor cannot run it");
  std::mt19937_64 random(4);
  constexpr uint32_t kRows = 65'536, kQueries = 960, kBest = 8;
  std::vector<int8_t> rows(kRows * kEmbeddingDims), queries(kQueries * kEmbeddingDims);
  for (auto* values : {&rows, &queries}) {
    for (int8_t& value : *values)
      value = static_cast<int8_t>(static_cast<int>(random() % 201) - 100);
  }
  auto table = Representatives::Make(kRows, kernel);
  if (!table.ok() || !table.value().Set(rows).ok()) std::exit(1);
  std::vector<RepresentativeMatch> out(kQueries * kBest);
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.value().TopK(queries, kBest, out).ok());
  }
  state.counters["pairs/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * kRows * kQueries, benchmark::Counter::kIsRate);
}
void BM_TopKVnni(benchmark::State& state) { RunTopK(state, VnniDotKernel()); }
void BM_TopKAvx2(benchmark::State& state) { RunTopK(state, Avx2DotKernel()); }
void BM_TopKScalar(benchmark::State& state) { RunTopK(state, ScalarDotKernel()); }
BENCHMARK(BM_TopKVnni)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_TopKAvx2)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_TopKScalar)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace stillwatch::gpu

BENCHMARK_MAIN();
