// Incremental reader of the chunked transfer coding (RFC 9112, 7.1) up to the last chunk's line; the trailer
// section behind it is read like a head. Keeps a few bytes of state, copies nothing.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace stillwatch::dataplane {

class ChunkedReader {
 public:
  enum class Step : uint8_t {
    kNeedMore,   // all of the input was taken
    kData,       // the input now begins with `data_left()` bytes of chunk data (or a part of them)
    kLast,       // the last chunk's line ended: trailers follow
    kMalformed,
  };

  // Reads framing bytes off the front of `*data`. At kData the caller takes bytes and calls Took(n).
  Step Next(Bytes* data);
  uint64_t data_left() const { return left_; }
  void Took(uint64_t bytes);
  // True between the bytes of one chunk's data, where lost bytes can be skipped.
  bool in_data() const { return state_ == State::kData; }

  // Syntax that other readers may take otherwise, since the last call.
  bool TakeSyntaxOdd() { return Take(&odd_); }
  bool TakeBareLf() { return Take(&bare_lf_); }

 private:
  enum class State : uint8_t {
    kSizeStart, kSize, kBlankAfterSize, kExtension, kSizeLf, kData, kDataCr, kDataLf
  };
  static bool Take(bool* flag) {
    const bool was = *flag;
    *flag = false;
    return was;
  }
  bool SizeByte(char c);
  bool LineByte(char c);
  Step EndLine();

  State state_ = State::kSizeStart;
  bool odd_ = false, bare_lf_ = false;
  bool quoted_ = false, escaped_ = false, extension_name_ = false;
  uint32_t line_bytes_ = 0;
  uint64_t left_ = 0;
};

// A size line (with its extensions) may be this long.
inline constexpr uint32_t kChunkLineMax = 4'096;

}  // namespace stillwatch::dataplane
