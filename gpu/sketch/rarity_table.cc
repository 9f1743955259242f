#include "gpu/sketch/rarity_table.h"

#include <algorithm>
#include <bit>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "gpu/sketch/table_file.h"

namespace stillwatch::gpu {
namespace {

constexpr std::string_view kMagic = "SWRARITY";
constexpr uint32_t kKicksMax = 500;

constexpr ListedToken kBuiltInTokens[] = {
#include "gpu/sketch/rarity_words.inc"
};

// Finds the hash whose entry sits at `place` of half `half`: the low 8 bits come back from the
// place.
uint32_t HashAt(uint32_t entry, uint32_t place, uint32_t multiplier) {
  const uint32_t upper = entry >> 8;
  return upper << 8 | ((place - (upper * multiplier >> 12)) & 255u);
}

}  // namespace

std::span<const ListedToken> BuiltInRarityList() { return kBuiltInTokens; }

// Cuckoo insertion (Pagh and Rodler 2004); false when the chain of moves gets too long.
bool RarityTable::Insert(uint32_t hash, uint32_t rarity_class) {
  const uint32_t half = half_mask_ + 1;
  uint32_t entry = (hash & ~255u) | rarity_class;
  for (uint32_t kick = 0; kick < kKicksMax; ++kick) {
    const bool upper = kick % 2 != 0;
    const uint32_t multiplier = upper ? kRarityPlace2 : kRarityPlace1;
    const uint32_t place = RarityPlace(hash, multiplier, half_mask_);
    uint32_t& slot = entries_[place + (upper ? half : 0)];
    std::swap(entry, slot);
    if (entry == 0) return true;
    hash = HashAt(entry, place, multiplier);
  }
  return false;
}

Result<RarityTable> RarityTable::Make(std::span<const ListedToken> tokens, uint8_t unknown_class,
                                      uint16_t id, Salt salt) {
  std::unordered_set<uint32_t> seen;
  std::vector<std::pair<uint32_t, uint32_t>> hashes;
  for (const ListedToken& listed : tokens) {
    if (listed.rarity_class == 0) {
      return Error{"'" + std::string(listed.token) + "' has class 0, must be 1 to 255"};
    }
    const std::optional<uint32_t> hash = ListedTokenHash(listed.token, salt);
    if (!hash) return Error{"'" + std::string(listed.token) + "' is not exactly one token"};
    if (seen.insert(*hash).second) hashes.emplace_back(*hash, listed.rarity_class);
  }
  RarityTable table;
  table.unknown_class_ = unknown_class;
  table.id_ = id;
  // What a lookup answers does not depend on the layout, so growing until all fit is harmless.
  for (uint64_t half = std::max<uint64_t>(256, std::bit_ceil(hashes.size()));; half *= 2) {
    CHECK(half <= kTableEntriesMax * 64);
    table.half_mask_ = static_cast<uint32_t>(half - 1);
    table.entries_.assign(2 * half, 0);
    bool all = true;
    for (const auto& [hash, rarity_class] : hashes) all = all && table.Insert(hash, rarity_class);
    if (all) return table;
  }
}

Result<RarityTable> RarityTable::BuiltIn(Salt salt) {
  return Make(BuiltInRarityList(), kBuiltInUnknownClass, 0, salt);
}

Result<RarityTable> RarityTable::Load(const std::string& path, Salt salt) {
  Result<TableFile> read = ReadTableFile(path, kMagic, 1, "rarity table");
  if (!read.ok()) return read.error();
  const TableFile& file = read.value();
  const auto refuse = [&](uint64_t entry, const char* why) {
    return Error{"rarity table " + path + ": entry " + std::to_string(entry) + ": " + why};
  };
  if (file.parameter == 0 || file.parameter > 255) {
    return Error{"rarity table " + path + ": class of unlisted tokens is " +
                 std::to_string(file.parameter) + ", must be 1 to 255; make the table again"};
  }
  std::vector<ListedToken> tokens;
  tokens.reserve(file.entries);
  size_t at = 0;
  for (uint64_t entry = 0; entry < file.entries; ++entry) {
    if (file.payload.size() - at < 2) return refuse(entry, "missing; make the table again");
    const uint8_t rarity_class = file.payload[at];
    const size_t length = file.payload[at + 1];
    at += 2;
    if (length == 0 || file.payload.size() - at < length) {
      return refuse(entry, "its token is empty or cut off; make the table again");
    }
    tokens.push_back({AsText(Bytes(file.payload.data() + at, length)), rarity_class});
    at += length;
  }
  if (at != file.payload.size()) {
    return Error{"rarity table " + path + ": bytes after its last entry; make the table again"};
  }
  Result<RarityTable> table = Make(tokens, static_cast<uint8_t>(file.parameter), file.id(), salt);
  if (!table.ok()) {
    return Error{"rarity table " + path + ": " + table.message() + "; make the table again"};
  }
  return table;
}

Status WriteRarityTable(const std::string& path, std::span<const ListedToken> tokens,
                        uint8_t unknown_class) {
  TableFile file;
  file.entries = tokens.size();
  file.parameter = unknown_class;
  for (const ListedToken& listed : tokens) {
    file.payload.push_back(listed.rarity_class);
    file.payload.push_back(static_cast<uint8_t>(listed.token.size()));
    file.payload.insert(file.payload.end(), listed.token.begin(), listed.token.end());
  }
  return WriteTableFile(path, kMagic, 1, file);
}

}  // namespace stillwatch::gpu
