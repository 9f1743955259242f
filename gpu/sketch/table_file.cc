#include "gpu/sketch/table_file.h"

#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/endian.h"
#include "base/text/tokenizer.h"

namespace stillwatch::gpu {
namespace {

constexpr size_t kHeaderBytes = 64;
constexpr size_t kChecksumAt = 32;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

uint64_t ChecksumOf(const uint8_t (&header)[kHeaderBytes], const std::vector<uint8_t>& payload) {
  uint8_t zeroed[kHeaderBytes];
  std::memcpy(zeroed, header, kHeaderBytes);
  std::memset(zeroed + kChecksumAt, 0, 8);
  return XXH3_64bits_withSeed(payload.data(), payload.size(), XXH3_64bits(zeroed, kHeaderBytes));
}

Error Refusal(std::string_view what, const std::string& path, const std::string& reason) {
  return Error{std::string(what) + " " + path + ": " + reason};
}

}  // namespace

Result<TableFile> ReadTableFile(const std::string& path, std::string_view magic, uint32_t dims,
                                std::string_view what) {
  const File file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) {
    return Refusal(what, path, std::string("cannot open: ") + std::strerror(errno));
  }
  uint8_t header[kHeaderBytes];
  if (std::fread(header, 1, kHeaderBytes, file.get()) != kHeaderBytes) {
    return Refusal(what, path, "truncated: shorter than its 64-byte header; copy the file again");
  }
  if (std::memcmp(header, magic.data(), 8) != 0) {
    return Refusal(what, path,
                   "magic is not " + std::string(magic) + ": this is no file of this kind");
  }
  const uint32_t version = LoadLe<uint32_t>(header + 8);
  if (version != kTableFormatVersion) {
    return Refusal(what, path,
                   "format version " + std::to_string(version) + ", this build reads version " +
                       std::to_string(kTableFormatVersion) + "; make the table again");
  }
  const uint32_t file_dims = LoadLe<uint32_t>(header + 12);
  if (file_dims != dims) {
    return Refusal(what, path,
                   std::to_string(file_dims) + " dimensions, this build needs " +
                       std::to_string(dims) + "; make the table again");
  }
  TableFile table;
  table.entries = LoadLe<uint64_t>(header + 16);
  const uint64_t payload_bytes = LoadLe<uint64_t>(header + 24);
  table.checksum = LoadLe<uint64_t>(header + kChecksumAt);
  table.parameter = LoadLe<uint32_t>(header + 40);
  if (table.entries > kTableEntriesMax || payload_bytes > kTablePayloadBytesMax) {
    return Refusal(what, path, "larger than 1048576 entries or 256 MiB; list fewer tokens");
  }
  table.payload.resize(payload_bytes);
  if (std::fread(table.payload.data(), 1, payload_bytes, file.get()) != payload_bytes) {
    return Refusal(what, path,
                   "truncated: " + std::to_string(payload_bytes) +
                       " bytes of payload announced; copy the file again");
  }
  if (std::fgetc(file.get()) != EOF) {
    return Refusal(what, path, "has bytes after its payload; copy the file again");
  }
  if (ChecksumOf(header, table.payload) != table.checksum) {
    return Refusal(what, path, "checksum does not match; copy the file again");
  }
  return table;
}

Status WriteTableFile(const std::string& path, std::string_view magic, uint32_t dims,
                      const TableFile& table) {
  CHECK(magic.size() == 8);
  uint8_t header[kHeaderBytes] = {};
  std::memcpy(header, magic.data(), 8);
  StoreLe(header + 8, kTableFormatVersion);
  StoreLe(header + 12, dims);
  StoreLe(header + 16, table.entries);
  StoreLe(header + 24, static_cast<uint64_t>(table.payload.size()));
  StoreLe(header + 40, table.parameter);
  StoreLe(header + kChecksumAt, ChecksumOf(header, table.payload));
  const File file(std::fopen(path.c_str(), "wb"));
  if (file == nullptr || std::fwrite(header, 1, kHeaderBytes, file.get()) != kHeaderBytes ||
      std::fwrite(table.payload.data(), 1, table.payload.size(), file.get()) !=
          table.payload.size() ||
      std::fflush(file.get()) != 0) {
    return Error{"cannot write " + path + ": " + std::strerror(errno)};
  }
  return {};
}

std::optional<uint32_t> ListedTokenHash(std::string_view token, Salt salt) {
  struct OneHash final : text::TokenSink {
    void Append(std::span<const uint32_t> hashes) override {
      if (!hashes.empty()) hash = hashes[0];
      count += hashes.size();
    }
    uint32_t hash = 0;
    size_t count = 0;
  } sink;
  text::Tokenizer tokenizer{text::TokenHasher(salt)};
  tokenizer.Feed(token, &sink);
  tokenizer.Finish(&sink);
  if (sink.count != 1) return std::nullopt;
  return sink.hash;
}

}  // namespace stillwatch::gpu
