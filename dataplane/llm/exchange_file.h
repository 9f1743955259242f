// A file of recorded exchanges (docs/recorded-exchanges.md): what the workers hand to the detection
// thread, in order, as the same bytes. Written by `stillgen record`, read by `stillwatch replay`; one thread.
//
//   head    32 bytes: "SWEXCHG3", uint32 sizeof(ExchangeHeader), uint32 zero, uint64 mark of the salt,
//           uint64 mark of the account key; little-endian
//   record  uint64 size of the block, uint64 hash of the block, the block (exchange.h), zero bytes up to a multiple of 8
//   end     a record of size zero, whose second word is the number of records
//
// Records are in OrderKey order. A file that is cut, damaged or made under another salt or key is refused with
// one message that names it; nothing in it is trusted beyond its bounds.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "dataplane/llm/exchange.h"

namespace stillwatch::dataplane {

// Under what the exchanges were hashed: tells files apart, gives neither secret away.
struct ExchangeFileMarks {
  uint64_t salt = 0, account_key = 0;
  bool operator==(const ExchangeFileMarks&) const = default;
};
ExchangeFileMarks MarksOf(Salt salt, std::string_view account_key);

struct ExchangeFileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// Exchanges come in the order asked and leave in the order completed, numbered by it. What is held back is
// bounded by the exchanges under way at one time. Mode 0600: token hashes of prompts are personal data.
class ExchangeFileWriter {
 public:
  static Result<ExchangeFileWriter> Open(const std::string& path, const ExchangeFileMarks& marks);

  void Add(ExchangeView exchange);
  // Everything that completed before `unix_ns` may leave: nothing asked later completes earlier.
  void Advance(int64_t unix_ns);
  Status Close();
  uint64_t written() const { return written_; }
  uint64_t bytes() const { return bytes_; }

 private:
  struct Held {
    int64_t end_ns;
    uint64_t serial;
    std::vector<uint8_t> block;
    bool operator<(const Held& o) const { return std::tie(end_ns, serial) > std::tie(o.end_ns, o.serial); }
  };
  ExchangeFileWriter(std::FILE* file, std::string path) : file_(file), path_(std::move(path)) {}
  void Put(const void* data, size_t size);

  std::unique_ptr<std::FILE, ExchangeFileCloser> file_;
  std::string path_;
  bool good_ = true;
  uint64_t added_ = 0, written_ = 0, bytes_ = 0;
  std::priority_queue<Held> held_;
  std::vector<std::vector<uint8_t>> spare_;
};

class ExchangeFileReader {
 public:
  // Whether the file begins as one of recorded exchanges, of whatever version. No: also where it cannot be read.
  static bool Recognises(const std::string& path);
  static Result<ExchangeFileReader> Open(const std::string& path, const ExchangeFileMarks& marks);

  // The next block, 8-aligned and whole, good until the next call; empty at the end.
  Result<Bytes> Next();

 private:
  ExchangeFileReader(std::FILE* file, std::string path) : file_(file), path_(std::move(path)) {}
  Error Bad(const char* what) const;

  std::unique_ptr<std::FILE, ExchangeFileCloser> file_;
  std::string path_;
  uint64_t records_ = 0;
  OrderKey last_;
  bool ended_ = false;
  std::vector<uint64_t> buffer_;
};

}  // namespace stillwatch::dataplane
