// The rarity table in memory: made at start from a table file or the built-in list, never changed.
//
// File (table_file.h, magic SWRARITY, dims 1): for each token one byte class (1..255), one byte
// length (1..255) and the token: a text that the tokenizer makes one token of. A token listed twice
// keeps its first class, and so does a later token whose hash is the same.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "gpu/sketch/rarity.h"

namespace stillwatch::gpu {

struct ListedToken {
  std::string_view token;
  uint8_t rarity_class;
};

// The built-in list's class for tokens that it does not have: one text in 8,192.
inline constexpr uint8_t kBuiltInUnknownClass = 208;
std::span<const ListedToken> BuiltInRarityList();

class RarityTable {
 public:
  static Result<RarityTable> Load(const std::string& path, Salt salt);
  // What an option names: "" is the built-in one.
  static Result<RarityTable> Open(const std::string& path, Salt salt) { return path.empty() ? BuiltIn(salt) : Load(path, salt); }
  static Result<RarityTable> BuiltIn(Salt salt);
  // Fails when a class is 0 or a text is not exactly one token. `id` is what
  // SketchVersions::rarity_id will say.
  static Result<RarityTable> Make(std::span<const ListedToken> tokens, uint8_t unknown_class,
                                  uint16_t id, Salt salt);

  RarityView view() const { return {entries_.data(), half_mask_, unknown_class_}; }
  uint16_t id() const { return id_; }
  uint64_t bytes() const { return entries_.size() * sizeof(uint32_t); }

 private:
  bool Insert(uint32_t hash, uint32_t rarity_class);

  std::vector<uint32_t> entries_;
  uint32_t half_mask_ = 0;
  uint32_t unknown_class_ = 0;
  uint16_t id_ = 0;
};

// Writes a table file; for the tools that make tables, and tests.
Status WriteRarityTable(const std::string& path, std::span<const ListedToken> tokens,
                        uint8_t unknown_class);

}  // namespace stillwatch::gpu
