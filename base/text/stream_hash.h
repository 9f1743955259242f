// 64-bit keyed hash of a text that comes in pieces: any cut gives the same value. Not the same numbers as
// KeyedHash64. 40 bytes of state, of which 16 may hold text until Digest.
//
// Definition: blocks of 16 bytes (the last padded with zero bytes) as in token_hash.h, then the byte count:
//   s = Mix64(salt); for each block: s = fold((lo ^ s) * (hi ^ k)); digest = Mix64(s ^ length * k)
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/endian.h"
#include "base/hash.h"

namespace stillwatch::text {

class StreamHash {
 public:
  explicit StreamHash(Salt salt = {}) : state_(Mix64(salt.value + kOdd)) {}

  void Update(std::string_view piece) {
    const uint8_t* at = reinterpret_cast<const uint8_t*>(piece.data());
    size_t left = piece.size();
    const size_t kept = length_ % 16;
    length_ += left;
    if (kept != 0) {
      const size_t part = left < 16 - kept ? left : 16 - kept;
      std::memcpy(block_ + kept, at, part);
      if (kept + part < 16) return;
      Step(block_);
      at += part;
      left -= part;
    }
    for (; left >= 16; at += 16, left -= 16) Step(at);
    if (left != 0) std::memcpy(block_, at, left);
  }

  // 0 for the empty text only.
  uint64_t Digest() {
    if (length_ == 0) return 0;
    const size_t kept = length_ % 16;
    if (kept != 0) {
      std::memset(block_ + kept, 0, 16 - kept);
      Step(block_);
    }
    std::memset(block_, 0, sizeof block_);
    const uint64_t digest = Mix64(state_ ^ length_ * kOdd);
    return digest != 0 ? digest : 1;
  }

 private:
  static constexpr uint64_t kOdd = 0x9e3779b97f4a7c15ull;

  void Step(const uint8_t* block) {
    const unsigned __int128 product =
        static_cast<unsigned __int128>(LoadLe<uint64_t>(block) ^ state_) *
        static_cast<unsigned __int128>(LoadLe<uint64_t>(block + 8) ^ kOdd);
    state_ = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }

  uint64_t state_;
  uint64_t length_ = 0;
  uint8_t block_[16] = {};
};

}  // namespace stillwatch::text
