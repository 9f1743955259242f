#include "config/partner.h"

#include "base/bytes.h"

namespace stillwatch::config {

Result<PartnerText> ParsePartner(const std::string& text) {
  constexpr size_t kNameMax = 32;
  const size_t blank = text.find(' ');
  if (blank == std::string::npos) return Error{"has no key"};
  PartnerText partner{text.substr(0, blank), text.substr(blank + 1)};
  constexpr char kOfNames[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  if (partner.name.empty() || partner.name.size() > kNameMax || partner.name.find_first_not_of(kOfNames) != std::string::npos) {
    return Error{"a partner's name has 1 to " + std::to_string(kNameMax) + " letters, digits, '.', '_' and '-'"};
  }
  std::string bytes;
  const bool hex = partner.secret.starts_with("hex:") && ParseHex(std::string_view(partner.secret).substr(4), &bytes) && !bytes.empty();
  if (!hex && !(partner.secret.starts_with("file:") && partner.secret.size() > 5)) return Error{"the key is no hex:... or file:PATH"};
  return partner;
}

}  // namespace stillwatch::config
