#include "tools/stix/bundle.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/hash.h"

namespace stillwatch::stix {

namespace {

using nlohmann::json;

// Fixed by the standard (STIX 2.1, 7.2.1.4).
constexpr char kTlpAmber[] = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82";
// Ours, for good: the meaning of its fields is docs/topics.md.
constexpr char kExtension[] = "extension-definition--4e3c0a0a-98bd-4ca7-89cf-8bc8cdbc3332";
constexpr char kExtensionMade[] = "2026-11-29T00:00:00.000Z";

constexpr char kPatternType[] = "stillwatch";
// Of a claim, beside pattern and valid_until, which have fields of their own in STIX.
constexpr const char* kClaimFields[] = {"campaign_id", "state", "accounts", "distillation_like", "mac"};

// In the shape of a random UUID (RFC 4122, version 4), but always the same for the same text.
std::string UuidOf(const std::string& text) {
  std::string hex = HexOf(KeyedHash64(text, Salt{1})) + HexOf(KeyedHash64(text, Salt{2}));
  hex[12] = '4';
  hex[16] = "89ab"[hex[16] & 3];
  for (const size_t at : {20, 16, 12, 8}) hex.insert(at, "-");
  return hex;
}

// Milliseconds: what platforms keep of a time.
std::string Milliseconds(const std::string& time) { return time.substr(0, 23) + "Z"; }

json Evidence(const json& campaign) {
  json list = json::array();
  for (const json& evidence : campaign["evidence"]) {
    json entry;
    for (const char* field : {"layer", "kind", "family", "weight", "count", "accounts", "first_seen", "last_seen", "text"}) {
      entry[field] = evidence[field];
    }
    list.push_back(entry);
  }
  return list;
}

// The prompt cores, and that they indicate the campaign.
void AddIndicator(const json& claim, const std::string& identity, const std::string& made, json* objects) {
  const std::string id = claim["campaign_id"], indicator = "indicator--" + UuidOf("indicator " + id + claim["mac"].get<std::string>());
  json extension{{"extension_type", "property-extension"}};
  for (const char* field : kClaimFields) extension[field] = claim[field];
  const json amber = json::array({kTlpAmber});
  objects->push_back({{"type", "indicator"}, {"spec_version", "2.1"}, {"id", indicator}, {"created_by_ref", identity}, {"created", made},
                      {"modified", made}, {"name", "prompt cores of distillation campaign " + id.substr(0, 8)},
                      {"description", "Hashes of neighbouring words under a key that two partners hold. A request that holds them may be the "
                                      "campaign's; by itself it is no reason to act against anybody."},
                      {"indicator_types", {"anomalous-activity"}}, {"pattern", claim["pattern"]}, {"pattern_type", kPatternType},
                      {"pattern_version", "1"}, {"valid_from", made}, {"valid_until", claim["valid_until"]},
                      {"object_marking_refs", amber}, {"extensions", {{kExtension, extension}}}});
  objects->push_back({{"type", "relationship"}, {"spec_version", "2.1"}, {"id", "relationship--" + UuidOf("relationship " + indicator)},
                      {"created_by_ref", identity}, {"created", made}, {"modified", made}, {"relationship_type", "indicates"},
                      {"source_ref", indicator}, {"target_ref", "campaign--" + UuidOf("campaign " + id)}, {"object_marking_refs", amber}});
}

json Checks(const json& campaign) {
  json list = json::array();
  for (const json& check : campaign["checks"]) {
    list.push_back({{"name", check["name"]}, {"result", check["result"]}, {"text", check["text"]}});
  }
  return list;
}

}  // namespace

json Bundle(const json& campaign, const json& claim, const std::string& box, const std::string& now) {
  const std::string id = campaign["campaign_id"], made = Milliseconds(now);
  const std::string identity = "identity--" + UuidOf("box " + box);
  std::string first = campaign["evidence_time"], last = first;
  for (const json& evidence : campaign["evidence"]) {
    first = std::min(first, evidence["first_seen"].get<std::string>());
    last = std::max(last, evidence["last_seen"].get<std::string>());
  }
  first = std::min(Milliseconds(first), made), last = std::min(Milliseconds(last), made);
  const json amber = json::array({kTlpAmber});
  json objects = json::array();
  objects.push_back({{"type", "marking-definition"}, {"spec_version", "2.1"}, {"id", kTlpAmber},
                     {"created", "2017-01-20T00:00:00.000Z"}, {"definition_type", "tlp"}, {"name", "TLP:AMBER"},
                     {"definition", {{"tlp", "amber"}}}});
  objects.push_back({{"type", "identity"}, {"spec_version", "2.1"}, {"id", identity}, {"created", kExtensionMade},
                     {"modified", kExtensionMade}, {"name", "a provider that runs Stillwatch"}, {"identity_class", "organization"},
                     {"object_marking_refs", amber}});
  objects.push_back({{"type", "extension-definition"}, {"spec_version", "2.1"}, {"id", kExtension}, {"created_by_ref", identity},
                     {"created", kExtensionMade}, {"modified", kExtensionMade}, {"name", "Stillwatch distillation campaign"},
                     {"description", "State, probabilities in 1/65,536, evidence in 1/256 nat and look-alike checks of a campaign "
                                     "that harvests a model's outputs through many accounts; of an indicator, what its signature covers."},
                     {"schema", "docs/topics.md of Stillwatch, topic campaign-verdict"}, {"version", "1.0.0"},
                     {"extension_types", {"property-extension"}}});
  const json& labels = campaign["labels"];
  const uint64_t accounts = campaign["accounts"].size();
  json extension{{"extension_type", "property-extension"},
                 {"campaign_id", id},
                 {"state", campaign["state"]},
                 {"pooled", labels["pooled"]},
                 {"distillation_like", labels["distillation_like"]},
                 {"accounts_count", accounts},
                 {"innocents_high", campaign["blast_radius"]["innocents_high"]},
                 {"harvest_rate_24h", campaign["harvest_rate_24h"]},
                 {"evidence", Evidence(campaign)},
                 {"counter_evidence", campaign["counter_evidence"]},
                 {"checks", Checks(campaign)}};
  objects.push_back({{"type", "campaign"}, {"spec_version", "2.1"}, {"id", "campaign--" + UuidOf("campaign " + id)},
                     {"created_by_ref", identity}, {"created", first}, {"modified", made},
                     {"name", "distillation campaign " + id.substr(0, 8)},
                     {"description", std::to_string(accounts) + " accounts that look run by one operator, whose traffic looks like "
                                     "harvesting a model's outputs. Evidence for a person, not proof."},
                     {"objective", "train another model on the outputs of this one"},
                     {"first_seen", first}, {"last_seen", last},
                     {"confidence", labels["distillation_like"].get<uint64_t>() * 100 / 65'536},
                     {"labels", {"model-distillation"}}, {"object_marking_refs", amber}, {"extensions", {{kExtension, extension}}}});
  if (!claim.is_null()) AddIndicator(claim, identity, made, &objects);
  return {{"type", "bundle"}, {"id", "bundle--" + UuidOf("bundle " + id + now)}, {"objects", objects}};
}

Result<json> ClaimOf(std::string_view text) {
  if (text.size() > kBundleBytesMax) return Error{"the bundle has more than " + std::to_string(kBundleBytesMax >> 20) + " MiB"};
  const json bundle = json::parse(text, nullptr, false);
  if (bundle.is_discarded()) return Error{"the bundle is no JSON"};
  if (!bundle.is_object() || bundle.value("type", json()) != "bundle" || !bundle.value("objects", json()).is_array()) {
    return Error{"this is no STIX bundle: it has no \"type\": \"bundle\" and list of objects"};
  }
  const json* found = nullptr;
  for (const json& object : bundle["objects"]) {
    if (!object.is_object() || object.value("type", json()) != "indicator" || object.value("pattern_type", json()) != kPatternType) continue;
    if (found != nullptr) return Error{"the bundle has two indicators of pattern_type \"stillwatch\"; import one at a time"};
    found = &object;
  }
  if (found == nullptr) return Error{"the bundle has no indicator of pattern_type \"stillwatch\": it was exported without sketches"};
  if (found->value("revoked", json()) == true) return Error{"the indicator was revoked by its maker"};
  const json extension = found->value("extensions", json()).is_object() ? (*found)["extensions"].value(kExtension, json()) : json();
  if (!extension.is_object()) return Error{"the indicator lacks the extension of Stillwatch"};
  json claim;
  for (const char* field : {"pattern", "valid_until"}) {
    if (!found->value(field, json()).is_string()) return Error{"the indicator's " + std::string(field) + " is no text"};
    claim[field] = (*found)[field];
  }
  for (const char* field : kClaimFields) {
    const bool number = field == std::string_view("accounts") || field == std::string_view("distillation_like");
    const json value = extension.value(field, json());
    if (number ? !value.is_number_unsigned() : !value.is_string()) return Error{"the extension's " + std::string(field) + (number ? " is no number" : " is no text")};
    claim[field] = value;
  }
  return claim;
}

}  // namespace stillwatch::stix
