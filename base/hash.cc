#include "base/hash.h"

#include <xxhash.h>

namespace stillwatch {

uint64_t KeyedHash64(Bytes bytes, Salt salt) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), salt.value);
}

Salt SaltFromSecret(std::string_view secret) {
  if (secret.size() > 8) return Salt{XXH3_64bits(secret.data(), secret.size())};
  Salt salt;
  for (const char byte : secret) salt.value = salt.value << 8 | static_cast<uint8_t>(byte);
  return salt;
}

Salt DeriveSalt(Salt fleet, std::string_view purpose) {
  return Salt{XXH3_64bits_withSeed(purpose.data(), purpose.size(), fleet.value)};
}

}  // namespace stillwatch
