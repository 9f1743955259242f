// TopKChunk's and MergeTopK's PTX against the plain CPU loop.
#include <gmock/gmock.h>

#include <random>

#include "gpu/cuda/launch.h"
#include "gpu/join/representatives.h"
#include "tests/ptx/device_code.h"

namespace stillwatch::gpu {
namespace {

using ptx::LoadKernels;
using ptx::Module;

std::vector<int8_t> Values(std::mt19937_64& random, size_t rows, int range) {
  std::vector<int8_t> values(rows * kEmbeddingDims);
  for (int8_t& value : values) {
    value = range == 128
                ? static_cast<int8_t>(random())
                : static_cast<int8_t>(static_cast<int>(random() % (2 * range + 1)) - range);
  }
  return values;
}

void ExpectEqual(const Module& module, std::vector<int8_t> rows, std::vector<int8_t> queries,
                 uint32_t k, uint32_t seed) {
  const uint32_t row_count = static_cast<uint32_t>(rows.size() / kEmbeddingDims);
  const uint32_t query_count = static_cast<uint32_t>(queries.size() / kEmbeddingDims);
  auto plain = Representatives::Make(row_count, ScalarDotKernel());
  ASSERT_TRUE(plain.ok() && plain.value().Set(rows).ok());
  std::vector<RepresentativeMatch> expected(size_t{query_count} * k), got(expected.size());
  ASSERT_TRUE(plain.value().TopK(queries, k, expected).ok());

  const uint32_t chunks = (row_count + kTopKChunkRows - 1) / kTopKChunkRows;
  const uint32_t list_keys = chunks * k;
  std::vector<uint64_t> lists(size_t{query_count} * list_keys, 0x1234567812345678ull);
  ptx::Memory memory;
  const uint64_t queries_at = memory.Map("queries", queries.data(), queries.size(), false);
  const uint64_t rows_at = memory.Map("rows", rows.data(), rows.size(), false);
  const uint64_t lists_at = memory.Map("lists", lists.data(), lists.size() * 8);
  const uint64_t out_at =
      memory.Map("matches", got.data(), got.size() * sizeof(RepresentativeMatch));
  const void* const tile[] = {&queries_at, &query_count, &rows_at, &row_count, &k, &lists_at};
  ptx::Report report =
      module.Launch("TopKChunk", {(query_count + kTopKQueries - 1) / kTopKQueries, chunks},
                    {kTopKThreads, 1}, tile, memory, {.seed = seed});
  ASSERT_TRUE(report.ok()) << report.error;
  const void* const merge[] = {&lists_at, &query_count, &list_keys, &k, &out_at};
  report = module.Launch("MergeTopK", {(query_count + 3) / 4, 1}, {kMergeThreads, 1}, merge, memory,
                         {.seed = seed});
  ASSERT_TRUE(report.ok()) << report.error;
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].representative, expected[i].representative)
        << "place " << i << ", k " << k << ", seed " << seed;
    ASSERT_EQ(got[i].dot, expected[i].dot) << "place " << i;
  }
}

TEST(TopKKernel, EqualsThePlainLoop) {
  std::mt19937_64 random(1);
  const Module module = LoadKernels("80");
  for (const size_t rows : {1, 5, 31, 32, 33, 127, 500}) {
    for (const size_t queries : {1, 16, 31, 32, 33, 70}) {
      for (const uint32_t k : {1u, 3u, 64u}) {
        ExpectEqual(module, Values(random, rows, 128), Values(random, queries, 128), k, 0);
      }
    }
  }
}

TEST(TopKKernel, EveryArchitectureInAnyOrder) {
  std::mt19937_64 random(2);
  for (const char* arch : {"80", "90", "90a", "100"}) {
    const Module module = LoadKernels(arch);
    for (const uint32_t seed : {0u, 1u, 2u}) {
      ExpectEqual(module, Values(random, 300, 128), Values(random, 40, 128), 16, seed);
    }
  }
}

// Equal dots everywhere: the lower index wins, in every order of warps.
TEST(TopKKernel, TiesGoToTheLowerIndex) {
  std::mt19937_64 random(3);
  const Module module = LoadKernels("80");
  for (const int range : {0, 1}) {
    for (const uint32_t k : {1u, 10u, 64u}) {
      std::vector<int8_t> rows = Values(random, 200, range);
      const std::vector<int8_t> copy = rows;
      rows.insert(rows.end(), copy.begin(), copy.end());
      ExpectEqual(module, rows, Values(random, 9, 1), k, k);
    }
  }
}

TEST(TopKKernel, ExtremesOfInt8AreExact) {
  const Module module = LoadKernels("80");
  const std::vector<int8_t> low(kEmbeddingDims * 40, -128), high(kEmbeddingDims * 40, 127);
  for (const auto& rows : {low, high}) {
    for (const auto& queries : {low, high}) ExpectEqual(module, rows, queries, 2, 0);
  }
}

// Rising dots: every representative enters the list and the list overflows again and again.
TEST(TopKKernel, EveryRowIsBetterThanTheLast) {
  std::vector<int8_t> rows(kEmbeddingDims * 2000), queries(kEmbeddingDims * 33, 1);
  for (size_t row = 0; row < 2000; ++row) {
    for (size_t d = 0; d < kEmbeddingDims; ++d) {
      rows[row * kEmbeddingDims + d] =
          static_cast<int8_t>(d < row % 128 ? row / 128 + 1 : row / 128);
    }
  }
  ExpectEqual(LoadKernels("80"), rows, queries, 64, 0);
}

// More than one chunk, the last of one row.
TEST(TopKKernel, SeveralChunksMerge) {
  std::mt19937_64 random(6);
  ExpectEqual(LoadKernels("80"), Values(random, 2 * kTopKChunkRows + 1, 3), Values(random, 3, 128),
              20, 0);
}

}  // namespace
}  // namespace stillwatch::gpu
