// Reads the records of one capture file: pcap (micro- and nanoseconds) and pcapng (several
// interfaces and sections, if_tsresol, if_tsoffset; section, interface, enhanced, simple and the
// obsolete packet block), both byte orders. Used by CapturePort, one thread. Owns the mapping;
// records point into it.
//
// Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng. Bad input: a record that is cut or
// contradicts itself ends the file (what came before it was given out); blocks of unknown type are
// skipped.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "dataplane/port/mapped_file.h"

namespace stillwatch::dataplane {

// Link types by their number in the file formats (www.tcpdump.org/linktypes.html).
inline constexpr uint32_t kLinkEthernet = 1;

// A longer record is corrupt (libpcap's limit as well).
inline constexpr uint32_t kRecordBytesMax = 262'144;

struct CaptureRecord {
  Bytes bytes;  // captured, from the link header on
  uint32_t wire_length = 0;
  uint32_t link_type = 0;
  uint32_t interface = 0;   // counts interfaces of the file over all sections, from 0
  int64_t time_ns = 0;      // as the file says
  bool big_endian = false;  // byte order of the section (link type NULL needs it)
};

enum class ReadResult : uint8_t {
  kRecord,
  kEnd,        // the file ended between records
  kTruncated,  // the file ended inside a record
  kCorrupt,    // lengths that contradict each other
};

class CaptureReader {
 public:
  // The error names the file and the reason.
  static Result<std::unique_ptr<CaptureReader>> Open(const std::string& path);
  virtual ~CaptureReader() = default;

  // After anything but kRecord the same is returned for ever.
  virtual ReadResult Next(CaptureRecord* record) = 0;

  MappedFile& file() { return file_; }
  // Where the next record begins; nothing before it is read again.
  size_t position() const { return position_; }

 protected:
  explicit CaptureReader(MappedFile file) : file_(std::move(file)) {}

  MappedFile file_;
  size_t position_ = 0;
};

// For CaptureReader::Open.
Result<std::unique_ptr<CaptureReader>> MakePcapReader(MappedFile file);
Result<std::unique_ptr<CaptureReader>> MakePcapngReader(MappedFile file);

}  // namespace stillwatch::dataplane
