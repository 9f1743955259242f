#include "base/clock.h"
#include "base/endian.h"
#include "dataplane/port/capture_reader.h"

namespace stillwatch::dataplane {

namespace {

constexpr uint32_t kMicroseconds = 0xa1b2c3d4, kNanoseconds = 0xa1b23c4d, kModified = 0xa1b2cd34;
constexpr size_t kFileHeader = 24;

class PcapReader final : public CaptureReader {
 public:
  PcapReader(MappedFile file, bool swapped, uint32_t magic)
      : CaptureReader(std::move(file)),
        swapped_(swapped),
        record_header_(magic == kModified ? 24 : 16),
        ns_per_unit_(magic == kNanoseconds ? 1 : 1000) {
    // The upper bits say how long a frame check sequence is, not what the link is.
    link_type_ = Load(file_.bytes().data() + 20) & 0xffff;
    position_ = kFileHeader;
  }

  ReadResult Next(CaptureRecord* record) override {
    const Bytes all = file_.bytes();
    if (position_ == all.size()) return ReadResult::kEnd;
    if (all.size() - position_ < record_header_) return ReadResult::kTruncated;
    const uint8_t* header = all.data() + position_;
    const uint32_t captured = Load(header + 8);
    if (captured > kRecordBytesMax) return ReadResult::kCorrupt;
    if (all.size() - position_ - record_header_ < captured) return ReadResult::kTruncated;
    record->bytes = all.subspan(position_ + record_header_, captured);
    record->wire_length = std::max(Load(header + 12), captured);
    record->link_type = link_type_;
    record->interface = 0;
    record->time_ns =
        int64_t{Load(header)} * kNsPerSecond + int64_t{Load(header + 4)} * ns_per_unit_;
    record->big_endian = swapped_;
    position_ += record_header_ + captured;
    return ReadResult::kRecord;
  }

 private:
  uint32_t Load(const uint8_t* at) const { return swapped_ ? LoadBe32(at) : LoadLe<uint32_t>(at); }

  const bool swapped_;  // the file is big-endian
  const size_t record_header_;
  const int64_t ns_per_unit_;
  uint32_t link_type_ = 0;
};

}  // namespace

Result<std::unique_ptr<CaptureReader>> MakePcapReader(MappedFile file) {
  const Bytes all = file.bytes();
  if (all.size() < kFileHeader) return Error{file.path() + ": cut inside the pcap file header"};
  for (const bool swapped : {false, true}) {
    const uint32_t magic = swapped ? LoadBe32(all.data()) : LoadLe<uint32_t>(all.data());
    if (magic == kMicroseconds || magic == kNanoseconds || magic == kModified) {
      return std::unique_ptr<CaptureReader>(new PcapReader(std::move(file), swapped, magic));
    }
  }
  return Error{file.path() + ": is neither pcap nor pcapng (unknown first four bytes " +
               HexOf(all.first(4)) + "); a compressed capture must be unpacked first"};
}

}  // namespace stillwatch::dataplane
