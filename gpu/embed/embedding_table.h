// The static embedding's rows in memory: made at start from a table file or at random, never
// changed.
//
// Rows are addressed by the low bits of the token hash. Built in: 65,536 random rows, each value
// +32 or -32, so a text's embedding is a random projection of its bag of words (a fallback: it
// knows nothing of meaning). A file replaces the rows of the tokens that it lists; where two listed
// tokens meet in one row the first stays, so a file lists frequent tokens first. Rows that no
// listed token takes are random.
//
// File (gpu/sketch/table_file.h, magic SWEMBEDT, dims 128, parameter log2 of the rows, 8..20): for
// each token one byte length (1..255), the token, 128 int8 values in -127..127, of norm 362 at most or so.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "gpu/embed/embedding.h"
#include "gpu/memory_block.h"

namespace stillwatch::gpu {

inline constexpr uint32_t kBuiltInRowsLog2 = 16;
// The random rows do not depend on the salt (token hashes already do).
inline constexpr uint64_t kRandomRowsSeed = 0x5354494c4c524f57ull;  // "STILLROW"

// Bits of the random row: value d is +32 when bit d % 64 of word d / 64 is set, else -32.
constexpr uint64_t RandomRowWord(uint32_t row, uint32_t word) {
  return Mix64(kRandomRowsSeed + (2ull * row + word + 1) * 0x9e3779b97f4a7c15ull);
}

struct ListedVector {
  std::string_view token;
  int8_t values[kEmbeddingDims];
};

class EmbeddingTable {
 public:
  static Result<EmbeddingTable> Load(const std::string& path, Salt salt);
  // What an option names: "" is the built-in one.
  static Result<EmbeddingTable> Open(const std::string& path, Salt salt) { return path.empty() ? BuiltIn() : Load(path, salt); }
  static Result<EmbeddingTable> BuiltIn();

  EmbeddingView view() const { return {reinterpret_cast<const int8_t*>(rows_.data()), row_mask_}; }
  uint16_t id() const { return id_; }
  uint64_t bytes() const { return rows_.size(); }

 private:
  static Result<EmbeddingTable> MakeRandom(uint32_t rows_log2);

  MemoryBlock rows_;
  uint32_t row_mask_ = 0;
  uint16_t id_ = 0;
};

// Writes a table file; for the tools that make tables, and tests.
Status WriteEmbeddingTable(const std::string& path, std::span<const ListedVector> vectors,
                           uint32_t rows_log2);

}  // namespace stillwatch::gpu
