#include "tools/stillgen/exchange_file.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/endian.h"
#include "base/mutant.h"

namespace stillwatch::stillgen {
namespace {

constexpr char kMagic[9] = "SWEXCHG1";
constexpr size_t kHeadBytes = 16;
constexpr uint64_t kBlockBytesMax = 1 << 20;
constexpr size_t kFileBuffer = 4 << 20;

size_t Padded(size_t size) { return (size + 7) / 8 * 8; }

}  // namespace

Result<ExchangeFileWriter> ExchangeFileWriter::Open(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return Error{path + ": " + std::strerror(errno)};
  std::setvbuf(file, nullptr, _IOFBF, kFileBuffer);
  ExchangeFileWriter writer(file, path);
  writer.Put(kMagic, 8);
  const uint32_t rest[2] = {sizeof(dataplane::ExchangeHeader), 0};
  writer.Put(rest, sizeof rest);
  return writer;
}

ExchangeFileWriter::ExchangeFileWriter(ExchangeFileWriter&& other) noexcept
    : file_(std::exchange(other.file_, nullptr)), path_(std::move(other.path_)), good_(other.good_), added_(other.added_),
      written_(other.written_), bytes_(other.bytes_), held_(std::move(other.held_)), spare_(std::move(other.spare_)) {}

ExchangeFileWriter::~ExchangeFileWriter() {
  if (file_ != nullptr) std::fclose(file_);
}

void ExchangeFileWriter::Put(const void* data, size_t size) {
  good_ = std::fwrite(data, 1, size, file_) == size && good_;
  bytes_ += size;
}

void ExchangeFileWriter::Add(dataplane::ExchangeView exchange) {
  Held held;
  if (!spare_.empty()) {
    held.block = std::move(spare_.back());
    spare_.pop_back();
  }
  held.end_ns = exchange.header().response_end_ns;
  held.serial = ++added_;
  const Bytes block = exchange.block();
  held.block.assign(block.begin(), block.end());
  held_.push(std::move(held));
}

void ExchangeFileWriter::Advance(int64_t unix_ns) {
  while (!held_.empty() && held_.top().end_ns < unix_ns) {
    std::vector<uint8_t> block = std::move(const_cast<Held&>(held_.top()).block);
    held_.pop();
    dataplane::OrderKey order;
    std::memcpy(&order, block.data(), sizeof order);  // the header's first field
    order.packet = MutantIs("stillgen.ask_order") ? added_ : ++written_;
    std::memcpy(block.data(), &order, sizeof order);
    const uint64_t size = block.size(), zero = 0;
    Put(&size, sizeof size);
    Put(block.data(), block.size());
    Put(&zero, Padded(size) - size);
    spare_.push_back(std::move(block));
  }
}

Status ExchangeFileWriter::Close() {
  Advance(INT64_MAX);
  good_ = std::fclose(file_) == 0 && good_;
  file_ = nullptr;
  if (!good_) return Error{path_ + ": " + std::strerror(errno)};
  return {};
}

Result<ExchangeFileReader> ExchangeFileReader::Open(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return Error{path + ": " + std::strerror(errno)};
  ExchangeFileReader reader(file, path);
  uint8_t head[kHeadBytes];
  if (std::fread(head, 1, sizeof head, file) != sizeof head || std::memcmp(head, kMagic, 8) != 0) {
    return Error{path + ": no file of recorded exchanges"};
  }
  const uint32_t size = LoadLe<uint32_t>(head + 8);
  if (size != sizeof(dataplane::ExchangeHeader)) {
    return Error{path + ": its exchange heads have " + std::to_string(size) + " bytes, ours " +
                 std::to_string(sizeof(dataplane::ExchangeHeader)) + "; record it again with this version"};
  }
  return reader;
}

ExchangeFileReader::ExchangeFileReader(ExchangeFileReader&& other) noexcept
    : file_(std::exchange(other.file_, nullptr)), path_(std::move(other.path_)), records_(other.records_), buffer_(std::move(other.buffer_)) {}

ExchangeFileReader::~ExchangeFileReader() {
  if (file_ != nullptr) std::fclose(file_);
}

Result<Bytes> ExchangeFileReader::Next() {
  uint64_t size = 0;
  const size_t got = std::fread(&size, 1, sizeof size, file_);
  if (got == 0) return Bytes();
  const auto bad = [&](const char* what) { return Error{path_ + ": record " + std::to_string(records_) + ": " + what}; };
  ++records_;
  if (got != sizeof size || size < sizeof(dataplane::ExchangeHeader) || size > kBlockBytesMax) return bad("its size is impossible");
  buffer_.resize(Padded(size) / 8);
  if (std::fread(buffer_.data(), 1, Padded(size), file_) != Padded(size)) return bad("the file ends within it");
  const Bytes block(reinterpret_cast<const uint8_t*>(buffer_.data()), size);
  dataplane::ExchangeHeader header;
  std::memcpy(&header, block.data(), sizeof header);
  if (dataplane::ExchangeBytes(header) != size) return bad("its lengths do not add up");
  return block;
}

}  // namespace stillwatch::stillgen
