// The 32-bit hash of one normalised token (docs/text.md has the definition in integers; the golden
// vectors are tests/base/text/golden.txt). Pure; any thread; the salt makes it unguessable from outside.
//
// Blocks of 16 bytes, little-endian, the last one padded with zero bytes (a token holds no NUL):
//   s = k0;  for each block (lo, hi):  s = fold((lo ^ s) * (hi ^ k1));  hash = (s * kFinal) >> 32
// where fold of the 128-bit product is its high half xor its low half.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/endian.h"
#include "base/hash.h"

namespace stillwatch::text {

// A token holds at most this many normalised bytes; a longer run is cut into tokens.
inline constexpr uint32_t kTokenBytesMax = 64;

class TokenHasher {
 public:
  explicit TokenHasher(Salt salt)
      : k0_(Mix64(salt.value + 0x9e3779b97f4a7c15ull)),
        k1_(Mix64(salt.value + 0x3c6ef372fe94f82aull)) {}

  // One block of a token that fits 16 bytes, already padded.
  uint32_t HashBlock(uint64_t lo, uint64_t hi) const { return Final(Step(k0_, lo, hi)); }

  // Any token; reads exactly `size` bytes.
  uint32_t Hash(const uint8_t* bytes, size_t size) const {
    uint64_t state = k0_;
    for (; size > 16; bytes += 16, size -= 16) {
      state = Step(state, LoadLe<uint64_t>(bytes), LoadLe<uint64_t>(bytes + 8));
    }
    uint64_t last[2] = {0, 0};
    std::memcpy(last, bytes, size);
    return Final(Step(state, last[0], last[1]));
  }

 private:
  uint64_t Step(uint64_t state, uint64_t lo, uint64_t hi) const {
    const unsigned __int128 product =
        static_cast<unsigned __int128>(lo ^ state) * static_cast<unsigned __int128>(hi ^ k1_);
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  }
  static uint32_t Final(uint64_t state) {
    constexpr uint64_t kFinal = 0xff51afd7ed558ccdull;
    return static_cast<uint32_t>(state * kFinal >> 32);
  }

  uint64_t k0_, k1_;
};

}  // namespace stillwatch::text
