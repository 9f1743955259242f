#include "base/hash.h"

#include <xxhash.h>

namespace stillwatch {

uint64_t KeyedHash64(Bytes bytes, Salt salt) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), salt.value);
}

Salt DeriveSalt(Salt fleet, std::string_view purpose) {
  return Salt{XXH3_64bits_withSeed(purpose.data(), purpose.size(), fleet.value)};
}

}  // namespace stillwatch
