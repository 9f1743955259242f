#include "dataplane/port/capture_file.h"

#include <algorithm>
#include <cstring>

#include "base/endian.h"
#include "base/log.h"
#include "dataplane/port/link_layer.h"

namespace stillwatch::dataplane {

namespace {

constexpr size_t kChunkBits = 22;  // memory is given back in pieces of 4 MiB
constexpr size_t kEthernetHeader = 14;
constexpr size_t kWarningsMax = 64;
constexpr size_t kFetchAhead = 4096;  // bytes: some frames, so that they have come from memory when they are looked at

}  // namespace

struct CapturePort::File {
  std::unique_ptr<CaptureReader> reader;
  size_t index = 0;
  CaptureRecord next;  // valid while the file is in the heap
  std::vector<uint32_t>
      outstanding;       // frames handed out and not released, by 4 MiB chunk of the file
  size_t forgotten = 0;  // chunks given back
  std::vector<bool> warned_interface;

  size_t ChunkOf(const uint8_t* at) const {
    return static_cast<size_t>(at - reader->file().bytes().data()) >> kChunkBits;
  }

  // Gives back what lies before the oldest frame that is still out. The record in `next` is at most
  // one chunk behind the reader. In order, so that a frame that crosses into the next chunk holds
  // that too.
  void ForgetReleased() {
    const size_t reading = reader->position() >> kChunkBits;
    while (forgotten + 1 < reading && outstanding[forgotten] == 0) {
      reader->file().Forget(forgotten << kChunkBits, (forgotten + 1) << kChunkBits);
      ++forgotten;
    }
  }

  // The next record, and what lies kFetchAhead after it on its way into the cache.
  ReadResult ReadNext() {
    const size_t begin = reader->position();
    const ReadResult result = reader->Next(&next);
    const Bytes all = reader->file().bytes();
    const size_t end = std::min(all.size(), reader->position() + kFetchAhead);
    for (size_t at = begin + kFetchAhead; at < end; at += 64) __builtin_prefetch(all.data() + at);
    return result;
  }

  static bool Later(const File* a, const File* b) {
    return a->next.time_ns != b->next.time_ns ? a->next.time_ns > b->next.time_ns
                                              : a->index > b->index;
  }
};

CapturePort::CapturePort(std::vector<std::unique_ptr<CaptureReader>> readers) {
  for (auto& reader : readers) {
    auto file = std::make_unique<File>();
    file->outstanding.resize((reader->file().bytes().size() >> kChunkBits) + 1);
    file->reader = std::move(reader);
    file->index = files_.size();
    files_.push_back(std::move(file));
  }
  for (auto& file : files_) {
    if (Advance(*file)) heap_.push_back(file.get());
  }
  std::make_heap(heap_.begin(), heap_.end(), File::Later);
}

CapturePort::~CapturePort() = default;

size_t CapturePort::Receive(std::span<Frame> frames) {
  size_t count = 0;
  while (count < frames.size() && !heap_.empty()) {
    File& file = *heap_.front();
    Frame& frame = frames[count++];
    frame.bytes = file.next.bytes;
    frame.wire_length = file.next.wire_length;
    frame.port = static_cast<uint16_t>(file.index);
    frame.number = ++number_;
    frame.time_ns = clock_.Observe(file.next.time_ns);
    frame.handle = file.index;
    ++file.outstanding[file.ChunkOf(frame.bytes.data())];
    counters_.Add(CaptureCounter::kPackets);
    counters_.Add(CaptureCounter::kBytes, frame.bytes.size());
    if (frame.wire_length > frame.bytes.size()) counters_.Add(CaptureCounter::kCut);

    const bool alone = heap_.size() == 1;
    if (!alone) std::pop_heap(heap_.begin(), heap_.end(), File::Later);
    if (!Advance(file)) {
      heap_.pop_back();
    } else if (!alone) {
      std::push_heap(heap_.begin(), heap_.end(), File::Later);
    }
  }
  counters_.Set(CaptureCounter::kTimeJump, clock_.jumps());
  return count;
}

void CapturePort::Release(std::span<const Frame> frames) {
  for (const Frame& frame : frames) {
    File& file = *files_[frame.handle];
    const size_t chunk = file.ChunkOf(frame.bytes.data());
    CHECK(file.outstanding[chunk] != 0);
    if (--file.outstanding[chunk] == 0) file.ForgetReleased();
  }
}

bool CapturePort::Advance(File& file) {
  for (;;) {
    switch (file.ReadNext()) {
      case ReadResult::kRecord:
        break;
      case ReadResult::kEnd:
        return false;
      case ReadResult::kTruncated:
        counters_.Add(CaptureCounter::kTruncatedRecord);
        Warn(file.reader->file().path() + ": cut inside the record at byte " +
             std::to_string(file.reader->position()) + "; the records before it were read");
        return false;
      case ReadResult::kCorrupt:
        counters_.Add(CaptureCounter::kCorruptRecord);
        Warn(file.reader->file().path() + ": corrupt record at or before byte " +
             std::to_string(file.reader->position()) + "; the records before it were read");
        return false;
    }
    if (file.next.link_type == kLinkEthernet || Adopt(file)) return true;
  }
}

// Makes an Ethernet frame of the record in file.next; false when it must be left out.
bool CapturePort::Adopt(File& file) {
  CaptureRecord& record = file.next;
  MappedFile& mapped = file.reader->file();
  if (SupportOf(record.link_type) == LinkSupport::kUnsupported) {
    counters_.Add(CaptureCounter::kLinkUnsupported);
    if (file.warned_interface.size() <= record.interface)
      file.warned_interface.resize(record.interface + 1);
    if (!file.warned_interface[record.interface]) {
      file.warned_interface[record.interface] = true;
      Warn(mapped.path() + ": interface " + std::to_string(record.interface) + " has link type " +
           std::to_string(record.link_type) +
           ", which is not understood (Ethernet, raw IP, NULL, LOOP, SLL and SLL2 are); its "
           "packets are left out");
    }
    return false;
  }
  const std::optional<NetworkHeader> network = FindNetworkHeader(record);
  if (!network.has_value() || !mapped.MakeWritable().ok()) {
    counters_.Add(CaptureCounter::kLinkMalformed);
    return false;
  }
  const size_t at =
      static_cast<size_t>(record.bytes.data() - mapped.bytes().data()) + network->offset;
  CHECK(at >= kEthernetHeader);  // every format has longer headers before its first packet
  uint8_t* header = mapped.writable() + at - kEthernetHeader;
  std::memset(header, 0, 12);
  StoreBe16(header + 12, network->ether_type);
  const size_t payload = record.bytes.size() - network->offset;
  record.wire_length = record.wire_length - network->offset + kEthernetHeader;
  record.bytes = {header, payload + kEthernetHeader};
  return true;
}

void CapturePort::Warn(std::string line) {
  if (warnings_.size() >= kWarningsMax) return;
  Log(LogLevel::kWarning, line);
  warnings_.push_back(std::move(line));
}

Result<std::unique_ptr<CapturePort>> OpenCaptures(std::span<const std::string> paths) {
  std::vector<std::unique_ptr<CaptureReader>> readers;
  for (const std::string& path : paths) {
    Result<std::unique_ptr<CaptureReader>> reader = CaptureReader::Open(path);
    if (!reader.ok()) return reader.error();
    readers.push_back(std::move(reader).value());
  }
  return std::make_unique<CapturePort>(std::move(readers));
}

}  // namespace stillwatch::dataplane
