// What replay --request-hits writes: for whoever measures detection request by request (tools/evaluate).
#pragma once

#include <string>

#include "base/result.h"
#include "pipeline/intel/end_users.h"
#include "pipeline/profile/profile_table.h"

namespace stillwatch {

// CSV "account,time_s,hit" of every remembered request (at most 30 an account, hits kept before others): whether
// it carried the evidence of a live campaign at the last look. Accounts as topics name them, traffic time in seconds,
// nothing of the text; mode 0600.
Status WriteRequestHits(const std::string& path, const pipeline::AccountNames& names, const pipeline::ProfileTable& profiles);

}  // namespace stillwatch
