// One campaign as a STIX 2.1 bundle, for a partner's analysts, threat-intelligence platform and box: the campaign, who says so,
// TLP:AMBER, and the definition of the extension that carries state, probabilities, evidence and look-alike checks. Where the
// box could hash its prompt cores under the key of the pair, an indicator carries them, signed, with an end. Leaves out all
// that names or finds a customer or a prompt: accounts, exemplars, core and request hashes under this box's salt. And back:
// what a box needs to know the campaign again. Pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace stillwatch::stix {

// `campaign`: a verdict as `stillctl --json campaign` prints it. `claim`: v1::PartnerClaim as JSON, signed; null: none. `box`: who
// made it; it shows as a hash. `now`: RFC 3339, as FormatTime writes it. Ids are made of the campaign's, so that a later
// export is a newer version of the same objects.
nlohmann::json Bundle(const nlohmann::json& campaign, const nlohmann::json& claim, const std::string& box, const std::string& now);

// The claim of a bundle, without the partner's name: its signature says whose it is, and is checked by who takes it. The
// error says what is missing or malformed. At most kBundleBytesMax; any bytes are legal.
inline constexpr size_t kBundleBytesMax = 1 << 20;
Result<nlohmann::json> ClaimOf(std::string_view bundle);

}  // namespace stillwatch::stix
