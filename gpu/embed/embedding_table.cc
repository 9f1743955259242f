#include "gpu/embed/embedding_table.h"

#include <algorithm>
#include <cstring>

#include "gpu/sketch/table_file.h"

namespace stillwatch::gpu {
namespace {

constexpr std::string_view kMagic = "SWEMBEDT";
constexpr uint32_t kRowsLog2Min = 8;
constexpr uint32_t kRowsLog2Max = 20;
constexpr int8_t kRandomValue = 32;

}  // namespace

Result<EmbeddingTable> EmbeddingTable::MakeRandom(uint32_t rows_log2) {
  const uint32_t rows = 1u << rows_log2;
  Result<MemoryBlock> memory =
      MemoryBlock::Take(static_cast<size_t>(rows) * kEmbeddingDims, "the embedding table");
  if (!memory.ok()) return memory.error();
  EmbeddingTable table;
  table.rows_ = std::move(memory).value();
  table.row_mask_ = rows - 1;
  int8_t* out = reinterpret_cast<int8_t*>(table.rows_.data());
  for (uint32_t row = 0; row < rows; ++row) {
    for (uint32_t word = 0; word < kEmbeddingDims / 64; ++word) {
      const uint64_t bits = RandomRowWord(row, word);
      for (uint32_t bit = 0; bit < 64; ++bit) {
        *out++ = (bits >> bit & 1) != 0 ? kRandomValue : static_cast<int8_t>(-kRandomValue);
      }
    }
  }
  return table;
}

Result<EmbeddingTable> EmbeddingTable::BuiltIn() { return MakeRandom(kBuiltInRowsLog2); }

Result<EmbeddingTable> EmbeddingTable::Load(const std::string& path, Salt salt) {
  Result<TableFile> read = ReadTableFile(path, kMagic, kEmbeddingDims, "embedding table");
  if (!read.ok()) return read.error();
  const TableFile& file = read.value();
  const auto refuse = [&](const std::string& why) {
    return Error{"embedding table " + path + ": " + why + "; make the table again"};
  };
  if (file.parameter < kRowsLog2Min || file.parameter > kRowsLog2Max) {
    return refuse("log2 of its rows is " + std::to_string(file.parameter) + ", must be 8 to 20");
  }
  Result<EmbeddingTable> made = MakeRandom(file.parameter);
  if (!made.ok()) return made;
  EmbeddingTable& table = made.value();
  table.id_ = file.id();
  std::vector<bool> taken(table.row_mask_ + 1);
  size_t at = 0;
  for (uint64_t entry = 0; entry < file.entries; ++entry) {
    const std::string name = "entry " + std::to_string(entry);
    const size_t left = file.payload.size() - at;
    const size_t length = left != 0 ? file.payload[at] : 0;
    if (length == 0 || left < 1 + length + kEmbeddingDims) return refuse(name + " is cut off");
    const std::string_view token = AsText(Bytes(file.payload.data() + at + 1, length));
    const int8_t* values = reinterpret_cast<const int8_t*>(file.payload.data() + at + 1 + length);
    at += 1 + length + kEmbeddingDims;
    if (std::find(values, values + kEmbeddingDims, -128) != values + kEmbeddingDims) {
      return refuse(name + " has a value of -128 (-127 to 127 are allowed)");
    }
    const std::optional<uint32_t> hash = ListedTokenHash(token, salt);
    if (!hash) return refuse(name + " '" + std::string(token) + "' is not exactly one token");
    const uint32_t row = *hash & table.row_mask_;
    if (taken[row]) continue;
    taken[row] = true;
    std::memcpy(table.rows_.data() + static_cast<size_t>(row) * kEmbeddingDims, values,
                kEmbeddingDims);
  }
  if (at != file.payload.size()) return refuse("bytes after its last entry");
  return made;
}

Status WriteEmbeddingTable(const std::string& path, std::span<const ListedVector> vectors,
                           uint32_t rows_log2) {
  TableFile file;
  file.entries = vectors.size();
  file.parameter = rows_log2;
  for (const ListedVector& vector : vectors) {
    file.payload.push_back(static_cast<uint8_t>(vector.token.size()));
    file.payload.insert(file.payload.end(), vector.token.begin(), vector.token.end());
    const uint8_t* values = reinterpret_cast<const uint8_t*>(vector.values);
    file.payload.insert(file.payload.end(), values, values + kEmbeddingDims);
  }
  return WriteTableFile(path, kMagic, kEmbeddingDims, file);
}

}  // namespace stillwatch::gpu
