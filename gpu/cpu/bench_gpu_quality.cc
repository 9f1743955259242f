// What the sketches find, measured: how often two texts with a given Jaccard similarity of their
// shingle sets become candidates (share a band key), how well the stored 4-bit bins estimate it,
// and how far apart their SimHashes lie. Prints the Markdown tables of docs/sketches.md.
//   bench_gpu_quality [PAIRS]     pairs a cell, default 20000
// Texts are made by drawing tokens evenly from all hashes; a pair of n tokens shares its first
// tokens, as many as bring the Jaccard similarity nearest to the one asked for.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "gpu/cpu/cpu_backend.h"
#include "gpu/sketch/oph.h"

namespace stillwatch::gpu {
namespace {

struct Cell {
  double jaccard;    // of the pairs, exactly
  double candidate;  // share of pairs with a band in common
  double theory;     // 1 - (1 - J^4)^32: independent full-width bins
  double estimate_bias, estimate_rmse;
  double simhash_mean;
};

Cell Measure(Backend& backend, uint32_t tokens, double jaccard, uint32_t pairs,
             std::mt19937_64& random) {
  const uint32_t shingles = ShinglesOf(tokens);
  const auto shared = static_cast<uint32_t>(std::lround(2 * jaccard * shingles / (1 + jaccard)));
  Cell cell = {};
  cell.jaccard = static_cast<double>(shared) / (2 * shingles - shared);
  cell.theory = 1 - std::pow(1 - std::pow(cell.jaccard, 4), 32);
  std::vector<uint32_t> both(2 * tokens);
  const std::vector<uint32_t> offsets = {0, tokens, 2 * tokens}, cuts = {0, 0};
  double error = 0, square = 0, distance = 0;
  uint32_t candidates = 0;
  for (uint32_t pair = 0; pair < pairs; ++pair) {
    for (uint32_t i = 0; i < tokens; ++i) {
      both[i] = static_cast<uint32_t>(random());
      both[tokens + i] = shared != 0 && i < shared + kShingleTokens - 1
                             ? both[i]
                             : static_cast<uint32_t>(random());
    }
    Sketch sketches[2];
    if (!backend.ComputeSketches({both, offsets, cuts}, sketches).ok()) std::abort();
    bool candidate = false;
    for (uint32_t b = 0; b < kBands; ++b) candidate |= sketches[0].bands[b] == sketches[1].bands[b];
    candidates += candidate;
    uint32_t equal = 0, differ = 0;
    for (uint32_t i = 0; i < kOphBins / 2; ++i) {
      const int x = sketches[0].oph[i] ^ sketches[1].oph[i];
      equal += ((x & 15) == 0) + (x >> 4 == 0);
    }
    for (uint32_t i = 0; i < kSimHashWords; ++i) {
      differ += static_cast<uint32_t>(
          __builtin_popcountll(sketches[0].simhash[i] ^ sketches[1].simhash[i]));
    }
    const double estimate = (equal / 128.0 - 1.0 / 16) / (15.0 / 16);
    error += estimate - cell.jaccard;
    square += (estimate - cell.jaccard) * (estimate - cell.jaccard);
    distance += differ;
  }
  cell.candidate = static_cast<double>(candidates) / pairs;
  cell.estimate_bias = error / pairs;
  cell.estimate_rmse = std::sqrt(square / pairs);
  cell.simhash_mean = distance / pairs;
  return cell;
}

void Run(uint32_t pairs) {
  BackendOptions options;
  options.salt = Salt{0x7175616c697479};
  options.window_bytes = 16u << 20;
  options.representatives_max = 64;
  auto made = MakeCpuBackend(options);
  if (!made.ok()) {
    std::fprintf(stderr, "bench_gpu_quality: %s\n", made.message().c_str());
    std::exit(1);
  }
  std::mt19937_64 random(1);
  std::printf("%u pairs a row, %s.\n\n", pairs, made.value()->Info().name.c_str());
  std::printf(
      "| tokens | Jaccard | candidate | independent bins would give | estimate: bias | RMSE | "
      "independent 4-bit bins would give | SimHash distance, mean |\n");
  std::printf("|---|---|---|---|---|---|---|---|\n");
  for (const uint32_t tokens : {8u, 20u, 100u, 1000u}) {
    for (const double jaccard : {0.0, 0.2, 0.4, 0.5, 0.6, 0.8}) {
      const Cell cell = Measure(*made.value(), tokens, jaccard, pairs, random);
      const double equal = cell.jaccard + (1 - cell.jaccard) / 16;
      std::printf("| %u | %.3f | %.4f | %.4f | %+.4f | %.4f | %.4f | %.1f |\n", tokens,
                  cell.jaccard, cell.candidate, cell.theory, cell.estimate_bias, cell.estimate_rmse,
                  std::sqrt(equal * (1 - equal) / 128) * 16 / 15, cell.simhash_mean);
    }
  }
}

}  // namespace
}  // namespace stillwatch::gpu

int main(int argc, char** argv) {
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 20'000;
  if (pairs < 1) {
    std::fprintf(stderr, "usage: bench_gpu_quality [PAIRS]\n");
    return 2;
  }
  stillwatch::gpu::Run(static_cast<uint32_t>(pairs));
  return 0;
}
