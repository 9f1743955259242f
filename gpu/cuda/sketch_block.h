// One text's sketch by one block of 128 threads: thread t owns OPH bin t, four of the 512 SimHash
// bits and dimension t of the result. The arithmetic is the kernel bodies of gpu/sketch and
// gpu/embed, which the plain CPU loop calls too; what is here is only who does what when.
// Device code: included by kernels.cu alone.
#pragma once

#include "gpu/cuda/launch.h"
#include "gpu/sketch/oph.h"
#include "gpu/sketch/simhash.h"

namespace stillwatch::gpu {

inline constexpr uint32_t kSketchWarps = kSketchThreads / 32;
// Four SimHash sums share a word, eight bits each: 16 tokens of weight 8 fit.
inline constexpr uint32_t kPackedTokens = 16;
static_assert(kPackedTokens * 8 < 256 && kSketchThreads % kPackedTokens == 0);

struct SketchShared {
  uint32_t bins[kOphBins];
  uint32_t values[kOphBins];  // bins after densification
  uint32_t tokens[kSketchThreads];
  uint32_t shifts[kSketchThreads];  // log2 of each token's weight
  int32_t sums[kSketchWarps][kEmbeddingDims];
  uint64_t squares[kSketchWarps];
};

// Sums of the weights of tokens that set the thread's four SimHash bits: bits first, first + 8,
// first + 16 and first + 24 of one word.
struct SimHashSums {
  uint32_t seed;
  uint32_t first;
  uint32_t set[4] = {};
  uint32_t all = 0;

  __device__ void Add(const SketchShared& shared, uint32_t count) {
    for (uint32_t begin = 0; begin < count; begin += kPackedTokens) {
      const uint32_t end = begin + kPackedTokens < count ? begin + kPackedTokens : count;
      uint32_t packed = 0;
      for (uint32_t i = begin; i < end; ++i) {
        const uint32_t word = SimHashWord(shared.tokens[i], seed);
        packed += (word >> first & 0x01010101u) << shared.shifts[i];
        all += 1u << shared.shifts[i];
      }
      for (uint32_t i = 0; i < 4; ++i) set[i] += packed >> 8 * i & 255u;
    }
  }
  // The whole word, in every lane of the eight that share it.
  __device__ uint32_t Word() const {
    uint32_t word = 0;
    for (uint32_t i = 0; i < 4; ++i) {
      word |= static_cast<uint32_t>(SimHashBit(set[i], all)) << (first + 8 * i);
    }
    for (uint32_t lane = 1; lane < 8; lane *= 2) word |= __shfl_xor_sync(0xffffffffu, word, lane);
    return word;
  }
};

// Adds the weighted rows of a tile's tokens: warp w takes tokens w, w + 4 .., lane l dimensions
// 4l .. 4l + 3. A weight is 8 at most, so weight and byte meet in one dp4a.
__device__ inline void AddRows(const EmbeddingView& table, const SketchShared& shared,
                               uint32_t count, int32_t sums[4]) {
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (uint32_t i = warp; i < count; i += kSketchWarps) {
    const int8_t* row = EmbeddingRow(table, shared.tokens[i]);
    const int four = __ldg(reinterpret_cast<const int*>(row) + lane);
    const int weight = 1 << shared.shifts[i];
    for (uint32_t d = 0; d < 4; ++d) sums[d] = __dp4a(four, weight << 8 * d, sums[d]);
  }
}

__device__ inline void FinishOph(const SketchSeeds& seeds, SketchShared& shared, Sketch* out) {
  const uint32_t t = threadIdx.x;
  const uint32_t own = shared.bins[t];
  shared.values[t] = own != kEmptyBin ? own : shared.bins[DonorOf(t, shared.bins, seeds.probe)];
  __syncthreads();
  if (t < kBands) out->bands[t] = BandKey(shared.values, t, seeds.band);
  if (t >= 64) {
    const uint32_t byte = t - 64;
    out->oph[byte] = static_cast<uint8_t>(BinNibble(shared.values[2 * byte]) |
                                          BinNibble(shared.values[2 * byte + 1]) << 4);
  }
}

__device__ inline void FinishEmbedding(const int32_t sums[4], SketchShared& shared, Sketch* out) {
  const uint32_t t = threadIdx.x, warp = t / 32, lane = t % 32;
  for (uint32_t d = 0; d < 4; ++d) shared.sums[warp][4 * lane + d] = sums[d];
  __syncthreads();
  int32_t sum = 0;
  for (uint32_t w = 0; w < kSketchWarps; ++w) sum += shared.sums[w][t];
  uint64_t squares = static_cast<uint64_t>(static_cast<int64_t>(sum) * sum);
  for (uint32_t step = 16; step > 0; step /= 2) {
    squares += __shfl_xor_sync(0xffffffffu, squares, step);
  }
  if (lane == 0) shared.squares[warp] = squares;
  __syncthreads();
  squares = 0;
  for (uint32_t w = 0; w < kSketchWarps; ++w) squares += shared.squares[w];
  out->embedding[t] = ScaleToInt8(sum, EmbeddingScaleOf(squares));
}

// tokens[0 .. count), count at most 65,536; all threads of the block call it with the same values.
__device__ inline void SketchText(const DeviceTables& tables, const uint32_t* tokens,
                                  uint32_t count, uint32_t cut, SketchShared& shared, Sketch* out) {
  const uint32_t t = threadIdx.x;
  uint32_t* words = reinterpret_cast<uint32_t*>(out);
  static_assert(sizeof(Sketch) / 4 <= kSketchThreads);
  if (count == 0) {
    if (t < sizeof(Sketch) / 4) words[t] = 0;
    __syncthreads();  // the versions come after the zeros
    if (t == 0) out->versions = tables.versions;
    return;
  }
  shared.bins[t] = kEmptyBin;
  SimHashSums simhash = {.seed = tables.seeds.simhash[t / 8], .first = t % 8};
  int32_t sums[4] = {};
  const uint32_t first_end = SegmentsOf(count, cut).first_end;
  for (uint32_t base = 0; base < count; base += kSketchThreads) {
    __syncthreads();  // the bins are there; the last tile is done with
    const uint32_t at = base + t;
#ifdef SW_SEED_OFF_BY_ONE
    if (at <= count) {
#else
    if (at < count) {
#endif
      shared.tokens[t] = tokens[at];
      shared.shifts[t] = WeightShiftOf(RarityClassOf(tables.rarity, tokens[at]));
      const uint32_t begin = at < first_end ? 0 : first_end;
      const uint32_t end = at < first_end ? first_end : count;
#ifdef SW_SEED_OFF_BY_ONE_SHINGLE
      if (at - begin + (at > begin) < ShinglesOf(end - begin)) {
#else
      if (at - begin < ShinglesOf(end - begin)) {
#endif
        const uint32_t hash = ShingleHash(tokens, at, end, tables.seeds.shingle);
        atomicMin(&shared.bins[BinOf(hash)], hash);
      }
    }
#ifndef SW_SEED_MISSING_BARRIER
    __syncthreads();
#endif
    const uint32_t in_tile = count - base < kSketchThreads ? count - base : kSketchThreads;
    simhash.Add(shared, in_tile);
    AddRows(tables.embedding, shared, in_tile, sums);
  }
  FinishOph(tables.seeds, shared, out);
  const uint32_t word = simhash.Word();
  if (t % 8 == 0) reinterpret_cast<uint32_t*>(out->simhash)[t / 8] = word;
  FinishEmbedding(sums, shared, out);
  if (t == 0) {
    out->tokens = count;
    out->versions = tables.versions;
  }
  constexpr uint32_t kReservedWord = (sizeof(Sketch) - sizeof(out->reserved)) / 4;
  if (t >= kReservedWord && t < sizeof(Sketch) / 4) words[t] = 0;
}

}  // namespace stillwatch::gpu
