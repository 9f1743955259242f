// A file of recorded exchanges (docs/recorded-exchanges.md): what the workers hand to the detection
// thread, in order, as the same bytes.
//
//   head    16 bytes: "SWEXCHG1", uint32 sizeof(ExchangeHeader), uint32 zero; little-endian
//   record  uint64 size of the block, the block (dataplane/llm/exchange.h), zero bytes up to a multiple of 8
//
// Records are in OrderKey order. A reader refuses a head size that is not its own.
#pragma once

#include <cstdint>
#include <cstdio>
#include <queue>
#include <string>
#include <tuple>
#include <vector>

#include "base/result.h"
#include "dataplane/llm/exchange.h"

namespace stillwatch::stillgen {

// Exchanges come in the order asked and leave in the order completed, numbered by it. What is held back is
// bounded by the exchanges under way at one time. Not thread safe.
class ExchangeFileWriter {
 public:
  static Result<ExchangeFileWriter> Open(const std::string& path);
  ExchangeFileWriter(ExchangeFileWriter&& other) noexcept;
  ~ExchangeFileWriter();

  void Add(dataplane::ExchangeView exchange);
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

  std::FILE* file_;
  std::string path_;
  bool good_ = true;
  uint64_t added_ = 0, written_ = 0, bytes_ = 0;
  std::priority_queue<Held> held_;
  std::vector<std::vector<uint8_t>> spare_;
};

class ExchangeFileReader {
 public:
  static Result<ExchangeFileReader> Open(const std::string& path);
  ExchangeFileReader(ExchangeFileReader&& other) noexcept;
  ~ExchangeFileReader();

  // The next block, 8-aligned and whole, good until the next call; empty at the end; an error where the
  // file is cut or a record's lengths do not agree.
  Result<Bytes> Next();

 private:
  ExchangeFileReader(std::FILE* file, std::string path) : file_(file), path_(std::move(path)) {}

  std::FILE* file_;
  std::string path_;
  uint64_t records_ = 0;
  std::vector<uint64_t> buffer_;
};

}  // namespace stillwatch::stillgen
