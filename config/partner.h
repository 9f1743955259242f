// One entry of sharing.partners: "NAME hex:..." or "NAME file:PATH". For the loader, which refuses what does not read so, and for
// who fills the options.
#pragma once

#include <string>

#include "base/result.h"

namespace stillwatch::config {

struct PartnerText {
  std::string name;    // 1 to 32 letters, digits, '.', '_' and '-'
  std::string secret;  // as ReadSecret takes it
};

Result<PartnerText> ParsePartner(const std::string& text);

}  // namespace stillwatch::config
