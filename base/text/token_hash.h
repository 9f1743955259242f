// The 32-bit hash of one normalised token (docs/text.md has the definition in integers; the golden
// vectors are tests/base/text/golden.txt). Pure; any thread; the salt makes it unguessable from outside.
//
// Blocks of 16 bytes, little-endian, the last one padded with zero bytes (a token holds no NUL):
//   s = k0;  for each block (lo, hi):  s = fold((lo ^ s) * (hi ^ k1));  hash = (s * kFinal) >> 32
// where fold of the 128-bit product is its high half xor its low half.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "base/endian.h"
#include "base/hash.h"

namespace stillwatch::text {

// A token holds at most this many normalised bytes; a longer run is cut into tokens.
inline constexpr uint32_t kTokenBytesMax = 64;

// kByteMask[n]: the first n bytes of 16.
struct ByteMask {
  uint64_t lo, hi;
};
constexpr std::array<ByteMask, 17> MakeByteMasks() {
  std::array<ByteMask, 17> masks{};
  for (uint32_t n = 0; n <= 16; ++n) {
    masks[n].lo = n >= 8 ? ~0ull : (1ull << 8 * n) - 1;
    masks[n].hi = n >= 16 ? ~0ull : n <= 8 ? 0 : (1ull << 8 * (n - 8)) - 1;
  }
  return masks;
}
inline constexpr std::array<ByteMask, 17> kByteMask = MakeByteMasks();

class TokenHasher {
 public:
  explicit TokenHasher(Salt salt)
      : k0_(Mix64(salt.value + 0x9e3779b97f4a7c15ull)),
        k1_(Mix64(salt.value + 0x3c6ef372fe94f82aull)) {}

  // One block of a token that fits 16 bytes, already padded.
  uint32_t HashBlock(uint64_t lo, uint64_t hi) const { return Final(Step(k0_, lo, hi)); }
  // A token of 1 to 16 bytes, of which 16 may be read.
  uint32_t HashShort(const uint8_t* bytes, size_t size) const { return Final(Masked(k0_, bytes, size)); }

  // Any token; reads exactly `size` bytes.
  uint32_t Hash(const uint8_t* bytes, size_t size) const {
    const size_t whole = size == 0 ? 0 : (size - 1) / 16 * 16;
    uint8_t last[16] = {};
    std::memcpy(last, bytes + whole, size - whole);
    return Final(Step(Steps(bytes, whole), LoadLe<uint64_t>(last), LoadLe<uint64_t>(last + 8)));
  }
  // The same of at least one byte, where whole blocks of 16 may be read, whatever lies behind the token's end.
  uint32_t HashInRoom(const uint8_t* bytes, size_t size) const {
    const size_t whole = (size - 1) / 16 * 16;
    return Final(Masked(Steps(bytes, whole), bytes + whole, size - whole));
  }

 private:
  uint64_t Steps(const uint8_t* bytes, size_t whole) const {
    uint64_t state = k0_;
    for (size_t at = 0; at < whole; at += 16) state = Step(state, LoadLe<uint64_t>(bytes + at), LoadLe<uint64_t>(bytes + at + 8));
    return state;
  }
  uint64_t Masked(uint64_t state, const uint8_t* block, size_t size) const {
    const ByteMask& mask = kByteMask[size];
    return Step(state, LoadLe<uint64_t>(block) & mask.lo, LoadLe<uint64_t>(block + 8) & mask.hi);
  }
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
