// Representatives top-k: every kernel of this machine against a sort of all dot products.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>
#include <random>
#include <set>

#include "gpu/join/representatives.h"
#include "tests/gpu/dots.h"
#include "tests/gpu/features.h"

namespace stillwatch::gpu {
namespace {

std::vector<DotKernel> Kernels() {
  std::vector<DotKernel> kernels = {ScalarDotKernel()};
  for (const DotKernel& kernel : {Avx2DotKernel(), Avx512DotKernel(), VnniDotKernel()}) {
    if (kernel.tile != nullptr) kernels.push_back(kernel);
  }
  return kernels;
}

void Compare(const std::vector<int8_t>& rows, const std::vector<int8_t>& queries, uint32_t k) {
  const std::vector<RepresentativeMatch> expected = BruteForce(rows, queries, k);
  for (const DotKernel& kernel : Kernels()) {
    auto table = Representatives::Make(700, kernel);
    ASSERT_TRUE(table.ok());
    ASSERT_TRUE(table.value().Set(rows).ok());
    std::vector<RepresentativeMatch> got(expected.size());
    ASSERT_TRUE(table.value().TopK(queries, k, got).ok());
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].representative, expected[i].representative) << kernel.name << " place " << i;
      ASSERT_EQ(got[i].dot, expected[i].dot) << kernel.name << " place " << i;
    }
  }
}

TEST(TopK, EqualsASortOfAllDots) {
  std::mt19937_64 random(1);
  for (const size_t rows : {0, 1, 5, 63, 64, 65, 200, 700}) {
    for (const size_t queries : {1, 5, 6, 7, 13, 100}) {
      for (const uint32_t k : {1u, 3u, 16u, 64u}) {
        Compare(Values(random, rows, 128), Values(random, queries, 128), k);
      }
    }
  }
}

// A processor with AVX-512 and no VNNI must not meet vpdpbusd, and so on: each level is chosen by taking
// features away, and all that are chosen here are among those that the other tests run.
TEST(TopK, EveryLevelIsChosenByItsFeatures) {
  std::set<std::string> chosen, run;
  for (const CpuFeatures& features : FeatureSubsets()) {
    const DotKernel kernel = DotKernelFor(features);
    EXPECT_EQ(kernel.name, LevelOf(features));
    EXPECT_NE(kernel.tile, nullptr) << kernel.name;
    chosen.insert(kernel.name);
  }
  for (const DotKernel& kernel : Kernels()) run.insert(kernel.name);
  EXPECT_EQ(chosen, LevelsOfThisCpu());
  EXPECT_EQ(chosen, run);
  EXPECT_STREQ(BestDotKernel().name, LevelOf(FeaturesOfThisCpu()).c_str());
}

TEST(TopK, TiesGoToTheLowerIndex) {
  std::mt19937_64 random(2);
  for (const int range : {0, 1}) {
    for (const uint32_t k : {1u, 2u, 10u, 64u}) {
      std::vector<int8_t> rows = Values(random, 300, range);
      // Every row three times, in three places.
      const std::vector<int8_t> copy = rows;
      rows.insert(rows.end(), copy.begin(), copy.end());
      Compare(rows, Values(random, 9, 1), k);
    }
  }
}

TEST(TopK, ExtremesOfInt8AreExact) {
  const std::vector<int8_t> low(kEmbeddingDims * 3, -128), high(kEmbeddingDims * 3, 127);
  Compare(low, low, 2);
  Compare(low, high, 2);
  Compare(high, low, 2);
  Compare(high, high, 2);
}

TEST(TopK, ASecondTableReplacesTheFirst) {
  std::mt19937_64 random(4);
  const std::vector<int8_t> first = Values(random, 700, 128), second = Values(random, 70, 5);
  const std::vector<int8_t> queries = Values(random, 3, 128);
  for (const DotKernel& kernel : Kernels()) {
    auto table = Representatives::Make(700, kernel);
    ASSERT_TRUE(table.ok());
    ASSERT_TRUE(table.value().Set(first).ok());
    ASSERT_TRUE(table.value().Set(second).ok());
    std::vector<RepresentativeMatch> got(3 * 8);
    ASSERT_TRUE(table.value().TopK(queries, 8, got).ok());
    const auto expected = BruteForce(second, queries, 8);
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].representative, expected[i].representative);
    }
  }
}

TEST(TopK, RefusesWhatDoesNotFit) {
  auto table = Representatives::Make(2, BestDotKernel());
  ASSERT_TRUE(table.ok());
  std::vector<int8_t> values(kEmbeddingDims * 3);
  EXPECT_THAT(table.value().Set(values).message(), testing::HasSubstr("representatives_max is 2"));
  EXPECT_FALSE(table.value().Set(std::span(values).first(100)).ok());
  std::vector<RepresentativeMatch> out(3);
  EXPECT_TRUE(table.value().TopK(values, 1, out).ok());
  EXPECT_FALSE(table.value().TopK(values, 2, out).ok());
  EXPECT_FALSE(table.value().TopK(values, 0, out).ok());
  std::vector<RepresentativeMatch> many(3 * 65);
  EXPECT_FALSE(table.value().TopK(values, 65, many).ok());
}

}  // namespace
}  // namespace stillwatch::gpu
