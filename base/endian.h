// Unaligned loads and stores in network order (Be) and little-endian order (Le).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace stillwatch {

static_assert(std::endian::native == std::endian::little, "x86-64 and arm64 little-endian only");

template <typename T>
inline T LoadLe(const void* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
inline uint16_t LoadBe16(const void* at) { return __builtin_bswap16(LoadLe<uint16_t>(at)); }
inline uint32_t LoadBe32(const void* at) { return __builtin_bswap32(LoadLe<uint32_t>(at)); }
inline uint64_t LoadBe64(const void* at) { return __builtin_bswap64(LoadLe<uint64_t>(at)); }

template <typename T>
inline void StoreLe(void* at, T value) {
  std::memcpy(at, &value, sizeof value);
}
inline void StoreBe16(void* at, uint16_t value) { StoreLe(at, __builtin_bswap16(value)); }
inline void StoreBe32(void* at, uint32_t value) { StoreLe(at, __builtin_bswap32(value)); }
inline void StoreBe64(void* at, uint64_t value) { StoreLe(at, __builtin_bswap64(value)); }

}  // namespace stillwatch
