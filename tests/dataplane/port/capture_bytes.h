// Writes captures byte by byte, in either byte order, straight from the format descriptions.
#pragma once

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

namespace stillwatch::dataplane {

class CaptureBytes {
 public:
  explicit CaptureBytes(bool big_endian) : big_(big_endian) {}

  CaptureBytes& U16(uint16_t v) { return Integer(v, 2); }
  CaptureBytes& U32(uint32_t v) { return Integer(v, 4); }
  CaptureBytes& U64(uint64_t v) { return Integer(v, 8); }
  CaptureBytes& Raw(const std::string& bytes) {
    text_ += bytes;
    return *this;
  }
  CaptureBytes& Pad() {
    while (text_.size() % 4 != 0) text_ += '\0';
    return *this;
  }

  CaptureBytes& PcapHeader(uint32_t magic, uint32_t link) {
    return U32(magic).U16(2).U16(4).U32(0).U32(0).U32(65535).U32(link);
  }
  CaptureBytes& PcapRecord(uint32_t seconds, uint32_t fraction, const std::string& data,
                           uint32_t wire = 0) {
    const auto size = static_cast<uint32_t>(data.size());
    return U32(seconds).U32(fraction).U32(size).U32(wire ? wire : size).Raw(data);
  }

  CaptureBytes& Block(uint32_t type, const CaptureBytes& body) {
    CaptureBytes padded = body;
    padded.Pad();
    const auto length = static_cast<uint32_t>(padded.text_.size() + 12);
    return U32(type).U32(length).Raw(padded.text_).U32(length);
  }
  CaptureBytes& Section() {
    return Block(0x0a0d0d0a, CaptureBytes(big_).U32(0x1a2b3c4d).U16(1).U16(0).U64(~0ull));
  }
  // resolution < 0 and offset 0: option left out.
  CaptureBytes& Interface(uint16_t link, int resolution = -1, int64_t offset_s = 0,
                          uint32_t snap = 0) {
    CaptureBytes body(big_);
    body.U16(link).U16(0).U32(snap);
    if (resolution >= 0)
      body.U16(9).U16(1).Raw(std::string(1, static_cast<char>(resolution))).Pad();
    if (offset_s != 0) body.U16(14).U16(8).U64(static_cast<uint64_t>(offset_s));
    if (resolution >= 0 || offset_s != 0) body.U16(0).U16(0);
    return Block(1, body);
  }
  CaptureBytes& Enhanced(uint32_t interface, uint64_t units, const std::string& data,
                         uint32_t wire = 0) {
    const auto size = static_cast<uint32_t>(data.size());
    CaptureBytes body(big_);
    body.U32(interface).U32(static_cast<uint32_t>(units >> 32)).U32(static_cast<uint32_t>(units));
    body.U32(size).U32(wire ? wire : size).Raw(data);
    return Block(6, body);
  }

  const std::string& text() const { return text_; }
  bool big() const { return big_; }

 private:
  CaptureBytes& Integer(uint64_t v, int bytes) {
    for (int i = 0; i < bytes; ++i) {
      const int shift = big_ ? 8 * (bytes - 1 - i) : 8 * i;
      text_ += static_cast<char>(v >> shift);
    }
    return *this;
  }

  bool big_;
  std::string text_;
};

// A file with these bytes that is removed at the end.
class TempFile {
 public:
  explicit TempFile(const std::string& bytes) {
    char name[] = "/tmp/stillwatch-port-XXXXXX";
    const int fd = mkstemp(name);
    path_ = name;
    if (fd >= 0) close(fd);
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  ~TempFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace stillwatch::dataplane
