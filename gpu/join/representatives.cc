#include "gpu/join/representatives.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <numeric>
#include <string>

#include "base/mutant.h"

namespace stillwatch::gpu {
namespace {

constexpr uint64_t kBlockBytes = static_cast<uint64_t>(kBlockRows) * kEmbeddingDims;
// Queries that share one pass over the table, so that a block is read from cache by all of them.
constexpr uint32_t kPassQueries = 96;
constexpr uint32_t kTileQueriesMax = 8;

void ScalarTile(const uint8_t* block, const int8_t* queries, uint32_t query_count,
                const int32_t* /*starts*/, const int32_t* thresholds, int32_t* dots,
                uint64_t* above) {
  for (uint32_t q = 0; q < query_count; ++q) {
    above[q] = 0;
    for (uint32_t row = 0; row < kBlockRows; ++row) {
      int32_t dot = 0;
      for (uint32_t d = 0; d < kEmbeddingDims; ++d) {
        dot +=
            static_cast<int8_t>(block[row * kEmbeddingDims + d]) * queries[q * kEmbeddingDims + d];
      }
      dots[q * kBlockRows + row] = dot;
      above[q] |= static_cast<uint64_t>(dot > thresholds[q]) << row;
    }
  }
}

// Puts a match into a row of k, best first; it is better than the last one. Equal dots stay before
// it: rows come in rising order, so that is the tie rule.
void InsertMatch(RepresentativeMatch match, uint32_t k, RepresentativeMatch* best) {
  uint32_t at = k - 1;
  const auto goes_before = [&](const RepresentativeMatch& other) {
    return MutantIs("gpu.topk_ties") ? match.dot >= other.dot : match.dot > other.dot;
  };
  for (; at > 0 && goes_before(best[at - 1]); --at) best[at] = best[at - 1];
  best[at] = match;
}

}  // namespace

DotKernel ScalarDotKernel() { return {"scalar", kEmbeddingDims, 0, kTileQueriesMax, ScalarTile}; }

DotKernel DotKernelFor(const CpuFeatures& features) {
  if (features.avx512 && features.vnni) return VnniDotKernel();
  if (features.avx512) return Avx512DotKernel();
  if (features.avx2) return Avx2DotKernel();
  return ScalarDotKernel();
}
DotKernel BestDotKernel() { return DotKernelFor(FeaturesOfThisCpu()); }

Result<Representatives> Representatives::Make(uint32_t rows_max, const DotKernel& kernel) {
  CHECK(kernel.queries_max <= kTileQueriesMax && kPassQueries % 2 == 0);
  Representatives table;
  table.kernel_ = kernel;
  table.rows_max_ = rows_max;
  const uint64_t blocks = (static_cast<uint64_t>(rows_max) + kBlockRows - 1) / kBlockRows;
  Result<MemoryBlock> memory =
      MemoryBlock::Take(std::max<uint64_t>(blocks, 1) * kBlockBytes, "the representatives");
  if (!memory.ok()) return memory.error();
  table.blocks_ = std::move(memory).value();
  return table;
}

Status Representatives::Set(std::span<const int8_t> rows) {
  if (rows.size() % kEmbeddingDims != 0) {
    return Error{"representatives have " + std::to_string(rows.size()) +
                 " values, no multiple of 128"};
  }
  if (rows.size() / kEmbeddingDims > rows_max_) {
    return Error{std::to_string(rows.size() / kEmbeddingDims) +
                 " representatives; representatives_max is " + std::to_string(rows_max_)};
  }
  rows_ = static_cast<uint32_t>(rows.size() / kEmbeddingDims);
  const uint32_t g = kernel_.group_dims;
  for (uint32_t row = 0; row < rows_; ++row) {
    uint8_t* block = blocks_.data() + row / kBlockRows * kBlockBytes;
    const int8_t* values = rows.data() + static_cast<size_t>(row) * kEmbeddingDims;
    for (uint32_t d = 0; d < kEmbeddingDims; ++d) {
      block[d / g * kBlockRows * g + row % kBlockRows * g + d % g] =
          static_cast<uint8_t>(values[d]) ^ kernel_.flip;
    }
  }
  return {};
}

Status Representatives::TopK(std::span<const int8_t> query_rows, uint32_t k,
                             std::span<RepresentativeMatch> out) const {
  return Search(query_rows, k, INT32_MIN, kNoSelf, out);
}

Status Representatives::AllPairs(std::span<const int8_t> rows, uint32_t k, int32_t threshold,
                                 std::span<RepresentativeMatch> out) {
  if (rows.size() / kEmbeddingDims > rows_max_) {
    return Error{std::to_string(rows.size() / kEmbeddingDims) +
                 " rows to join; pairs_rows_max is " + std::to_string(rows_max_)};
  }
  if (Status set = Set(rows); !set.ok()) return set;
  return Search(rows, k, threshold, MutantIs("gpu.pairs_self") ? kNoSelf : 0, out);
}

Status Representatives::Search(std::span<const int8_t> query_rows, uint32_t k, int32_t threshold,
                               uint32_t first_self, std::span<RepresentativeMatch> out) const {
  if (k < 1 || k > kTopKMax) return Error{"k is " + std::to_string(k) + ", must be 1 to 64"};
  if (query_rows.size() % kEmbeddingDims != 0 ||
      out.size() != query_rows.size() / kEmbeddingDims * k) {
    return Error{"top-k of " + std::to_string(query_rows.size()) + " query values into " +
                 std::to_string(out.size()) + " matches: sizes do not agree"};
  }
  std::fill(out.begin(), out.end(), RepresentativeMatch{UINT32_MAX, INT32_MIN});
  const uint32_t queries = static_cast<uint32_t>(query_rows.size() / kEmbeddingDims);
  for (uint32_t q = 0; q < queries; q += kPassQueries) {
    TileTopK(query_rows.data() + static_cast<size_t>(q) * kEmbeddingDims,
             std::min(kPassQueries, queries - q), k, threshold,
             first_self == kNoSelf ? kNoSelf : first_self + q,
             out.data() + static_cast<size_t>(q) * k);
  }
  return {};
}

void Representatives::TileTopK(const int8_t* queries, uint32_t query_count, uint32_t k,
                               int32_t threshold, uint32_t first_self,
                               RepresentativeMatch* out) const {
  alignas(64) int32_t dots[kTileQueriesMax * kBlockRows];
  int32_t thresholds[kPassQueries], starts[kPassQueries];
  uint64_t above[kTileQueriesMax];
  std::fill(thresholds, thresholds + query_count, threshold);
  for (uint32_t q = 0; q < query_count; ++q) {
    const int8_t* query = queries + static_cast<size_t>(q) * kEmbeddingDims;
    starts[q] = -static_cast<int32_t>(kernel_.flip) * std::accumulate(query, query + kEmbeddingDims, 0);
  }
  for (uint32_t first = 0; first < rows_; first += kBlockRows) {
    const uint8_t* block = blocks_.data() + first / kBlockRows * kBlockBytes;
    const uint32_t in_block = std::min(kBlockRows, rows_ - first);
    const uint64_t used = in_block == 64 ? ~0ull : (1ull << in_block) - 1;
    for (uint32_t q = 0; q < query_count; q += kernel_.queries_max) {
      const uint32_t in_tile = std::min(kernel_.queries_max, query_count - q);
      kernel_.tile(block, queries + static_cast<size_t>(q) * kEmbeddingDims, in_tile,
                   starts + q, thresholds + q, dots, above);
      for (uint32_t i = 0; i < in_tile; ++i) {
        RepresentativeMatch* best = out + static_cast<size_t>(q + i) * k;
        for (uint64_t rows = above[i] & used; rows != 0; rows &= rows - 1) {
          const uint32_t row = static_cast<uint32_t>(__builtin_ctzll(rows));
          const int32_t dot = dots[i * kBlockRows + row];
          if (first_self != kNoSelf && first + row == first_self + q + i) continue;
          if (dot > best[k - 1].dot) InsertMatch({first + row, dot}, k, best);
        }
        thresholds[q + i] = std::max(threshold, best[k - 1].dot);
      }
    }
  }
}

}  // namespace stillwatch::gpu
