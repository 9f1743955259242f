// Account all-pairs: every kernel of this machine against a sort of all dots.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>
#include <random>

#include "gpu/cpu/cpu_backend.h"
#include "gpu/join/representatives.h"
#include "gpu/window/window.h"
#include "tests/gpu/dots.h"
#include "tests/gpu/features.h"

namespace stillwatch::gpu {
namespace {

void Compare(const std::vector<int8_t>& rows, uint32_t k, int32_t threshold) {
  const std::vector<RepresentativeMatch> expected = BruteForce(rows, rows, k, threshold, Among::kOthers);
  for (const CpuFeatures& features : FeatureSubsets()) {
    const DotKernel kernel = DotKernelFor(features);
    auto table = Representatives::Make(700, kernel);
    ASSERT_TRUE(table.ok());
    std::vector<RepresentativeMatch> got(expected.size());
    ASSERT_TRUE(table.value().AllPairs(rows, k, threshold, got).ok());
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].representative, expected[i].representative) << kernel.name << " place " << i;
      ASSERT_EQ(got[i].dot, expected[i].dot) << kernel.name << " place " << i;
    }
  }
}

TEST(AllPairs, EqualsASortOfAllDots) {
  std::mt19937_64 random(1);
  for (const size_t rows : {0, 1, 2, 63, 64, 65, 97, 300}) {
    for (const uint32_t k : {1u, 5u, 64u}) {
      for (const int32_t threshold : {INT32_MIN, -1, 0, 60'000, INT32_MAX}) {
        Compare(Values(random, rows, 128), k, threshold);
      }
    }
  }
}

// All dots are equal, the threshold just below and at them.
TEST(AllPairs, TiesGoToTheLowerRowAndTheThresholdIsNotReached) {
  const std::vector<int8_t> rows(kEmbeddingDims * 150, -128);
  for (const int32_t threshold : {128 * 16'384 - 1, 128 * 16'384}) Compare(rows, 3, threshold);
  std::mt19937_64 random(2);
  for (const int32_t threshold : {-5, 0, 3}) Compare(Values(random, 200, 1), 10, threshold);
}

TEST(AllPairs, ABackendWithoutRoomSaysSo) {
  BackendOptions options;
  options.window_bytes = LshWindow::BytesMin();
  options.representatives_max = 64;
  auto none = MakeCpuBackend(options);
  options.pairs_rows_max = 4;
  auto some = MakeCpuBackend(options);
  ASSERT_TRUE(none.ok() && some.ok());
  std::mt19937_64 random(3);
  const std::vector<int8_t> rows = Values(random, 4, 128);
  std::vector<RepresentativeMatch> out(4);
  EXPECT_THAT(none.value()->AllPairs(rows, 1, 0, out).message(), testing::HasSubstr("pairs_rows_max is 0"));
  EXPECT_TRUE(some.value()->AllPairs(rows, 1, 0, out).ok());
  EXPECT_FALSE(some.value()->AllPairs(rows, 0, 0, out).ok());
  EXPECT_FALSE(some.value()->AllPairs(rows, 2, 0, out).ok());
  EXPECT_EQ(some.value()->Counters()->Get(GpuCounter::kPairsRows), 4u);
}

}  // namespace
}  // namespace stillwatch::gpu
