// The k best representatives of 32 queries within one chunk of the table, by one block, and the
// merge of the chunks. Dot products by int8 tensor cores (mma.sync m16n8k32). A match is one 64-bit
// key that holds dot and index, all keys differ, and the k largest of a set do not depend on the
// order in which they come: so the result is exact whatever the warps' order.
// Device code: included by kernels.cu alone.
#pragma once

#include "gpu/cuda/launch.h"
#include "gpu/cuda/tensor.h"

namespace stillwatch::gpu {

inline constexpr uint32_t kListKeys = 128;  // a query's list: the k best, and room for more
inline constexpr uint32_t kTopKWarps = kTopKThreads / 32;
inline constexpr uint32_t kStepRows = 8 * kTopKWarps;  // representatives of one step, 8 a warp
inline constexpr uint32_t kQueryTiles = kTopKQueries / 16;
static_assert(kListKeys - kStepRows >= 64);

struct TopKShared {
  uint64_t keys[kTopKQueries][kListKeys];
  uint32_t counts[kTopKQueries];
  int32_t thresholds[kTopKQueries];  // a dot must be larger to enter the list
};

// Sorts 128 keys, best first, by a warp: element e is keys[e / 32] of lane e % 32. Bitonic.
__device__ inline void SortKeys(uint64_t keys[4], uint32_t lane) {
#pragma unroll
  for (uint32_t size = 2; size <= 128; size *= 2) {
#pragma unroll
    for (uint32_t step = size / 2; step > 0; step /= 2) {
      uint64_t others[4];
#pragma unroll
      for (uint32_t i = 0; i < 4; ++i) {
        others[i] = step >= 32 ? keys[i ^ step / 32] : __shfl_xor_sync(0xffffffffu, keys[i], step);
      }
#pragma unroll
      for (uint32_t i = 0; i < 4; ++i) {
        const uint32_t element = 32 * i + lane;
        const bool wants_larger = ((element & step) == 0) == ((element & size) == 0);
        keys[i] = (others[i] > keys[i]) == wants_larger ? others[i] : keys[i];
      }
    }
  }
}

// Cuts query q's list to its k best, sorted; missing ones are 0. One warp.
__device__ inline void CutList(TopKShared& shared, uint32_t q, uint32_t k) {
  const uint32_t lane = threadIdx.x % 32;
  const uint32_t count = shared.counts[q];
  uint64_t keys[4];
#pragma unroll
  for (uint32_t i = 0; i < 4; ++i) {
    keys[i] = 32 * i + lane < count ? shared.keys[q][32 * i + lane] : 0;
  }
  SortKeys(keys, lane);
  __syncwarp();
#pragma unroll
  for (uint32_t i = 0; i < 2; ++i) {
    const uint32_t place = 32 * i + lane;
    if (place < k) shared.keys[q][place] = keys[i];
    if (place == k - 1 && count >= k) shared.thresholds[q] = MatchOf(keys[i]).dot;
  }
  if (lane == 0) shared.counts[q] = count < k ? count : k;
}

// 32 bytes of a row: those that a lane feeds to the four products. Any order of the 128 dimensions
// gives the same dot, so the lane takes neighbours, and both sides the same ones.
struct RowPart {
  uint32_t words[8];
};
__device__ inline RowPart LoadRowPart(const int8_t* rows, uint32_t row, uint32_t rows_end) {
  RowPart part = {};
  if (row < rows_end) {
    const uint4* from =
        reinterpret_cast<const uint4*>(rows + static_cast<uint64_t>(row) * kEmbeddingDims) +
        threadIdx.x % 4 * 2;
    const uint4 low = __ldg(from), high = __ldg(from + 1);
    part = {{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}};
  }
  return part;
}

// dots of 16 queries (rows g and g + 8 in this lane) with 8 representatives.
__device__ inline void DotTile(const RowPart& queries_low, const RowPart& queries_high,
                               const RowPart& representatives, int32_t dots[4]) {
#pragma unroll
  for (uint32_t i = 0; i < 8; i += 2) {
    MultiplyTile(queries_low.words[i], queries_high.words[i], queries_low.words[i + 1],
                 queries_high.words[i + 1], representatives.words[i], representatives.words[i + 1],
                 dots);
  }
}

// Lists of the block's queries over rows [begin, end), of dots above the threshold; keys: k a query and
// chunk. With kOthers the queries are the rows from first_self on, and none finds itself.
template <bool kOthers>
__device__ inline void TopKOfChunk(const int8_t* queries, uint32_t query_count, const int8_t* rows,
                                   uint32_t begin, uint32_t end, uint32_t k, int32_t threshold,
                                   uint32_t first_self, TopKShared& shared, uint64_t* keys,
                                   uint32_t chunk, uint32_t chunks) {
  const uint32_t t = threadIdx.x, warp = t / 32, lane = t % 32;
  const uint32_t first_query = blockIdx.x * kTopKQueries;
  if (t < kTopKQueries) {
    shared.counts[t] = 0;
    shared.thresholds[t] = threshold;
  }
  RowPart low[kQueryTiles], high[kQueryTiles];
#pragma unroll
  for (uint32_t tile = 0; tile < kQueryTiles; ++tile) {
    low[tile] = LoadRowPart(queries, first_query + 16 * tile + lane / 4, query_count);
    high[tile] = LoadRowPart(queries, first_query + 16 * tile + 8 + lane / 4, query_count);
  }
  __syncthreads();
  for (uint32_t step = begin; step < end; step += kStepRows) {
    const RowPart part = LoadRowPart(rows, step + 8 * warp + lane / 4, end);
#pragma unroll
    for (uint32_t tile = 0; tile < kQueryTiles; ++tile) {
      int32_t dots[4] = {};
      DotTile(low[tile], high[tile], part, dots);
#pragma unroll
      for (uint32_t i = 0; i < 4; ++i) {
        const uint32_t q = 16 * tile + lane / 4 + 8 * (i / 2);
        const uint32_t row = step + 8 * warp + lane % 4 * 2 + i % 2;
        bool enters =
            dots[i] > shared.thresholds[q] && row < end && first_query + q < query_count;
#ifdef SW_SEED_BULK_OFF_BY_ONE
        if (kOthers) enters = enters && row != first_self + first_query + q + 1;
#else
        if (kOthers) enters = enters && row != first_self + first_query + q;
#endif
        if (enters) shared.keys[q][atomicAdd(&shared.counts[q], 1u)] = MatchKey(dots[i], row);
      }
    }
    __syncthreads();
    const bool full = t < kTopKQueries && shared.counts[t] > kListKeys - kStepRows;
    if (__syncthreads_or(full) == 0) continue;
    for (uint32_t q = warp; q < kTopKQueries; q += kTopKWarps) CutList(shared, q, k);
    __syncthreads();
  }
  for (uint32_t q = warp; q < kTopKQueries; q += kTopKWarps) CutList(shared, q, k);
  __syncthreads();
  for (uint32_t i = t; i < kTopKQueries * k; i += kTopKThreads) {
    const uint32_t q = i / k;
    if (first_query + q >= query_count) break;
    keys[(static_cast<uint64_t>(first_query + q) * chunks + chunk) * k + i % k] =
        shared.keys[q][i % k];
  }
}

// The k best of all chunks' lists of one query, by one warp.
__device__ inline void MergeLists(const uint64_t* lists, uint32_t count, uint32_t k,
                                  RepresentativeMatch* out) {
  const uint32_t lane = threadIdx.x % 32;
  uint64_t keys[4] = {};
  for (uint32_t begin = 0; begin < count; begin += 64) {
#pragma unroll
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t at = begin + 32 * i + lane;
      keys[2 + i] = at < count ? lists[at] : 0;
    }
    SortKeys(keys, lane);
  }
#pragma unroll
  for (uint32_t i = 0; i < 2; ++i) {
    const uint32_t place = 32 * i + lane;
    if (place < k) out[place] = MatchOf(keys[i]);
  }
}

}  // namespace stillwatch::gpu
