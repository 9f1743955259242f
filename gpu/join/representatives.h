// The k best representatives of each query by int8 dot product, exact, ties by lower index.
// The table is kept in blocks of 64 rows, laid out for the kernel that this processor runs: within
// a block the values of one group of dimensions lie together, row after row, so that a vector holds
// one group of many rows and no horizontal sum is needed. One thread; memory is taken at Make; Set
// and TopK allocate nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "gpu/backend.h"
#include "gpu/cpu/features.h"
#include "gpu/memory_block.h"

namespace stillwatch::gpu {

inline constexpr uint32_t kBlockRows = 64;
inline constexpr uint32_t kTopKMax = 64;
inline constexpr uint32_t kNoSelf = UINT32_MAX;

// Dot products of up to queries_max queries with one block. queries: kEmbeddingDims int8 a row.
// starts[q]: what a query's sums start from, so that flipped rows come out right (0 where nothing
// is flipped). above[q]: bit r is set when dot r > thresholds[q]. dots: kBlockRows a query, written
// at least where above[q] is not 0.
using DotTile = void (*)(const uint8_t* block, const int8_t* queries, uint32_t query_count,
                         const int32_t* starts, const int32_t* thresholds, int32_t* dots,
                         uint64_t* above);

struct DotKernel {
  const char* name;
  uint32_t group_dims;   // dimensions that lie together: value (row, d) of a block is at
                         // (d / g) * 64 * g + row * g + d % g
  uint8_t flip;          // xored onto every stored value (0x80: the kernel takes them as unsigned)
  uint32_t queries_max;  // of one tile
  DotTile tile;
};
DotKernel ScalarDotKernel();
// Null tile when this processor cannot run it.
DotKernel Avx2DotKernel();
DotKernel Avx512DotKernel();  // without VNNI
DotKernel VnniDotKernel();
// The fastest that a processor with these features runs.
DotKernel DotKernelFor(const CpuFeatures& features);
DotKernel BestDotKernel();

class Representatives {
 public:
  static Result<Representatives> Make(uint32_t rows_max, const DotKernel& kernel);

  Status Set(std::span<const int8_t> rows);
  Status TopK(std::span<const int8_t> query_rows, uint32_t k,
              std::span<RepresentativeMatch> out) const;
  // Sets the rows, then finds for each the k best others above the threshold (Backend::AllPairs).
  Status AllPairs(std::span<const int8_t> rows, uint32_t k, int32_t threshold,
                  std::span<RepresentativeMatch> out);

  uint64_t memory_bytes() const { return blocks_.size(); }

 private:
  // first_self: the row that is query 0 itself, and so on; kNoSelf: queries are no rows of the table.
  Status Search(std::span<const int8_t> query_rows, uint32_t k, int32_t threshold,
                uint32_t first_self, std::span<RepresentativeMatch> out) const;
  void TileTopK(const int8_t* queries, uint32_t query_count, uint32_t k, int32_t threshold,
                uint32_t first_self, RepresentativeMatch* out) const;

  DotKernel kernel_ = {};
  MemoryBlock blocks_;
  uint32_t rows_max_ = 0;
  uint32_t rows_ = 0;
};

}  // namespace stillwatch::gpu
