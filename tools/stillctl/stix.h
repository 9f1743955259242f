// One campaign as a STIX 2.1 bundle, for a partner's analysts and threat-intelligence platform: the campaign, who says so,
// TLP:AMBER, and the definition of the extension that carries state, probabilities, evidence and look-alike checks. Leaves
// out all that names or finds a customer or a prompt: accounts, exemplars, core and request hashes. A pure function.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace stillwatch::stillctl {

// `campaign`: a verdict as `stillctl --json campaign` prints it. `box`: who made it; it shows as a hash. `now`: RFC 3339, as
// FormatTime writes it. Ids are made of the campaign's, so that a later export is a newer version of the same objects.
nlohmann::json StixBundle(const nlohmann::json& campaign, const std::string& box, const std::string& now);

}  // namespace stillwatch::stillctl
