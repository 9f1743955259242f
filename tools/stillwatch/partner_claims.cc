#include "tools/stillwatch/partner_claims.h"

#include <google/protobuf/util/json_util.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/mutant.h"
#include "base/time_format.h"
#include "pipeline/sharing/pattern.h"

namespace stillwatch {

namespace {

constexpr size_t kClaimBytesMax = 48 << 10, kMacBytes = 16;

std::string MacOf(const v1::PartnerClaim& claim, const std::string& key) {
  std::string text = "stillwatch claim 1\n";
  for (const std::string& part : {claim.campaign_id(), claim.state(), std::to_string(claim.accounts()), std::to_string(claim.distillation_like()),
                                  claim.valid_until(), claim.pattern()}) {
    text += part + "\n";
  }
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const uint8_t*>(text.data()), text.size(), mac, &size);
  return HexOf(Bytes(mac, kMacBytes));
}

const PartnerSecret* Find(const Secrets& secrets, const std::string& name) {
  const auto at = std::find_if(secrets.partners.begin(), secrets.partners.end(), [&](const PartnerSecret& p) { return p.name == name; });
  return at == secrets.partners.end() ? nullptr : &*at;
}

}  // namespace

void SignClaim(int64_t valid_until_ns, const Secrets& secrets, v1::PartnerClaim* claim) {
  const PartnerSecret* partner = Find(secrets, claim->partner());
  CHECK(partner != nullptr);
  claim->set_valid_until(FormatTime(valid_until_ns - valid_until_ns % kNsPerSecond).substr(0, 19) + ".000Z");  // as platforms keep times
  claim->set_mac(MacOf(*claim, partner->key));
}

Result<v1::PartnerClaim> ReadClaim(const std::string& json, const Secrets& secrets) {
  if (json.size() > kClaimBytesMax) return Error{"a claim has at most " + std::to_string(kClaimBytesMax) + " bytes"};
  v1::PartnerClaim claim;
  const auto parsed = google::protobuf::util::JsonStringToMessage(json, &claim);
  if (!parsed.ok()) return Error{"no claim: " + std::string(parsed.message())};
  if (claim.partner().empty()) {
    const Result<pipeline::ClaimPattern> pattern = pipeline::ParsePattern(claim.pattern());
    if (!pattern.ok()) return pattern.error();
    for (const PartnerSecret& known : secrets.partners) {
      if (PartnerKeyId(known.key) == pattern.value().key_id) claim.set_partner(known.name);
    }
    if (claim.partner().empty()) return Error{"its sketches are under no key of sharing.partners; both sides need the same one"};
  }
  const PartnerSecret* partner = Find(secrets, claim.partner());
  if (partner == nullptr) return Error{"no partner '" + claim.partner() + "' in sharing.partners"};
  const std::string mac = MacOf(claim, partner->key);
  const bool same = mac.size() == claim.mac().size() && CRYPTO_memcmp(mac.data(), claim.mac().data(), mac.size()) == 0;
  if (!same && !MutantIs("import.trusts_anybody")) {
    return Error{"not signed with the key that sharing.partners has for '" + claim.partner() + "': another partner's, another key, or changed on its way"};
  }
  return claim;
}

}  // namespace stillwatch
