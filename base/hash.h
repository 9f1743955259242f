// Hashes. XXH3 comes from libxxhash; all seeds derive from a secret salt, never from a constant.
//   KeyedHash64: identifies a byte string (bodies, ids). Not reversible without the salt, but 64 bits
//     are no proof against someone who holds the salt: treat it as a pseudonym.
//   Mix64/Mix32: cheap invertible finalisers for integers, also used on the GPU (pure functions).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace stillwatch {

// The fleet salt. Everything that hashes text takes one. Two boxes that share it produce equal hashes.
struct Salt {
  uint64_t value = 0;
};

// XXH3 64 of `bytes` with the salt as seed.
uint64_t KeyedHash64(Bytes bytes, Salt salt);
inline uint64_t KeyedHash64(std::string_view text, Salt salt) {
  return KeyedHash64(AsBytes(text), salt);
}

// The fleet salt from secret bytes of any length: up to 8 bytes as they are (big-endian), longer ones
// hashed. No bytes: the all-zero salt (replay and golden vectors).
Salt SaltFromSecret(std::string_view secret);

// The salt of one purpose ("body", "id", ...), so that equal strings in two roles do not collide.
Salt DeriveSalt(Salt fleet, std::string_view purpose);

// splitmix64's finaliser (Steele, Lea, Flood 2014).
constexpr uint64_t Mix64(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ull;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebull;
  x ^= x >> 31;
  return x;
}

// MurmurHash3's 32-bit finaliser (Appleby).
constexpr uint32_t Mix32(uint32_t x) {
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  x ^= x >> 16;
  return x;
}

}  // namespace stillwatch
