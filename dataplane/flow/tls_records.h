// Finds the records in one direction of a TLS connection (RFC 8446, 5.1) without decrypting: sizes only. Keeps
// twelve bytes of state, copies nothing. After a hole it waits for bytes that begin like a record.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/endian.h"

namespace stillwatch::dataplane {

inline constexpr size_t kTlsRecordHeader = 5;

// Whether the bytes can begin a record; up to five are looked at, one is enough to say no.
inline bool BeginsTlsRecord(Bytes data) {
  constexpr uint32_t kLengthMax = (1u << 14) + 2'048;  // RFC 5246, 6.2.3
  if (data.empty() || data[0] < 20 || data[0] > 24) return false;
  if (data.size() >= 2 && data[1] != 3) return false;
  if (data.size() >= 3 && data[2] > 4) return false;
  return data.size() < kTlsRecordHeader || LoadBe16(&data[3]) <= kLengthMax;
}

class TlsRecords {
 public:
  // Calls step(length) for each record whose last byte is in `data`, which is contiguous with what came before.
  template <typename Step>
  void Feed(Bytes data, Step step) {
    if (lost_) {
      if (data.size() < kTlsRecordHeader || !BeginsTlsRecord(data)) return;
      lost_ = false;
      header_bytes_ = 0;
      left_ = 0;
    }
    while (!data.empty()) {
      if (header_bytes_ < kTlsRecordHeader) {
        const size_t take = std::min(data.size(), kTlsRecordHeader - header_bytes_);
        std::memcpy(header_ + header_bytes_, data.data(), take);
        header_bytes_ = static_cast<uint8_t>(header_bytes_ + take);
        data = data.subspan(take);
        if (header_bytes_ < kTlsRecordHeader) return;
        if (!BeginsTlsRecord(Bytes(header_, kTlsRecordHeader))) return Gap();
        left_ = LoadBe16(header_ + 3);
      }
      const size_t take = std::min<size_t>(data.size(), left_);
      left_ -= static_cast<uint32_t>(take);
      data = data.subspan(take);
      if (left_ != 0) return;
      step(LoadBe16(header_ + 3));
      header_bytes_ = 0;
    }
  }
  void Gap() { lost_ = true; }
  bool lost() const { return lost_; }

 private:
  uint32_t left_ = 0;
  uint8_t header_[kTlsRecordHeader] = {};
  uint8_t header_bytes_ = 0;
  bool lost_ = false;
};

}  // namespace stillwatch::dataplane
