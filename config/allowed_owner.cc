#include "config/allowed_owner.h"

#include <algorithm>
#include <vector>

#include "base/clock.h"
#include "base/time_format.h"

namespace stillwatch::config {

namespace {

constexpr int64_t kDayNs = 24 * kNsPerHour;
constexpr char kSeparator[] = "; ", kUntil[] = "until ";

}  // namespace

Result<AllowedOwnerText> ParseAllowedOwner(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(kSeparator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + sizeof kSeparator - 1;
  }
  AllowedOwnerText owner;
  owner.owner = parts[0];
  if (owner.owner.empty()) return Error{"the owner's name is empty"};
  size_t next = 1;
  if (next < parts.size() && parts[next].starts_with(kUntil)) {
    const std::string day = parts[next++].substr(sizeof kUntil - 1);
    const Result<int64_t> begin = ParseTime(day + "T00:00:00Z");
    if (!begin.ok()) return Error{"'" + day + "' is no date"};
    owner.until_ns = begin.value() + kDayNs;
  }
  if (next < parts.size()) owner.reason = parts[next++];
  if (next < parts.size()) return Error{"has more than owner, date and reason"};
  return owner;
}

}  // namespace stillwatch::config
