// One entry of policy.allow_owners or detect.resellers: "OWNER", or "OWNER; until 2027-06-30; REASON" with either part left out. For the
// loader, which refuses what does not read so, and for who fills the pipeline's policy.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace stillwatch::config {

struct AllowedOwnerText {
  std::string owner;
  int64_t until_ns = INT64_MAX;  // the end of that day, UTC
  std::string reason;
};

Result<AllowedOwnerText> ParseAllowedOwner(const std::string& text);

}  // namespace stillwatch::config
