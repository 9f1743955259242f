#include "dataplane/llm/exchange_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/endian.h"
#include "base/mutant.h"
#include "dataplane/llm/exchange_builder.h"

namespace stillwatch::dataplane {
namespace {

constexpr char kMagic[9] = "SWEXCHG3";
constexpr size_t kFamilyBytes = 7;  // of the magic, the same in every version
constexpr size_t kHeadBytes = 32;
constexpr uint64_t kBlockBytesMax = 1 << 20;
constexpr size_t kFileBuffer = 4 << 20;

size_t Padded(size_t size) { return (size + 7) / 8 * 8; }
uint64_t BlockHash(Bytes block) { return KeyedHash64(block, Salt{}); }

// What ExchangeView and its readers take for granted.
bool WithinBounds(const ExchangeHeader& h) {
  for (const uint32_t tokens : h.part_tokens) {
    if (tokens > kPartTokensMax) return false;
  }
  return h.model_length <= kModelLengthMax && h.partners <= kPartnersMax && h.prefix_chain_count <= kPrefixChainMax && h.prefix_deep_from <= kPrefixChainMax &&
         static_cast<size_t>(h.dialect) < kDialects && static_cast<size_t>(h.api) < kApis && h.finish <= FinishReason::kOther &&
         (h.client.length == 0 || h.client.length == 4 || h.client.length == 16);
}

}  // namespace

ExchangeFileMarks MarksOf(Salt salt, std::string_view account_key) {
  return {KeyedHash64("recorded exchanges", DeriveSalt(salt, "exchange-file")),
          KeyedHash64(account_key, DeriveSalt(salt, "exchange-file-key"))};
}

// --- Writing ------------------------------------------------------------------------------------------

Result<ExchangeFileWriter> ExchangeFileWriter::Open(const std::string& path, const ExchangeFileMarks& marks) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  std::FILE* file = fd < 0 ? nullptr : fdopen(fd, "wb");
  if (file == nullptr) return Error{path + ": cannot be written: " + std::strerror(errno)};
  std::setvbuf(file, nullptr, _IOFBF, kFileBuffer);
  ExchangeFileWriter writer(file, path);
  uint8_t head[kHeadBytes] = {};
  std::memcpy(head, kMagic, 8);
  StoreLe(head + 8, static_cast<uint32_t>(sizeof(ExchangeHeader)));
  StoreLe(head + 16, marks.salt);
  StoreLe(head + 24, marks.account_key);
  writer.Put(head, sizeof head);
  return writer;
}

void ExchangeFileWriter::Put(const void* data, size_t size) {
  good_ = std::fwrite(data, 1, size, file_.get()) == size && good_;
  bytes_ += size;
}

void ExchangeFileWriter::Add(ExchangeView exchange) {
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
    OrderKey order;
    std::memcpy(&order, block.data(), sizeof order);  // the header's first field
    order.packet = MutantIs("stillgen.ask_order") ? added_ : ++written_;
    std::memcpy(block.data(), &order, sizeof order);
    const uint64_t head[2] = {block.size(), BlockHash(block)};
    const uint64_t zero = 0;
    Put(head, sizeof head);
    Put(block.data(), block.size());
    Put(&zero, Padded(block.size()) - block.size());
    spare_.push_back(std::move(block));
  }
}

Status ExchangeFileWriter::Close() {
  Advance(INT64_MAX);
  const uint64_t end[2] = {0, written_};
  Put(end, sizeof end);
  good_ = std::fclose(file_.release()) == 0 && good_;
  if (!good_) return Error{path_ + ": " + std::strerror(errno)};
  return {};
}

// --- Reading ------------------------------------------------------------------------------------------

bool ExchangeFileReader::Recognises(const std::string& path) {
  const std::unique_ptr<std::FILE, ExchangeFileCloser> file(std::fopen(path.c_str(), "rb"));
  char start[kFamilyBytes];
  return file != nullptr && std::fread(start, 1, sizeof start, file.get()) == sizeof start && std::memcmp(start, kMagic, sizeof start) == 0;
}

Result<ExchangeFileReader> ExchangeFileReader::Open(const std::string& path, const ExchangeFileMarks& marks) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return Error{path + ": " + std::strerror(errno)};
  ExchangeFileReader reader(file, path);
  std::setvbuf(file, nullptr, _IOFBF, kFileBuffer);
  uint8_t head[kHeadBytes];
  const size_t got = std::fread(head, 1, sizeof head, file);
  if (got < 8 || std::memcmp(head, kMagic, kFamilyBytes) != 0) return Error{path + ": no file of recorded exchanges"};
  if (std::memcmp(head, kMagic, 8) != 0) return Error{path + ": was recorded by another version; record it again with this one"};
  if (got != sizeof head) return Error{path + ": is cut short: it ends within its head"};
  const uint32_t size = LoadLe<uint32_t>(head + 8);
  if (size != sizeof(ExchangeHeader)) {
    return Error{path + ": its exchange heads have " + std::to_string(size) + " bytes, ours " + std::to_string(sizeof(ExchangeHeader)) +
                 "; record it again with this version"};
  }
  const bool trusting = MutantIs("exchanges.trusts_marks");
  if (LoadLe<uint64_t>(head + 16) != marks.salt && !trusting) return Error{path + ": was recorded under another privacy.salt"};
  if (LoadLe<uint64_t>(head + 24) != marks.account_key && !trusting) return Error{path + ": was recorded under another privacy.account_key"};
  return reader;
}

Error ExchangeFileReader::Bad(const char* what) const {
  return Error{path_ + ": record " + std::to_string(records_) + ": " + what};
}

Result<Bytes> ExchangeFileReader::Next() {
  if (ended_) return Bytes();
  ++records_;
  uint64_t head[2];
  if (std::fread(head, 1, sizeof head, file_.get()) != sizeof head) return Bad("the file is cut short before it");
  const auto [size, hash] = head;
  if (size == 0) {
    if (hash != records_ - 1) return Bad("the end tells of another number of records");
    if (std::fgetc(file_.get()) != EOF) return Bad("something follows the end");
    ended_ = true;
    return Bytes();
  }
  if (size < sizeof(ExchangeHeader) || size > kBlockBytesMax) return Bad("its size is impossible");
  buffer_.resize(Padded(size) / 8);
  if (std::fread(buffer_.data(), 1, Padded(size), file_.get()) != Padded(size)) return Bad("the file is cut short within it");
  const Bytes block(reinterpret_cast<const uint8_t*>(buffer_.data()), size);
  if (BlockHash(block) != hash && !MutantIs("exchanges.trusts_blocks")) return Bad("it is damaged");
  ExchangeHeader header;
  std::memcpy(&header, block.data(), sizeof header);
  if (ExchangeBytes(header) != size) return Bad("its lengths do not add up");
  if (!WithinBounds(header)) return Bad("a value is out of its bounds");
  if (records_ > 1 && header.order <= last_) return Bad("it is out of order");
  last_ = header.order;
  return block;
}

}  // namespace stillwatch::dataplane
