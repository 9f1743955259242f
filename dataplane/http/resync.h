// Finds what looks like the beginning of a message head in bytes that were lost track of. Any cut of the
// bytes finds the same places. Keeps at most 15 bytes.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace stillwatch::dataplane {

class ResyncScanner {
 public:
  explicit ResyncScanner(bool requests) : requests_(requests) {}

  // Searches on in `*data`. True: a head may begin with the bytes tail() (seen before) followed by `*data`,
  // which is advanced to there. False: all was passed over.
  bool Find(Bytes* data);
  Bytes tail() const { return {tail_, tail_bytes_}; }
  void Reset() { tail_bytes_ = 0; }

 private:
  static constexpr size_t kPatternMax = 16;

  const bool requests_;
  uint8_t tail_bytes_ = 0;
  uint8_t tail_[kPatternMax];
};

}  // namespace stillwatch::dataplane
