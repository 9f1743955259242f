// Undoes one content coding of one body: what InflateStage (gzip, deflate) and WindowStage (br, zstd) have in
// common. Lives in a block of the decoders' pool, which holds the input that waits as well. One worker's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace stillwatch::dataplane {

class CodingStage {
 public:
  static constexpr size_t kInputBytes = 2u << 10;

  enum class Failure : uint8_t { kNone, kCorrupt, kWindowTooLarge, kNoWindowMemory };
  struct Step {
    size_t consumed = 0, produced = 0;
  };

  virtual ~CodingStage() = default;
  // Produces into `out` what `in` gives, or until `out` is full.
  virtual Step Run(Bytes in, std::span<uint8_t> out) = 0;
  virtual Failure failure() const = 0;
  // The bytes are not in the coding that the head named: taken as they are.
  virtual bool mislabelled() const { return false; }
  // The coded data reached its end (or there was none at all).
  virtual bool whole() const = 0;

  // Output of the stage before, not yet taken in.
  uint8_t input[kInputBytes];
  size_t input_at = 0, input_end = 0;
};

}  // namespace stillwatch::dataplane
