// RFC 3339 with Z and nine digits, the one form in which times leave the box.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace stillwatch {

// 1767225600000000001 -> "2026-01-01T00:00:00.000000001Z". Years 1678 to 2261 (int64 nanoseconds).
std::string FormatTime(int64_t unix_ns);

// Reads what FormatTime writes; 0 to 9 fraction digits, Z only.
Result<int64_t> ParseTime(std::string_view text);

}  // namespace stillwatch
