#include "gpu/cpu/roofs.h"

#include <time.h>

#include <algorithm>
#include <vector>

#include "base/hash.h"
#include "gpu/memory_block.h"

namespace stillwatch::gpu {
namespace {

double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The best rate of several tries of `count` units.
template <class Work>
double BestRate(double count, const Work& work) {
  double best = 0;
  for (int attempt = 0; attempt < 7; ++attempt) {
    const double start = CpuSeconds();
    work();
    best = std::max(best, count / (CpuSeconds() - start));
  }
  return best;
}

volatile uint32_t sink;

// `addresses` lines of the block, far enough ahead that only the rate counts, not the latency.
double LineRate(uint64_t bytes, bool write) {
  auto block = MemoryBlock::Take(bytes, "a roof");
  if (!block.ok()) return 0;
  constexpr uint32_t kLines = 1u << 20, kAhead = 24;
  std::vector<uint32_t> lines(kLines + kAhead);
  for (uint32_t i = 0; i < lines.size(); ++i) {
    lines[i] = static_cast<uint32_t>(Mix64(i) % (bytes / 64));
  }
  uint8_t* data = block.value().data();
  return BestRate(kLines, [&] {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < kLines; ++i) {
      __builtin_prefetch(data + uint64_t{lines[i + kAhead]} * 64);
      auto* line = reinterpret_cast<uint64_t*>(data + uint64_t{lines[i]} * 64);
      for (int word = 0; word < 8; ++word) sum += line[word];
      if (write) line[0] = sum;
    }
    sink = static_cast<uint32_t>(sum);
  });
}

double BinUpdateRate() {
  constexpr uint32_t kHashes = 4096, kTimes = 64;
  std::vector<uint32_t> hashes(kHashes), bins(128);
  for (uint32_t i = 0; i < kHashes; ++i) hashes[i] = Mix32(i);
  return BestRate(1.0 * kHashes * kTimes, [&] {
    for (uint32_t time = 0; time < kTimes; ++time) {
      std::fill(bins.begin(), bins.end(), UINT32_MAX);
      for (const uint32_t hash : hashes) bins[hash % 128] = std::min(bins[hash % 128], hash);
    }
    sink = bins[7];
  });
}

#if defined(__x86_64__)
// Twelve independent chains in registers, so that the latency of none is waited for. Assembly, since the
// compiler would keep an array of vectors in memory.
#define CHAINS(operation)                                                                           \
  operation(0) operation(1) operation(2) operation(3) operation(4) operation(5) operation(6)        \
      operation(7) operation(8) operation(9) operation(10) operation(11)
#define MULTIPLY32(chain) "vpmulld %%zmm13, %%zmm" #chain ", %%zmm" #chain "\n"
#define EXCLUSIVE_OR(chain) "vpxord %%zmm13, %%zmm" #chain ", %%zmm" #chain "\n"
#define MULTIPLY8(chain) "vpdpbusd %%zmm13, %%zmm13, %%zmm" #chain "\n"
#define CHAIN_RATE(operation)                                                                       \
  BestRate(12.0 * kRounds, [] {                                                                     \
    for (uint32_t round = 0; round < kRounds; ++round) {                                            \
      asm volatile(CHAINS(operation)::                                                              \
                       : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",    \
                         "xmm9", "xmm10", "xmm11", "xmm13");                                        \
    }                                                                                               \
  })
constexpr uint32_t kRounds = 1u << 20;

void MeasureVectors(Roofs* roofs) {
  roofs->vector_ops = CHAIN_RATE(EXCLUSIVE_OR);
  roofs->multiplies = CHAIN_RATE(MULTIPLY32);
  roofs->int8_pairs = 64 * CHAIN_RATE(MULTIPLY8);
}
#endif

}  // namespace

Roofs MeasureRoofs() {
  Roofs roofs;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni")) {
    MeasureVectors(&roofs);
  }
#endif
  roofs.bin_updates = BinUpdateRate();
  roofs.lines_8mib = LineRate(8ull << 20, false);
  roofs.lines_1gib = LineRate(1ull << 30, true);
  return roofs;
}

}  // namespace stillwatch::gpu
