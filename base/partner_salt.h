// The salt of what two partners compare, from the key that both hold, of eight bytes or more.
#pragma once

#include <string_view>

#include "base/hash.h"

namespace stillwatch {

inline Salt PartnerSalt(std::string_view key) { return DeriveSalt(SaltFromSecret(key), "partner"); }

}  // namespace stillwatch
