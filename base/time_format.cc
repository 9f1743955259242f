#include "base/time_format.h"

#include <cstdio>
#include <ctime>

#include "base/clock.h"

namespace stillwatch {

std::string FormatTime(int64_t unix_ns) {
  int64_t seconds = unix_ns / kNsPerSecond;
  int64_t fraction = unix_ns % kNsPerSecond;
  if (fraction < 0) {
    fraction += kNsPerSecond;
    --seconds;
  }
  const time_t when = static_cast<time_t>(seconds);
  tm utc{};
  gmtime_r(&when, &utc);
  char text[48];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<long>(fraction));
  return text;
}

Result<int64_t> ParseTime(std::string_view text) {
  const Error bad{"'" + std::string(text) + "' is not a time like 2026-01-01T00:00:00.000000000Z"};
  tm utc{};
  int used = 0;
  const std::string copy(text);
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &utc.tm_year, &utc.tm_mon,
                  &utc.tm_mday, &utc.tm_hour, &utc.tm_min, &utc.tm_sec, &used) != 6) {
    return bad;
  }
  if (utc.tm_mon < 1 || utc.tm_mon > 12 || utc.tm_mday < 1 || utc.tm_mday > 31 ||
      utc.tm_hour > 23 || utc.tm_min > 59 || utc.tm_sec > 60) {
    return bad;
  }
  utc.tm_year -= 1900;
  utc.tm_mon -= 1;
  std::string_view rest = text.substr(static_cast<size_t>(used));
  int64_t fraction = 0;
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    int64_t unit = kNsPerSecond / 10;
    size_t digits = 0;
    for (; digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9'; ++digits) {
      fraction += (rest[digits] - '0') * unit;
      unit /= 10;
    }
    if (digits == 0 || digits > 9) return bad;
    rest.remove_prefix(digits);
  }
  if (rest != "Z") return bad;
  return static_cast<int64_t>(timegm(&utc)) * kNsPerSecond + fraction;
}

}  // namespace stillwatch
