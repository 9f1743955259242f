// The frame that rarity and embedding table files share: a 64-byte header, then entries that hold
// plain tokens (the loader hashes them under the fleet salt, so one file serves every fleet).
//
//   0  magic, 8 bytes      "SWRARITY" or "SWEMBEDT"
//   8  u32 format version  1
//   12 u32 dims            1 (rarity) or 128 (embedding)
//   16 u64 entries         at most 1,048,576
//   24 u64 payload bytes   at most 256 MiB
//   32 u64 checksum        XXH3-64 of the payload, seeded by XXH3-64 of this header with this field
//   zero 40 u32 parameter       rarity: class of unlisted tokens; embedding: log2 of the rows in
//   memory 44 20 zero bytes
//
// All little-endian. Start-up only; errors name the file, what is wrong and the mend.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/result.h"

namespace stillwatch::gpu {

inline constexpr uint32_t kTableFormatVersion = 1;
inline constexpr uint64_t kTableEntriesMax = 1u << 20;
inline constexpr uint64_t kTablePayloadBytesMax = 256ull << 20;

struct TableFile {
  uint64_t entries = 0;
  uint32_t parameter = 0;
  uint64_t checksum = 0;
  std::vector<uint8_t> payload;

  // Names the table in SketchVersions; never 0, which is the built-in one.
  uint16_t id() const { return static_cast<uint16_t>(1 + checksum % 65'535); }
};

// Reads and checks the frame; `what` ("rarity table") goes into messages. The payload is not
// parsed.
Result<TableFile> ReadTableFile(const std::string& path, std::string_view magic, uint32_t dims,
                                std::string_view what);

// For the tools that make tables, and tests. Fills the checksum.
Status WriteTableFile(const std::string& path, std::string_view magic, uint32_t dims,
                      const TableFile& table);

// A token's hash, by the tokenizer that the traffic goes through; nothing when the text is not
// exactly one token.
std::optional<uint32_t> ListedTokenHash(std::string_view token, Salt salt);

}  // namespace stillwatch::gpu
