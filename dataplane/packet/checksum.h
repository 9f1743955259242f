// The Internet checksum (RFC 1071). Pure, any thread; reads exactly the span it is given.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace stillwatch::dataplane {

// The one's complement sum of `data` as loaded (byte order does not matter to a sum that FoldSum ends), not
// folded, not complemented. Any length, any alignment. Sums of several pieces add up where each piece but the
// last is of even length.
uint64_t InternetSum(Bytes data);

// Folds to 16 bits and complements: 0 for data whose checksum field is right.
uint16_t FoldSum(uint64_t sum);

}  // namespace stillwatch::dataplane
