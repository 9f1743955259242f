// The LSH window: rules by hand, then random batches against the slow oracle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "gpu/cpu/cpu_backend.h"
#include "gpu/window/window.h"
#include "tests/gpu/texts.h"
#include "tests/gpu/window_oracle.h"

namespace stillwatch::gpu {

void PrintTo(const Candidate& c, std::ostream* out) {
  *out << "{row " << c.row << " id " << c.id << " bands " << c.bands_shared << " oph "
       << c.oph_equal << " simhash " << c.simhash_distance << "}";
}
bool operator==(const Candidate& a, const Candidate& b) {
  return a.row == b.row && a.id == b.id && a.bands_shared == b.bands_shared &&
         a.oph_equal == b.oph_equal && a.simhash_distance == b.simhash_distance;
}

namespace {

using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

std::unique_ptr<LshWindow> MakeWindow(WindowOptions options, CounterBlock<GpuCounter>* counters) {
  options.bytes = LshWindow::BytesMin();
  auto made = LshWindow::Make(options, counters);
  EXPECT_TRUE(made.ok()) << made.message();
  return std::move(made).value();
}

// A text that shares `bands` bands (from band 0) with all others of its family.
Sketch Member(uint32_t family, uint32_t own, uint32_t bands) {
  Sketch sketch;
  std::memset(static_cast<void*>(&sketch), 0, sizeof sketch);
  for (uint32_t b = 0; b < kBands; ++b) {
    sketch.bands[b] = Mix32((b < bands ? family * 2 + 1 : own * 2 + 1000000) * 64 + b);
  }
  for (uint8_t& byte : sketch.oph) byte = static_cast<uint8_t>(Mix32(own + byte));
  for (uint32_t i = 0; i < kSimHashWords; ++i) sketch.simhash[i] = Mix64(own * 8 + i + 1);
  sketch.tokens = 10;
  sketch.versions = {};
  return sketch;
}

class WindowTest : public testing::Test {
 protected:
  std::vector<Candidate> Run(LshWindow& window, const std::vector<Sketch>& sketches,
                             const std::vector<uint64_t>& ids) {
    std::vector<Candidate> candidates;
    const Status status = window.ProbeAndInsert(sketches, ids, &candidates);
    EXPECT_TRUE(status.ok()) << status.message();
    return candidates;
  }
  auto Pair(uint32_t row, uint64_t id, uint16_t bands) {
    return testing::AllOf(Field(&Candidate::row, row), Field(&Candidate::id, id),
                          Field(&Candidate::bands_shared, bands));
  }
  CounterBlock<GpuCounter> counters_{kGpuCounterNames};
};

TEST_F(WindowTest, FindsWhatWasStoredAndWhatIsInTheBatch) {
  auto window = MakeWindow({}, &counters_);
  EXPECT_THAT(Run(*window, {Member(1, 1, 5), Member(1, 2, 7), Member(2, 3, 32)}, {100, 200, 300}),
              ElementsAre(Pair(1, 100, 5)));
  EXPECT_THAT(Run(*window, {Member(2, 4, 1), Member(1, 5, 32)}, {400, 50}),
              ElementsAre(Pair(0, 300, 1), Pair(1, 100, 5), Pair(1, 200, 7)));
  EXPECT_THAT(Run(*window, {Member(3, 6, 32)}, {600}), IsEmpty());
}

TEST_F(WindowTest, VerifiesFromTheStoredSketches) {
  auto window = MakeWindow({}, &counters_);
  const Sketch stored = Member(1, 1, 3);
  Run(*window, {stored}, {1});
  Sketch probe = stored;
  probe.oph[0] ^= 0x01;
  probe.oph[5] ^= 0xf0;
  probe.oph[63] ^= 0x11;
  probe.simhash[0] ^= 0x7;
  probe.simhash[7] ^= 1ull << 63;
  const std::vector<Candidate> got = Run(*window, {probe}, {2});
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].bands_shared, 32);
  EXPECT_EQ(got[0].oph_equal, 128 - 4);
  EXPECT_EQ(got[0].simhash_distance, 4);
}

TEST_F(WindowTest, EmptyTextsNeitherProbeNorStay) {
  auto window = MakeWindow({}, &counters_);
  Sketch empty = Member(1, 1, 32);
  empty.tokens = 0;
  EXPECT_THAT(Run(*window, {empty, empty}, {1, 2}), IsEmpty());
  EXPECT_THAT(Run(*window, {Member(1, 2, 32)}, {3}), IsEmpty());
}

TEST_F(WindowTest, OldEpochsNoLongerMatch) {
  auto window = MakeWindow({.epochs_kept = 2}, &counters_);
  Run(*window, {Member(1, 1, 2)}, {1});
  window->AdvanceEpoch();
  EXPECT_THAT(Run(*window, {Member(1, 2, 2)}, {2}), ElementsAre(Pair(0, 1, 2)));
  window->AdvanceEpoch();
  EXPECT_THAT(Run(*window, {Member(1, 3, 2)}, {3}), ElementsAre(Pair(0, 2, 2)));
  window->AdvanceEpoch();
  window->AdvanceEpoch();
  EXPECT_THAT(Run(*window, {Member(1, 4, 2)}, {4}), IsEmpty());
}

TEST_F(WindowTest, APopularKeyMakesNoPairsButIsStillCounted) {
  auto window = MakeWindow({.bucket_pairs_max = 4}, &counters_);
  std::vector<size_t> pairs;
  for (uint32_t i = 0; i < 10; ++i) {
    pairs.push_back(Run(*window, {Member(1, i, 1)}, {i}).size());
  }
  EXPECT_THAT(pairs, ElementsAre(0, 1, 2, 3, 4, 0, 0, 0, 0, 0));
  EXPECT_EQ(counters_.Get(GpuCounter::kWindowPopularBands), 5u);
  // The count is of this epoch and the one before: two epochs later it is popular no more.
  window->AdvanceEpoch();
  EXPECT_THAT(Run(*window, {Member(1, 20, 1)}, {20}), IsEmpty());
  window->AdvanceEpoch();
  EXPECT_THAT(Run(*window, {Member(1, 21, 1)}, {21}), ElementsAre(Pair(0, 20, 1)));
}

TEST_F(WindowTest, OneBatchOfEqualTextsIsCappedToo) {
  auto window = MakeWindow({.bucket_pairs_max = 4}, &counters_);
  std::vector<Sketch> sketches(4096, Member(1, 1, 32));
  std::vector<uint64_t> ids(4096);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = i;
  EXPECT_EQ(Run(*window, sketches, ids).size(), 0u + 1 + 2 + 3 + 4);
}

TEST_F(WindowTest, RefusesWhatDoesNotFit) {
  auto small = LshWindow::Make({.bytes = 1 << 20}, &counters_);
  ASSERT_FALSE(small.ok());
  EXPECT_THAT(small.message(), HasSubstr(std::to_string(LshWindow::BytesMin())));
  EXPECT_TRUE(LshWindow::Make({.bytes = LshWindow::BytesMin()}, &counters_).ok());
  EXPECT_FALSE(LshWindow::Make({.bytes = LshWindow::BytesMin() - 1}, &counters_).ok());
  EXPECT_FALSE(LshWindow::Make({.bucket_pairs_max = 63}, &counters_).ok());
  EXPECT_FALSE(LshWindow::Make({.bucket_pairs_max = 0}, &counters_).ok());
  EXPECT_FALSE(LshWindow::Make({.epochs_kept = 0}, &counters_).ok());
  EXPECT_FALSE(LshWindow::Make({.epochs_kept = 65}, &counters_).ok());
  EXPECT_FALSE(LshWindow::Make({.batch_rows_max = 0}, &counters_).ok());

  auto window = MakeWindow({.batch_rows_max = 2}, &counters_);
  std::vector<Candidate> candidates;
  const std::vector<Sketch> three(3, Member(1, 1, 1));
  EXPECT_THAT(window->ProbeAndInsert(three, std::vector<uint64_t>{1, 2, 3}, &candidates).message(),
              HasSubstr("3 rows; batch_rows_max is 2"));
  EXPECT_FALSE(
      window->ProbeAndInsert(std::span(three).first(2), std::vector<uint64_t>{1}, &candidates)
          .ok());

  BackendOptions options;
  options.window_bytes = 1000;
  const auto backend = MakeCpuBackend(options);
  ASSERT_FALSE(backend.ok());
  EXPECT_THAT(backend.message(), HasSubstr("smallest that fits is"));
}

TEST_F(WindowTest, RefusesSketchesOfAnotherSalt) {
  BackendOptions options;
  options.window_bytes = LshWindow::BytesMin();
  options.representatives_max = 1;
  auto backend = MakeCpuBackend(options);
  ASSERT_TRUE(backend.ok());
  Sketch sketch = Member(1, 1, 1);
  sketch.versions = backend.value()->Versions();
  std::vector<Candidate> candidates;
  const std::vector<uint64_t> ids = {1};
  EXPECT_TRUE(backend.value()->ProbeAndInsert(std::span(&sketch, 1), ids, &candidates).ok());
  ++sketch.versions.salt_id;
  EXPECT_FALSE(backend.value()->ProbeAndInsert(std::span(&sketch, 1), ids, &candidates).ok());
}

// What a random text's keys are like in one run of the oracle test.
struct Mix {
  uint32_t families;    // texts share keys inside one of so many families
  uint32_t shared_max;  // bands shared, at most
  double flood;         // share of keys forced into one bucket
  double repeated_key;  // share of texts with one key in all bands
  double empty;
  uint32_t rows_max;
  uint32_t texts;
  double epoch_chance;  // before a batch
  WindowOptions options;
};

void CompareWithOracle(const Mix& mix, uint64_t seed) {
  CounterBlock<GpuCounter> counters(kGpuCounterNames);
  auto window = MakeWindow(mix.options, &counters);
  WindowOracle oracle(window->shape().texts, window->shape().buckets, mix.options.bucket_pairs_max,
                      mix.options.epochs_kept);
  std::mt19937_64 random(seed);
  const auto chance = [&](double p) { return static_cast<double>(random() % 100000) < p * 100000; };
  size_t reported = 0;
  uint64_t id = 1u << 20;
  for (uint32_t done = 0; done < mix.texts;) {
    if (chance(mix.epoch_chance)) {
      window->AdvanceEpoch();
      oracle.AdvanceEpoch();
    }
    const uint32_t rows = 1 + static_cast<uint32_t>(random() % mix.rows_max);
    std::vector<Sketch> sketches;
    std::vector<uint64_t> ids;
    for (uint32_t row = 0; row < rows; ++row) {
      Sketch sketch = Member(static_cast<uint32_t>(random() % mix.families), done + row,
                             static_cast<uint32_t>(random() % (mix.shared_max + 1)));
      for (uint32_t& key : sketch.bands) {
        if (chance(mix.flood)) key = 0x12345000u + static_cast<uint32_t>(random() % 24);
      }
      if (chance(mix.repeated_key)) std::fill(sketch.bands, sketch.bands + kBands, sketch.bands[0]);
      if (chance(mix.empty)) sketch.tokens = 0;
      sketches.push_back(sketch);
      ids.push_back(chance(0.05) && row > 0 ? ids[random() % row] : id - random() % 3);
      id -= 3;
      if (id < 10) id = 1u << 20;
    }
    std::vector<Candidate> got;
    ASSERT_TRUE(window->ProbeAndInsert(sketches, ids, &got).ok());
    const std::vector<Candidate> expected = oracle.ProbeAndInsert(sketches, ids);
    ASSERT_EQ(got.size(), expected.size()) << "after " << done << " texts";
    ASSERT_TRUE(got == expected) << "after " << done << " texts";
    reported += got.size();
    done += rows;
  }
  EXPECT_GT(reported, 100u) << "the run compared next to nothing";
  EXPECT_EQ(counters.Get(GpuCounter::kWindowEvicted), oracle.evicted());
}

TEST(WindowOracleTest, SmallBatchesManyEpochs) {
  CompareWithOracle({.families = 50,
                     .shared_max = 32,
                     .flood = 0,
                     .repeated_key = 0.02,
                     .empty = 0.05,
                     .rows_max = 20,
                     .texts = 6000,
                     .epoch_chance = 0.05,
                     .options = {.bucket_pairs_max = 8, .epochs_kept = 2}},
                    1);
  CompareWithOracle({.families = 50,
                     .shared_max = 32,
                     .flood = 0,
                     .repeated_key = 0.02,
                     .empty = 0.05,
                     .rows_max = 20,
                     .texts = 6000,
                     .epoch_chance = 0.1,
                     .options = {.bucket_pairs_max = 62, .epochs_kept = 1}},
                    2);
  CompareWithOracle({.families = 50,
                     .shared_max = 32,
                     .flood = 0,
                     .repeated_key = 0.02,
                     .empty = 0.05,
                     .rows_max = 20,
                     .texts = 6000,
                     .epoch_chance = 0.3,
                     .options = {.bucket_pairs_max = 5, .epochs_kept = 64}},
                    3);
}

TEST(WindowOracleTest, FloodsIntoOneBucket) {
  CompareWithOracle({.families = 2000,
                     .shared_max = 32,
                     .flood = 0.3,
                     .repeated_key = 0.1,
                     .empty = 0,
                     .rows_max = 300,
                     .texts = 4000,
                     .epoch_chance = 0.2,
                     .options = {.bucket_pairs_max = 32, .epochs_kept = 3}},
                    4);
}

TEST(WindowOracleTest, TheRingComesRound) {
  CompareWithOracle({.families = 3000,
                     .shared_max = 4,
                     .flood = 0,
                     .repeated_key = 0,
                     .empty = 0.01,
                     .rows_max = 4096,
                     .texts = 60'000,
                     .epoch_chance = 0.02,
                     .options = {.bucket_pairs_max = 32, .epochs_kept = 2}},
                    5);
}

}  // namespace
}  // namespace stillwatch::gpu
