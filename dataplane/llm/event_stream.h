// Frames of application/vnd.amazon.eventstream, in which Bedrock streams answers: total length, length of the
// headers, CRC of these two, headers, payload, CRC of all before it (big-endian, CRC-32 of IEEE 802.3).
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html, and the same in every AWS SDK.
//
// For the dialect layer, on the worker's thread. EventStreamFramer holds 12 bytes and hands on the rest of each
// frame; who calls it keeps those bytes (bounded there) and gives them to ReadEventFrame. Any bytes are legal: a
// prelude that does not hold together ends the stream, since nothing says where the next frame begins.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/endian.h"

namespace stillwatch::dataplane {

inline constexpr size_t kEventPreludeBytes = 12;

// The CRC-32 of zlib, gzip and Ethernet; `crc` of what came before, 0 at the start.
uint32_t Crc32(uint32_t crc, Bytes data);

class EventStreamFramer {
 public:
  // on_begin(size_t rest) once the prelude is complete, on_bytes(Bytes) for the rest of the frame, on_end() after it.
  // False when the prelude was broken; nothing may be fed after that.
  template <typename OnBegin, typename OnBytes, typename OnEnd>
  bool Feed(Bytes data, OnBegin&& on_begin, OnBytes&& on_bytes, OnEnd&& on_end) {
    while (!data.empty()) {
      if (prelude_have_ < kEventPreludeBytes) {
        prelude_[prelude_have_++] = data[0];
        data = data.subspan(1);
        if (prelude_have_ < kEventPreludeBytes) continue;
        if (!PreludeHolds()) return false;
        left_ = LoadBe32(prelude_) - kEventPreludeBytes;
        on_begin(size_t{left_});
        continue;
      }
      const Bytes part = data.first(data.size() < left_ ? data.size() : left_);
      on_bytes(part);
      data = data.subspan(part.size());
      left_ -= static_cast<uint32_t>(part.size());
      if (left_ > 0) continue;
      on_end();
      prelude_have_ = 0;
    }
    return true;
  }

  Bytes prelude() const { return {prelude_, kEventPreludeBytes}; }
  bool between_frames() const { return prelude_have_ == 0; }

 private:
  bool PreludeHolds() const;

  uint8_t prelude_[kEventPreludeBytes] = {};
  uint8_t prelude_have_ = 0;
  uint32_t left_ = 0;
};

struct EventFrame {
  std::string_view type;  // :event-type, or :exception-type
  bool exception = false;
  std::string_view payload;
};
// The rest of a frame after its prelude; false when its CRC or a header is wrong.
bool ReadEventFrame(Bytes prelude, Bytes rest, EventFrame* frame);

// Base64 of RFC 4648 into `out` (room for three quarters of the text); the bytes written, or -1.
ptrdiff_t DecodeBase64(std::string_view text, uint8_t* out);

}  // namespace stillwatch::dataplane
