// What partners tell one another, signed: HMAC-SHA256 under the key of the pair, its first 16 bytes, over all of a claim but
// the name that the taker gives its partner. Any thread.
#pragma once

#include <string>

#include "base/result.h"
#include "pipeline/proto/stillwatch.pb.h"
#include "tools/stillwatch/settings.h"

namespace stillwatch {

// Fills `valid_until` and `mac`. The claim's partner is one of `secrets`.
void SignClaim(int64_t valid_until_ns, const Secrets& secrets, v1::PartnerClaim* claim);

// From JSON (v1::PartnerClaim), signed by the partner that it names; one without a name is whose key it is under. The error says
// what is wrong with it.
Result<v1::PartnerClaim> ReadClaim(const std::string& json, const Secrets& secrets);

}  // namespace stillwatch
