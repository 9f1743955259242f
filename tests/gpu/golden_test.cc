// Sketches against vectors that tests/gpu/golden_sketch.py made from the definitions.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "base/bytes.h"
#include "gpu/cpu/cpu_backend.h"
#include "gpu/sketch/table_file.h"
#include "gpu/window/window.h"
#include "tests/gpu/texts.h"

namespace stillwatch::gpu {
namespace {

std::vector<uint32_t> Words(const std::string& hex) {
  std::vector<uint32_t> words;
  for (size_t at = 0; at + 8 <= hex.size(); at += 8) {
    words.push_back(static_cast<uint32_t>(std::stoul(hex.substr(at, 8), nullptr, 16)));
  }
  return words;
}

template <typename T>
std::string HexBytes(const T& field) {
  return HexOf(Bytes(reinterpret_cast<const uint8_t*>(&field), sizeof field));
}

void Check(Backend& backend) {
  std::ifstream file(STILLWATCH_SOURCE_DIR "/tests/data/gpu/sketch_golden.txt");
  ASSERT_TRUE(file.good());
  std::string line, name;
  Sketch sketch;
  size_t texts_seen = 0, fields_seen = 0;
  while (std::getline(file, line)) {
    std::istringstream in(line);
    std::string kind, value;
    in >> kind;
    if (kind == "#") continue;
    if (kind == "rarity") {
      std::string word, hash;
      int rarity_class;
      in >> word >> hash >> rarity_class;
      EXPECT_EQ(ListedTokenHash(word, Salt{}), Words(hash)[0]) << word;
      EXPECT_EQ(backend.RarityOf(Words(hash)[0]), rarity_class) << word;
    } else if (kind == "text") {
      uint32_t cut;
      in >> name >> cut >> value;
      Texts texts;
      texts.Add(Words(value), cut);
      ASSERT_TRUE(backend.ComputeSketches(texts.batch(), std::span(&sketch, 1)).ok());
      EXPECT_EQ(sketch.tokens, value.size() / 8);
      ++texts_seen;
    } else {
      in >> value;
      if (kind == "bands") {
        const std::vector<uint32_t> keys = Words(value);
        ASSERT_EQ(keys.size(), kBands);
        EXPECT_TRUE(std::equal(keys.begin(), keys.end(), sketch.bands)) << name;
      } else if (kind == "oph") {
        EXPECT_EQ(HexBytes(sketch.oph), value) << name;
      } else if (kind == "simhash") {
        EXPECT_EQ(HexBytes(sketch.simhash), value) << name;
      } else if (kind == "embedding") {
        EXPECT_EQ(HexBytes(sketch.embedding), value) << name;
      } else {
        FAIL() << "unknown line: " << line;
      }
      ++fields_seen;
    }
  }
  EXPECT_EQ(texts_seen, 23u);
  EXPECT_EQ(fields_seen, 4 * texts_seen);
}

TEST(Golden, SketchesOfBothBackends) {
  BackendOptions options;
  options.window_bytes = LshWindow::BytesMin();
  options.representatives_max = 64;
  auto scalar = MakeScalarBackend(options);
  auto fast = MakeCpuBackend(options);
  ASSERT_TRUE(scalar.ok() && fast.ok());
  Check(*scalar.value());
  Check(*fast.value());
}

}  // namespace
}  // namespace stillwatch::gpu
