// SketchTexts' PTX against the plain CPU loop, byte for byte.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>

#include "gpu/cpu/sketch_row.h"
#include "gpu/cuda/launch.h"
#include "gpu/embed/embedding_table.h"
#include "gpu/sketch/rarity_table.h"
#include "gpu/sketch/table_file.h"
#include "tests/gpu/texts.h"
#include "tests/ptx/device_code.h"

namespace stillwatch::gpu {
namespace {

using ptx::LoadKernels;
using ptx::Module;
using testing::HasSubstr;

class SketchKernelTest : public testing::Test {
 protected:
  void Prepare(uint64_t salt) {
    salt_ = Salt{salt};
    auto rarity = RarityTable::BuiltIn(salt_);
    auto embedding = EmbeddingTable::BuiltIn();
    ASSERT_TRUE(rarity.ok() && embedding.ok());
    rarity_ = std::make_unique<RarityTable>(std::move(rarity).value());
    embedding_ = std::make_unique<EmbeddingTable>(std::move(embedding).value());
    tables_.seeds = MakeSketchSeeds(salt_);
    tables_.rarity = rarity_->view();
    tables_.embedding = embedding_->view();
    tables_.versions = {1, tables_.seeds.salt_id, 3, 4};
  }

  // Every buffer exactly as large as it must be, inputs read-only.
  ptx::Report Launch(const Module& module, Texts& texts, std::vector<Sketch>* out, uint32_t seed) {
    const auto map = [&](const char* name, const auto* data, size_t bytes) {
      return memory_.Map(name, const_cast<void*>(static_cast<const void*>(data)), bytes, false);
    };
    DeviceTables tables = {tables_.seeds, tables_.rarity, tables_.embedding, tables_.versions};
    tables.rarity.entries =
        reinterpret_cast<const uint32_t*>(map("rarity", tables_.rarity.entries, rarity_->bytes()));
    tables.embedding.rows =
        reinterpret_cast<const int8_t*>(map("embedding", tables_.embedding.rows,
                                            (size_t{tables_.embedding.mask} + 1) * kEmbeddingDims));
    const uint32_t rows = texts.batch().rows();
    out->resize(rows);
    std::memset(static_cast<void*>(out->data()), 0xee, rows * sizeof(Sketch));
    const uint64_t arguments[] = {map("tables", &tables, sizeof tables),
                                  map("tokens", texts.tokens.data(), texts.tokens.size() * 4),
                                  map("offsets", texts.offsets.data(), texts.offsets.size() * 4),
                                  map("cuts", texts.cuts.data(), rows * 4),
                                  memory_.Map("sketches", out->data(), rows * sizeof(Sketch))};
    const void* pointers[] = {&arguments[0], &arguments[1], &arguments[2], &arguments[3],
                              &arguments[4]};
    return module.Launch("SketchTexts", {rows, 1}, {kSketchThreads, 1}, pointers, memory_,
                         {.seed = seed});
  }

  void ExpectEqual(const Module& module, Texts& texts, uint32_t seed) {
    std::vector<Sketch> got;
    const ptx::Report report = Launch(module, texts, &got, seed);
    ASSERT_TRUE(report.ok()) << report.error;
    for (uint32_t row = 0; row < got.size(); ++row) {
      Sketch expected;
      SketchRowScalar({tables_.seeds, tables_.rarity, tables_.embedding, tables_.versions},
                      texts.tokens.data() + texts.offsets[row],
                      texts.offsets[row + 1] - texts.offsets[row], texts.cuts[row], &expected);
      const auto* a = reinterpret_cast<const uint8_t*>(&got[row]);
      const auto* b = reinterpret_cast<const uint8_t*>(&expected);
      const size_t differ = static_cast<size_t>(std::mismatch(a, a + sizeof expected, b).first - a);
      ASSERT_EQ(differ, sizeof expected)
          << "row " << row << ", tokens " << texts.offsets[row + 1] - texts.offsets[row] << ", cut "
          << texts.cuts[row] << ", seed " << seed;
    }
  }

  std::vector<uint32_t> Listed() const {
    std::vector<uint32_t> hashes;
    for (const ListedToken& listed : BuiltInRarityList()) {
      hashes.push_back(*ListedTokenHash(listed.token, salt_));
    }
    return hashes;
  }

  Salt salt_;
  SketchTables tables_;
  std::unique_ptr<RarityTable> rarity_;
  std::unique_ptr<EmbeddingTable> embedding_;
  ptx::Memory memory_;
};

TEST_F(SketchKernelTest, AwkwardTextsEqualThePlainLoop) {
  for (const uint64_t salt : {0ull, 0x0123456789abcdefull}) {
    Prepare(salt);
    Texts texts = AwkwardTexts(salt + 5, Listed());
    ExpectEqual(LoadKernels("80"), texts, 0);
  }
}

TEST_F(SketchKernelTest, RandomTextsEqualThePlainLoopOnEveryArchitectureInAnyOrder) {
  Prepare(77);
  std::mt19937_64 random(3);
  const std::vector<uint32_t> listed = Listed();
  for (const char* arch : {"80", "90", "90a", "100"}) {
    const Module module = LoadKernels(arch);
    for (const uint32_t seed : {0u, 1u, 2u}) {
      Texts texts;
      for (int i = 0; i < 60; ++i) {
        const uint32_t length = static_cast<uint32_t>(random() % 300);
        std::vector<uint32_t> text = RandomText(random, length, i % 2 != 0 ? 100 : 0);
        for (uint32_t& token : text) {
          if (random() % 3 == 0) token = listed[random() % listed.size()];
        }
        texts.Add(text, static_cast<uint32_t>(random() % (length + 3)));
      }
      ExpectEqual(module, texts, seed);
    }
  }
}

// No token, the longest part with its cut in the middle, and all tokens in one bin: every shingle
// alike.
TEST_F(SketchKernelTest, HostileTexts) {
  Prepare(0);
  std::mt19937_64 random(4);
  Texts texts;
  texts.Add({});
  texts.Add(RandomText(random, 4096), 2048);
  texts.Add(std::vector<uint32_t>(4096, 0xffffffffu), 2048);
  texts.Add({}, 3);
  for (uint32_t cut = 0; cut < 6; ++cut) texts.Add(RandomText(random, 4), cut);
  ExpectEqual(LoadKernels("80"), texts, 0);
  ExpectEqual(LoadKernels("80"), texts, 9);
}

// Instructions of the PTX that a warp issues for a text: what tools/gpu-proof predicts from. More
// than that is a change to look at.
TEST_F(SketchKernelTest, InstructionsOfAText) {
  Prepare(0);
  const Module module = LoadKernels("80");
  struct Budget {
    uint32_t tokens, instructions;
  };
  for (const Budget& budget : {Budget{20, 5'100}, Budget{100, 12'700}, Budget{1'000, 106'000}}) {
    std::mt19937_64 random(7);
    Texts texts;
    for (int i = 0; i < 20; ++i) texts.Add(RandomText(random, budget.tokens));
    std::vector<Sketch> out;
    const ptx::Report report = Launch(module, texts, &out, 0);
    ASSERT_EQ(report.error, "");
    EXPECT_LE(report.warp_instructions / 20, budget.instructions) << budget.tokens;
  }
}

TEST_F(SketchKernelTest, AMissingBarrierIsCaught) {
  Prepare(0);
  std::mt19937_64 random(5);
  Texts texts;
  texts.Add(RandomText(random, 200));
  std::vector<Sketch> out;
  const Module module = LoadKernels("MISSING_BARRIER");
  for (const uint32_t seed : {0u, 1u, 2u, 3u}) {
    const std::string error = Launch(module, texts, &out, seed).error;
    EXPECT_TRUE(error.find("shared-memory race") != std::string::npos ||
                error.find("uninitialised shared") != std::string::npos)
        << error;
  }
}

TEST_F(SketchKernelTest, AnOffByOneIsCaught) {
  Prepare(0);
  std::mt19937_64 random(6);
  Texts texts;
  texts.Add(RandomText(random, 50));
  std::vector<Sketch> out;
  EXPECT_THAT(Launch(LoadKernels("OFF_BY_ONE"), texts, &out, 0).error,
              HasSubstr("at byte 200 of buffer 'tokens', which has 200"));
}

}  // namespace
}  // namespace stillwatch::gpu
