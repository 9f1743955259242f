#include "tools/stillctl/stix.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/hash.h"

namespace stillwatch::stillctl {

namespace {

using nlohmann::json;

// Fixed by the standard (STIX 2.1, 7.2.1.4).
constexpr char kTlpAmber[] = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82";
// Ours, for good: the meaning of its fields is docs/topics.md.
constexpr char kExtension[] = "extension-definition--4e3c0a0a-98bd-4ca7-89cf-8bc8cdbc3332";
constexpr char kExtensionMade[] = "2026-11-29T00:00:00.000Z";

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

json Checks(const json& campaign) {
  json list = json::array();
  for (const json& check : campaign["checks"]) {
    list.push_back({{"name", check["name"]}, {"result", check["result"]}, {"text", check["text"]}});
  }
  return list;
}

}  // namespace

json StixBundle(const json& campaign, const std::string& box, const std::string& now) {
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
                                     "that harvests a model's outputs through many accounts."},
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
  return {{"type", "bundle"}, {"id", "bundle--" + UuidOf("bundle " + id + now)}, {"objects", objects}};
}

}  // namespace stillwatch::stillctl
