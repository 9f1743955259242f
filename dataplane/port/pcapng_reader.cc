#include <limits>
#include <vector>

#include "base/clock.h"
#include "base/endian.h"
#include "dataplane/port/capture_reader.h"

namespace stillwatch::dataplane {

namespace {

constexpr uint32_t kSection = 0x0a0d0d0a, kInterface = 1, kPacket = 2, kSimple = 3, kEnhanced = 6;
constexpr uint32_t kByteOrder = 0x1a2b3c4d;
constexpr uint16_t kOptionTimeResolution = 9, kOptionTimeOffset = 14;
constexpr size_t kBlockFrame = 12;         // type, length, length again
constexpr size_t kInterfacesMax = 65'536;  // over the whole file

struct Interface {
  uint32_t link_type = 0;
  uint32_t snap_length = 0;
  uint8_t resolution = 6;  // 10^-n s, or with the top bit 2^-n s
  int64_t offset_s = 0;
};

// Saturates: a timestamp out of range is a bad packet's, not a reason to stop.
int64_t TimeOf(const Interface& interface, uint64_t units) {
  using Wide = __int128;
  const unsigned exponent = interface.resolution & 0x7f;
  Wide ns = static_cast<Wide>(units) * kNsPerSecond;
  if (interface.resolution & 0x80) {
    ns >>= exponent;
  } else {
    for (unsigned i = 0; i < exponent && ns != 0; ++i) ns /= 10;
  }
  ns += static_cast<Wide>(interface.offset_s) * kNsPerSecond;
  constexpr Wide kMax = std::numeric_limits<int64_t>::max() / 2;
  return static_cast<int64_t>(std::min<Wide>(std::max<Wide>(ns, -kMax), kMax));
}

class PcapngReader final : public CaptureReader {
 public:
  explicit PcapngReader(MappedFile file) : CaptureReader(std::move(file)) {}

  ReadResult Next(CaptureRecord* record) override {
    while (ended_ == ReadResult::kRecord) {
      Bytes body;
      uint32_t type = 0;
      const ReadResult block = ReadBlock(&type, &body);
      if (block != ReadResult::kRecord) {
        ended_ = block;
        break;
      }
      bool sound = true, packet = false;
      switch (type) {
        case kSection:
          section_interfaces_begin_ = interfaces_.size();
          break;
        case kInterface:
          sound = ReadInterface(body);
          break;
        case kEnhanced:
          sound = packet = ReadEnhanced(body, record);
          break;
        case kPacket:
          sound = packet = ReadPacket(body, record);
          break;
        case kSimple:
          sound = packet = ReadSimple(body, record);
          break;
        default:
          break;  // statistics, names, custom blocks
      }
      if (!sound) ended_ = ReadResult::kCorrupt;
      if (packet) return ReadResult::kRecord;
    }
    return ended_;
  }

 private:
  uint16_t Load16(const uint8_t* at) const {
    return big_endian_ ? LoadBe16(at) : LoadLe<uint16_t>(at);
  }
  uint32_t Load32(const uint8_t* at) const {
    return big_endian_ ? LoadBe32(at) : LoadLe<uint32_t>(at);
  }

  // The block at position_, checked against its trailing length; steps over it.
  ReadResult ReadBlock(uint32_t* type, Bytes* body) {
    const Bytes rest = file_.bytes().subspan(position_);
    if (rest.empty()) return ReadResult::kEnd;
    if (rest.size() < kBlockFrame) return ReadResult::kTruncated;
    // The section block's type reads the same in both byte orders.
    if (LoadLe<uint32_t>(rest.data()) == kSection) {
      if (LoadLe<uint32_t>(rest.data() + 8) == kByteOrder) {
        big_endian_ = false;
      } else if (LoadBe32(rest.data() + 8) == kByteOrder) {
        big_endian_ = true;
      } else {
        return ReadResult::kCorrupt;
      }
    }
    *type = Load32(rest.data());
    const size_t length = Load32(rest.data() + 4);
    if (length < kBlockFrame || length % 4 != 0) return ReadResult::kCorrupt;
    if (length > rest.size()) return ReadResult::kTruncated;
    if (Load32(rest.data() + length - 4) != length) return ReadResult::kCorrupt;
    *body = rest.subspan(8, length - kBlockFrame);
    position_ += length;
    return ReadResult::kRecord;
  }

  bool ReadInterface(Bytes body) {
    if (body.size() < 8 || interfaces_.size() >= kInterfacesMax) return false;
    Interface interface;
    interface.link_type = Load16(body.data());
    interface.snap_length = Load32(body.data() + 4);
    for (Bytes options = body.subspan(8); options.size() >= 4;) {
      const uint16_t code = Load16(options.data());
      const size_t length = Load16(options.data() + 2);
      const size_t padded = (length + 3) & ~size_t{3};
      if (code == 0) break;
      if (options.size() - 4 < padded) return false;
      const uint8_t* value = options.data() + 4;
      if (code == kOptionTimeResolution && length == 1) interface.resolution = *value;
      if (code == kOptionTimeOffset && length == 8) {
        const uint64_t seconds = big_endian_ ? LoadBe64(value) : LoadLe<uint64_t>(value);
        interface.offset_s = static_cast<int64_t>(seconds);
      }
      options = options.subspan(4 + padded);
    }
    interfaces_.push_back(interface);
    return true;
  }

  bool ReadEnhanced(Bytes body, CaptureRecord* record) {
    if (body.size() < 20) return false;
    const uint64_t units = uint64_t{Load32(body.data() + 4)} << 32 | Load32(body.data() + 8);
    return Fill(Load32(body.data()), units, Load32(body.data() + 12), Load32(body.data() + 16),
                body.subspan(20), record);
  }

  bool ReadPacket(Bytes body, CaptureRecord* record) {
    if (body.size() < 20) return false;
    const uint64_t units = uint64_t{Load32(body.data() + 4)} << 32 | Load32(body.data() + 8);
    return Fill(Load16(body.data()), units, Load32(body.data() + 12), Load32(body.data() + 16),
                body.subspan(20), record);
  }

  // No timestamp and no captured length: the time of the record before, and the interface's snap
  // length.
  bool ReadSimple(Bytes body, CaptureRecord* record) {
    if (body.size() < 4 || interfaces_.size() == section_interfaces_begin_) return false;
    const uint32_t wire = Load32(body.data());
    const uint32_t snap = interfaces_[section_interfaces_begin_].snap_length;
    const uint32_t captured = snap == 0 ? wire : std::min(wire, snap);
    if (!Fill(0, 0, captured, wire, body.subspan(4), record)) return false;
    record->time_ns = last_time_ns_;
    return true;
  }

  bool Fill(uint32_t id, uint64_t units, uint32_t captured, uint32_t wire, Bytes data,
            CaptureRecord* record) {
    if (id >= interfaces_.size() - section_interfaces_begin_) return false;
    if (captured > data.size() || captured > kRecordBytesMax) return false;
    const size_t index = section_interfaces_begin_ + id;
    record->bytes = data.first(captured);
    record->wire_length = std::max(wire, captured);
    record->link_type = interfaces_[index].link_type;
    record->interface = static_cast<uint32_t>(index);
    record->time_ns = TimeOf(interfaces_[index], units);
    record->big_endian = big_endian_;
    if (units != 0) last_time_ns_ = record->time_ns;
    return true;
  }

  bool big_endian_ = false;
  ReadResult ended_ = ReadResult::kRecord;
  std::vector<Interface> interfaces_;    // of all sections
  size_t section_interfaces_begin_ = 0;  // the present section's first
  int64_t last_time_ns_ = 0;
};

}  // namespace

Result<std::unique_ptr<CaptureReader>> MakePcapngReader(MappedFile file) {
  const Bytes all = file.bytes();
  if (all.size() < 28) return Error{file.path() + ": cut inside the pcapng section header"};
  if (LoadLe<uint32_t>(all.data() + 8) != kByteOrder && LoadBe32(all.data() + 8) != kByteOrder) {
    return Error{file.path() + ": pcapng section header without a byte-order mark"};
  }
  return std::unique_ptr<CaptureReader>(new PcapngReader(std::move(file)));
}

Result<std::unique_ptr<CaptureReader>> CaptureReader::Open(const std::string& path) {
  Result<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return file.error();
  const Bytes all = file.value().bytes();
  if (all.empty()) return Error{path + ": is empty; a capture has at least a file header"};
  if (all.size() >= 4 && LoadLe<uint32_t>(all.data()) == kSection) {
    return MakePcapngReader(std::move(file).value());
  }
  return MakePcapReader(std::move(file).value());
}

}  // namespace stillwatch::dataplane
