// Table files: what they change, and that a file that does not fit is refused with a reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "gpu/cpu/cpu_backend.h"
#include "gpu/embed/embedding_table.h"
#include "gpu/sketch/rarity_table.h"
#include "gpu/sketch/table_file.h"
#include "gpu/window/window.h"
#include "tests/gpu/texts.h"

namespace stillwatch::gpu {
namespace {

using testing::HasSubstr;

class TableTest : public testing::Test {
 protected:
  TableTest() {
    dir_ = std::filesystem::temp_directory_path() / ("gpu_table_test." + std::to_string(getpid()));
    std::filesystem::create_directories(dir_);
    options_.window_bytes = LshWindow::BytesMin();
    options_.representatives_max = 64;
  }
  ~TableTest() override { std::filesystem::remove_all(dir_); }

  std::string Path(const char* name) const { return (dir_ / name).string(); }

  std::string Rarity() const {
    const std::string path = Path("rarity");
    const ListedToken tokens[] = {{"the", 1}, {"teacher", 90}, {"photosynthesis", 200}};
    const Status status = WriteRarityTable(path, tokens, 150);
    EXPECT_TRUE(status.ok());
    return path;
  }
  std::string Embedding(uint32_t rows_log2 = 12) const {
    const std::string path = Path("embedding");
    ListedVector vector{"teacher", {}};
    for (uint32_t d = 0; d < kEmbeddingDims; ++d) vector.values[d] = static_cast<int8_t>(d);
    const Status status = WriteEmbeddingTable(path, std::span(&vector, 1), rows_log2);
    EXPECT_TRUE(status.ok());
    return path;
  }
  static void Poke(const std::string& path, size_t at, uint8_t value) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(value));
  }
  std::string RefusalOfRarity(const std::string& path) {
    BackendOptions options = options_;
    options.rarity_table_path = path;
    auto made = MakeCpuBackend(options);
    EXPECT_FALSE(made.ok());
    return made.ok() ? "" : made.message();
  }
  std::string RefusalOfEmbedding(const std::string& path) {
    BackendOptions options = options_;
    options.embedding_table_path = path;
    auto made = MakeCpuBackend(options);
    EXPECT_FALSE(made.ok());
    return made.ok() ? "" : made.message();
  }

  std::filesystem::path dir_;
  BackendOptions options_;
};

TEST_F(TableTest, RarityComesFromTheFileUnderTheSalt) {
  options_.rarity_table_path = Rarity();
  options_.salt = Salt{77};
  auto made = MakeCpuBackend(options_);
  ASSERT_TRUE(made.ok()) << made.message();
  Backend& backend = *made.value();
  EXPECT_EQ(backend.RarityOf(*ListedTokenHash("the", Salt{77})), 1);
  EXPECT_EQ(backend.RarityOf(*ListedTokenHash("teacher", Salt{77})), 90);
  EXPECT_EQ(backend.RarityOf(*ListedTokenHash("photosynthesis", Salt{77})), 200);
  EXPECT_EQ(backend.RarityOf(*ListedTokenHash("teacher", Salt{78})), 150) << "another fleet's hash";
  EXPECT_NE(backend.Versions().rarity_id, 0);
}

TEST_F(TableTest, EveryWordOfTheBuiltInListHasItsClassAndNoOtherHashHas) {
  auto made = RarityTable::BuiltIn(Salt{5});
  ASSERT_TRUE(made.ok()) << made.message();
  const RarityTable& table = made.value();
  std::set<uint32_t> listed;
  for (const ListedToken& token : BuiltInRarityList()) {
    const uint32_t hash = *ListedTokenHash(token.token, Salt{5});
    if (!listed.insert(hash).second) continue;
    ASSERT_EQ(RarityClassOf(table.view(), hash), token.rarity_class) << token.token;
  }
  EXPECT_GT(listed.size(), 2000u);
  // Neighbours of listed hashes share a place or the upper bits; none may match.
  for (const uint32_t hash : listed) {
    for (uint32_t bit = 0; bit < 32; ++bit) {
      const uint32_t other = hash ^ 1u << bit;
      if (!listed.contains(other)) {
        ASSERT_EQ(RarityClassOf(table.view(), other), kBuiltInUnknownClass);
      }
    }
    for (uint32_t low = 0; low < 256; ++low) {
      const uint32_t other = (hash & ~255u) | low;
      if (!listed.contains(other)) {
        ASSERT_EQ(RarityClassOf(table.view(), other), kBuiltInUnknownClass);
      }
    }
  }
  EXPECT_EQ(RarityClassOf(table.view(), 0), kBuiltInUnknownClass);
  EXPECT_EQ(RarityClassOf(table.view(), 7), kBuiltInUnknownClass);
}

TEST_F(TableTest, EmbeddingRowsComeFromTheFile) {
  options_.embedding_table_path = Embedding();
  auto made = MakeCpuBackend(options_);
  ASSERT_TRUE(made.ok()) << made.message();
  Texts texts;
  texts.Add({*ListedTokenHash("teacher", Salt{})});
  Sketch sketch;
  ASSERT_TRUE(made.value()->ComputeSketches(texts.batch(), std::span(&sketch, 1)).ok());
  for (uint32_t d = 1; d < kEmbeddingDims; ++d) {
    ASSERT_GE(sketch.embedding[d], sketch.embedding[d - 1]);  // the row rises with d
  }
  EXPECT_GT(sketch.embedding[127], 50);
  EXPECT_NE(made.value()->Versions().table_id, 0);
}

TEST_F(TableTest, TheFirstOfTwoTokensInOneRowStays) {
  // 256 rows and 600 tokens: most rows are asked for twice.
  std::vector<std::string> names;
  for (int i = 0; i < 600; ++i) {
    names.push_back(std::string("w") + static_cast<char>('a' + i / 26) +
                    static_cast<char>('a' + i % 26));
  }
  std::vector<ListedVector> vectors;
  for (size_t i = 0; i < names.size(); ++i) {
    ListedVector vector{names[i], {}};
    std::memset(vector.values, static_cast<int>(i % 100), sizeof vector.values);
    vectors.push_back(vector);
  }
  const std::string path = Path("many");
  ASSERT_TRUE(WriteEmbeddingTable(path, vectors, 8).ok());
  auto table = EmbeddingTable::Load(path, Salt{});
  ASSERT_TRUE(table.ok()) << table.message();
  std::set<uint32_t> taken;
  for (const ListedVector& vector : vectors) {
    const uint32_t hash = *ListedTokenHash(vector.token, Salt{});
    if (!taken.insert(hash & 255u).second) continue;
    ASSERT_EQ(EmbeddingRow(table.value().view(), hash)[0], vector.values[0]);
  }
}

TEST_F(TableTest, RefusesWhatDoesNotFit) {
  EXPECT_THAT(RefusalOfRarity(Path("absent")), HasSubstr("cannot open"));
  EXPECT_THAT(RefusalOfRarity(Embedding()), HasSubstr("magic is not SWRARITY"));
  EXPECT_THAT(RefusalOfEmbedding(Rarity()), HasSubstr("magic is not SWEMBEDT"));

  std::string path = Rarity();
  Poke(path, 8, 2);
  EXPECT_THAT(RefusalOfRarity(path), HasSubstr("format version 2"));

  path = Embedding();
  Poke(path, 12, 64);
  EXPECT_THAT(RefusalOfEmbedding(path), HasSubstr("64 dimensions, this build needs 128"));

  path = Embedding(21);
  EXPECT_THAT(RefusalOfEmbedding(path), HasSubstr("must be 8 to 20"));

  path = Path("bad_class");
  const ListedToken zero_class[] = {{"the", 0}};
  ASSERT_TRUE(WriteRarityTable(path, zero_class, 150).ok());
  EXPECT_THAT(RefusalOfRarity(path), HasSubstr("class 0"));
  const ListedToken two_tokens[] = {{"two words", 9}};
  ASSERT_TRUE(WriteRarityTable(path, two_tokens, 150).ok());
  EXPECT_THAT(RefusalOfRarity(path), HasSubstr("not exactly one token"));
}

TEST_F(TableTest, EveryFlippedByteIsRefused) {
  for (const bool rarity : {true, false}) {
    const std::string path = rarity ? Rarity() : Embedding();
    const size_t size = std::filesystem::file_size(path);
    for (size_t at = 0; at < size; ++at) {
      std::ifstream in(path, std::ios::binary);
      in.seekg(static_cast<std::streamoff>(at));
      const int before = in.get();
      in.close();
      Poke(path, at, static_cast<uint8_t>(before ^ 0x10));
      const bool refused =
          rarity ? !RarityTable::Load(path, Salt{}).ok() : !EmbeddingTable::Load(path, Salt{}).ok();
      ASSERT_TRUE(refused) << "byte " << at;
      Poke(path, at, static_cast<uint8_t>(before));
    }
  }
}

TEST_F(TableTest, EveryTruncationIsRefused) {
  for (const bool rarity : {true, false}) {
    const std::string path = rarity ? Rarity() : Embedding();
    for (size_t size = std::filesystem::file_size(path); size-- > 0;) {
      std::filesystem::resize_file(path, size);
      const std::string why = rarity ? RefusalOfRarity(path) : RefusalOfEmbedding(path);
      ASSERT_THAT(why, HasSubstr("truncated")) << size;
      if (!rarity && size % 8 != 0) size = std::max<size_t>(size - 7, 1);
    }
  }
  const std::string path = Rarity();
  std::ofstream(path, std::ios::app) << "x";
  EXPECT_THAT(RefusalOfRarity(path), HasSubstr("bytes after its payload"));
}

}  // namespace
}  // namespace stillwatch::gpu
