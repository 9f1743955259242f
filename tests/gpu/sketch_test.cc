// Sketches: the vectorised code against the plain loop on every instruction set of this machine,
// the plain loop's rules one by one, and what is refused.
#define HWY_WANT_AVX3_DL  // as sketch_simd.cc: all of its instruction sets are compared
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwy/targets.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <set>

#include "gpu/cpu/cpu_backend.h"
#include "gpu/cpu/sketch_row.h"
#include "gpu/embed/embedding_table.h"
#include "gpu/sketch/oph.h"
#include "gpu/sketch/rarity_table.h"
#include "gpu/sketch/table_file.h"
#include "gpu/window/window.h"
#include "tests/gpu/texts.h"

namespace stillwatch::gpu {
namespace {

BackendOptions SmallOptions(uint64_t salt = 0) {
  BackendOptions options;
  options.salt = Salt{salt};
  options.window_bytes = LshWindow::BytesMin();
  options.representatives_max = 64;
  return options;
}

std::unique_ptr<Backend> Scalar(uint64_t salt = 0) {
  auto made = MakeScalarBackend(SmallOptions(salt));
  EXPECT_TRUE(made.ok()) << made.message();
  return std::move(made).value();
}

std::vector<uint32_t> ListedHashes(Salt salt) {
  std::vector<uint32_t> hashes;
  for (const ListedToken& listed : BuiltInRarityList()) {
    hashes.push_back(*ListedTokenHash(listed.token, salt));
  }
  return hashes;
}

std::vector<Sketch> SketchAll(Backend& backend, const Texts& texts) {
  std::vector<Sketch> sketches(texts.cuts.size());
  const Status status = backend.ComputeSketches(texts.batch(), sketches);
  EXPECT_TRUE(status.ok()) << status.message();
  return sketches;
}

Sketch SketchOf(Backend& backend, const std::vector<uint32_t>& text, uint32_t cut = 0) {
  Texts texts;
  texts.Add(text, cut);
  return SketchAll(backend, texts)[0];
}

bool Equal(const Sketch& a, const Sketch& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

TEST(Sketch, EveryInstructionSetEqualsThePlainLoop) {
  size_t sets = 0;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    for (const uint64_t salt : {0ull, 0x0123456789abcdefull}) {
      const Texts texts = AwkwardTexts(salt + 1, ListedHashes(Salt{salt}));
      const std::vector<Sketch> expected = SketchAll(*Scalar(salt), texts);
      hwy::SetSupportedTargetsForTest(target);
      auto made = MakeCpuBackend(SmallOptions(salt));
      hwy::SetSupportedTargetsForTest(0);
      ASSERT_TRUE(made.ok()) << made.message();
      const std::vector<Sketch> got = SketchAll(*made.value(), texts);
      for (size_t row = 0; row < expected.size(); ++row) {
        ASSERT_TRUE(Equal(got[row], expected[row]))
            << made.value()->Info().name << ", row " << row << ", tokens "
            << texts.offsets[row + 1] - texts.offsets[row] << ", cut " << texts.cuts[row];
      }
    }
    ++sets;
  }
  EXPECT_GE(sets, 2u) << "only one instruction set was compared";
}

TEST(Sketch, ThousandsOfRandomTexts) {
  auto fast = MakeCpuBackend(SmallOptions(7));
  ASSERT_TRUE(fast.ok());
  std::mt19937_64 random(11);
  Texts texts;
  for (int i = 0; i < 3000; ++i) {
    const uint32_t length = static_cast<uint32_t>(random() % 400);
    texts.Add(RandomText(random, length, i % 2 != 0 ? 200 : 0),
              random() % 3 != 0 ? 0 : static_cast<uint32_t>(random() % 400));
  }
  const std::vector<Sketch> expected = SketchAll(*Scalar(7), texts);
  const std::vector<Sketch> got = SketchAll(*fast.value(), texts);
  for (size_t row = 0; row < expected.size(); ++row) ASSERT_TRUE(Equal(got[row], expected[row]));
}

// bench_stages measures the parts alone: they must be what the whole does.
TEST(Sketch, PartsAloneEqualTheWhole) {
  const auto embedding = EmbeddingTable::BuiltIn();
  const auto rarity = RarityTable::BuiltIn(Salt{});
  ASSERT_TRUE(embedding.ok() && rarity.ok());
  const SketchTables tables{MakeSketchSeeds(Salt{}), rarity.value().view(), embedding.value().view(), {}};
  SimdScratch* scratch = NewSimdScratch(tables.seeds);
  const auto sketch = [&](SketchPart part, const std::vector<uint32_t>& tokens) {
    Sketch out;
    ChooseSketchRowSimd(part).row(tables, tokens.data(), static_cast<uint32_t>(tokens.size()), 5, scratch, &out);
    return out;
  };
  for (const uint32_t length : {1u, 3u, 17u, 300u}) {
    std::vector<uint32_t> tokens(length);
    for (uint32_t i = 0; i < length; ++i) tokens[i] = Mix32(i + length);
    Sketch joined = sketch(SketchPart::kOph, tokens);
    const Sketch simhash = sketch(SketchPart::kSimHash, tokens);
    const Sketch embedded = sketch(SketchPart::kEmbedding, tokens);
    std::memcpy(joined.simhash, simhash.simhash, sizeof joined.simhash);
    std::memcpy(joined.embedding, embedded.embedding, sizeof joined.embedding);
    EXPECT_TRUE(Equal(joined, sketch(SketchPart::kAll, tokens))) << length;
  }
  DeleteSimdScratch(scratch);
}

// Texts that end where readable memory ends.
TEST(Sketch, ReadsNothingPastTheText) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* memory =
      mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  ASSERT_EQ(mprotect(static_cast<char*>(memory) + 2 * page, page, PROT_NONE), 0);
  auto* end = reinterpret_cast<uint32_t*>(static_cast<char*>(memory) + 2 * page);
  auto plain = Scalar();
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    auto made = MakeCpuBackend(SmallOptions());
    hwy::SetSupportedTargetsForTest(0);
    ASSERT_TRUE(made.ok());
    for (uint32_t length = 0; length <= 300; ++length) {
      for (uint32_t i = 1; i <= length; ++i) *(end - i) = i * 2654435761u;
      const uint32_t offsets[] = {0, length};
      const uint32_t cuts[] = {length / 3};
      Sketch got, expected;
      const TokenBatch batch = {{end - length, length}, offsets, cuts};
      ASSERT_TRUE(made.value()->ComputeSketches(batch, std::span(&got, 1)).ok());
      ASSERT_TRUE(plain->ComputeSketches(batch, std::span(&expected, 1)).ok());
      ASSERT_TRUE(Equal(got, expected)) << length;
    }
  }
  munmap(memory, 3 * page);
}

// The figures of docs/sketches.md, within what 4,000 pairs allow.
TEST(Sketch, CandidatesAndEstimatesFollowTheory) {
  auto made = MakeCpuBackend(SmallOptions(42));
  ASSERT_TRUE(made.ok());
  struct Case {
    uint32_t tokens, shared_shingles;
    double candidate_low, candidate_high, rmse_max;
  };
  for (const Case& c : {Case{8, 4, 0.84, 0.90, 0.075}, Case{100, 65, 0.83, 0.89, 0.050},
                        Case{1000, 665, 0.85, 0.90, 0.048}, Case{100, 0, 0, 0, 0.028}}) {
    std::mt19937_64 random(c.tokens);
    const double jaccard =
        static_cast<double>(c.shared_shingles) / (2 * ShinglesOf(c.tokens) - c.shared_shingles);
    double candidates = 0, error = 0, square = 0;
    constexpr int kPairs = 4000;
    for (int pair = 0; pair < kPairs; ++pair) {
      const std::vector<uint32_t> a = RandomText(random, c.tokens);
      std::vector<uint32_t> b = RandomText(random, c.tokens);
      if (c.shared_shingles != 0) std::copy_n(a.begin(), c.shared_shingles + 2, b.begin());
      const Sketch x = SketchOf(*made.value(), a), y = SketchOf(*made.value(), b);
      bool shares = false;
      for (uint32_t band = 0; band < kBands; ++band) shares |= x.bands[band] == y.bands[band];
      candidates += shares;
      double equal = 0;
      for (uint32_t i = 0; i < kOphBins / 2; i += 8) {
        uint64_t p, q;
        std::memcpy(&p, x.oph + i, 8);
        std::memcpy(&q, y.oph + i, 8);
        equal += EqualNibbles(p, q);
      }
      const double estimate = (equal / 128 - 1.0 / 16) / (15.0 / 16);
      error += estimate - jaccard;
      square += (estimate - jaccard) * (estimate - jaccard);
    }
    EXPECT_GE(candidates / kPairs, c.candidate_low) << c.tokens;
    EXPECT_LE(candidates / kPairs, c.candidate_high) << c.tokens;
    EXPECT_NEAR(error / kPairs, 0, 0.004) << c.tokens;
    EXPECT_LT(std::sqrt(square / kPairs), c.rmse_max) << c.tokens;
  }
}

TEST(Sketch, EmptyTextIsAllZero) {
  Sketch sketch = SketchOf(*Scalar(), {});
  EXPECT_EQ(sketch.tokens, 0u);
  sketch.versions = {};
  Sketch zero;
  std::memset(static_cast<void*>(&zero), 0, sizeof zero);
  zero.versions = {};
  EXPECT_TRUE(Equal(sketch, zero));
}

TEST(Sketch, ShortTextsHaveOneShingleOfWhatThereIs) {
  EXPECT_EQ(ShinglesOf(0), 0u);
  EXPECT_EQ(ShinglesOf(1), 1u);
  EXPECT_EQ(ShinglesOf(2), 1u);
  EXPECT_EQ(ShinglesOf(3), 1u);
  EXPECT_EQ(ShinglesOf(4), 2u);
  EXPECT_EQ(ShinglesOf(100), 98u);
  // Different texts, different bands: none of the three is a prefix's sketch.
  auto backend = Scalar();
  const Sketch one = SketchOf(*backend, {5});
  const Sketch two = SketchOf(*backend, {5, 0});
  const Sketch three = SketchOf(*backend, {5, 0, 0});
  EXPECT_NE(one.bands[0], two.bands[0]);
  EXPECT_NE(two.bands[0], three.bands[0]);
}

// Tokens a b c | d e f: with the cut no shingle holds both c and d, so swapping the halves changes
// nothing but the cut's place.
TEST(Sketch, ShinglesDoNotCrossTheCut) {
  auto backend = Scalar();
  const std::vector<uint32_t> text = {1, 2, 3, 4, 5, 6, 7};
  const std::vector<uint32_t> swapped = {4, 5, 6, 7, 1, 2, 3};
  const Sketch with = SketchOf(*backend, text, 3);
  const Sketch moved = SketchOf(*backend, swapped, 4);
  EXPECT_EQ(std::memcmp(with.bands, moved.bands, sizeof with.bands), 0);
  const Sketch without = SketchOf(*backend, text);
  EXPECT_NE(std::memcmp(with.bands, without.bands, sizeof with.bands), 0);
  EXPECT_TRUE(Equal(without, SketchOf(*backend, text, 7))) << "a cut at the end is none";
}

TEST(Sketch, OrderChangesBandsButNeitherSimHashNorEmbedding) {
  auto backend = Scalar();
  const Sketch a = SketchOf(*backend, {10, 20, 30, 40, 50});
  const Sketch b = SketchOf(*backend, {50, 40, 30, 20, 10});
  EXPECT_NE(std::memcmp(a.bands, b.bands, sizeof a.bands), 0);
  EXPECT_EQ(std::memcmp(a.simhash, b.simhash, sizeof a.simhash), 0);
  EXPECT_EQ(std::memcmp(a.embedding, b.embedding, sizeof a.embedding), 0);
}

TEST(Sketch, EmbeddingHasTheSameLengthForAllTexts) {
  auto backend = Scalar();
  std::mt19937_64 random(3);
  for (size_t tokens : {1, 2, 10, 100, 5000}) {
    const Sketch sketch = SketchOf(*backend, RandomText(random, tokens));
    int64_t squares = 0;
    for (int8_t value : sketch.embedding) squares += value * value;
    EXPECT_NEAR(static_cast<double>(squares), 362.0 * 362.0, 0.03 * 362.0 * 362.0) << tokens;
  }
}

TEST(Sketch, EveryProbeSequenceVisitsAllBins) {
  const uint32_t seed = MakeSketchSeeds(Salt{99}).probe;
  for (uint32_t bin = 0; bin < kOphBins; ++bin) {
    const ProbeSequence probes = ProbesOf(bin, seed);
    std::set<uint32_t> visited;
    for (uint32_t a = 0; a < kOphBins; ++a)
      visited.insert((probes.first + a * probes.step) % kOphBins);
    ASSERT_EQ(visited.size(), kOphBins);
  }
}

TEST(Sketch, RefusesTextsThatAreTooLongAndSpansThatDisagree) {
  auto backend = Scalar();
  Texts texts;
  texts.Add(std::vector<uint32_t>(65'537, 1));
  std::vector<Sketch> out(1);
  const Status too_long = backend->ComputeSketches(texts.batch(), out);
  ASSERT_FALSE(too_long.ok());
  EXPECT_THAT(too_long.message(), testing::HasSubstr("65537 tokens, at most 65536"));
  std::vector<Sketch> two(2);
  EXPECT_FALSE(backend->ComputeSketches(texts.batch(), two).ok());
  texts.offsets = {0, 100};
  texts.tokens.resize(50);
  EXPECT_FALSE(backend->ComputeSketches(texts.batch(), out).ok());
}

TEST(Sketch, VersionsNameTheSaltAndTheTables) {
  const SketchVersions a = Scalar(0)->Versions();
  const SketchVersions b = Scalar(1)->Versions();
  EXPECT_EQ(a.sketch, 1);
  EXPECT_EQ(a.rarity_id, 0);
  EXPECT_EQ(a.table_id, 0);
  EXPECT_NE(a.salt_id, b.salt_id);
}

}  // namespace
}  // namespace stillwatch::gpu
