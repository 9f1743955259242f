#include "tools/stillgen/truth.h"

#include <openssl/hmac.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "base/bytes.h"
#include "base/time_format.h"

namespace stillwatch::stillgen {

Result<std::string> ReadAccountKey(const std::string& text) {
  std::string key;
  if (text.starts_with("hex:") && ParseHex(std::string_view(text).substr(4), &key) && !key.empty()) return key;
  if (text.starts_with("file:")) {
    std::ifstream file(text.substr(5), std::ios::binary);
    if (!file) return Error{"--account-key: " + text.substr(5) + ": " + std::strerror(errno)};
    std::ostringstream all;
    all << file.rdbuf();
    key = all.str();
    while (!key.empty() && (key.back() == '\n' || key.back() == '\r')) key.pop_back();
    std::string decoded;
    return ParseHex(key, &decoded) && !decoded.empty() ? decoded : key;
  }
  return Error{"--account-key is '" + text + "'; give hex:DIGITS or file:PATH, as in privacy.account_key"};
}

std::string KeyId(const std::string& account_key, const std::string& credential) {
  uint8_t digest[32];
  unsigned size = sizeof digest;
  CHECK(HMAC(EVP_sha256(), account_key.data(), static_cast<int>(account_key.size()),
             reinterpret_cast<const uint8_t*>(credential.data()), credential.size(), digest, &size) != nullptr);
  return HexOf(Bytes(digest, 16));
}

nlohmann::ordered_json TruthOf(const World& world, const std::string& mix, const std::string& account_key) {
  using Json = nlohmann::ordered_json;
  const auto time = [&](int64_t ns) { return FormatTime(world.options.start_unix_ns + ns); };
  Json truth;
  truth["generator"] = "stillgen";
  truth["seed"] = world.options.seed;
  truth["split"] = SplitName(world.options.split);
  truth["mix"] = mix;
  truth["disguise"] = world.options.disguise;
  truth["start"] = time(0);
  uint64_t requests = 0, harvest = 0, on_campaign_accounts = 0, active = 0, in_campaigns = 0;
  Json accounts = Json::array();
  std::vector<Json> members(world.campaigns.size(), Json::array());
  std::vector<uint64_t> harvests(world.campaigns.size()), covers(world.campaigns.size());
  for (const auto& a : world.accounts) {
    if (a->requests == 0) continue;
    ++active;
    requests += a->requests;
    harvest += a->harvest;
    Json row;
    row["account"] = a->index;
    row["key"] = a->client.key;
    if (!account_key.empty()) row["key_id"] = KeyId(account_key, a->client.key);
    row["kind"] = a->kind;
    row["owner"] = a->owner;
    row["created"] = time(-static_cast<int64_t>(a->age_days) * kNsPerDay);
    if (a->allowed) row["allowed"] = true;
    row["campaign"] = a->campaign < 0 ? Json() : Json(world.campaigns[a->campaign]->name);
    row["client"] = a->client.stack->name;
    row["api"] = ApiName(a->client.api);
    row["requests"] = a->requests;
    row["harvest"] = a->harvest;
    row["rate_limited"] = a->rate_limited;
    if (a->harvest > 0) row["harvest_runs"] = a->harvest_runs;
    row["first"] = time(a->first_ns);
    row["last"] = time(a->last_ns);
    if (a->campaign >= 0) {
      ++in_campaigns;
      on_campaign_accounts += a->requests;
      members[a->campaign].push_back(a->index);
      harvests[a->campaign] += a->harvest;
      covers[a->campaign] += a->requests - a->harvest;
    }
    accounts.push_back(std::move(row));
  }
  Json campaigns = Json::array();
  for (const auto& c : world.campaigns) {
    Json row;
    row["campaign"] = c->name;
    row["type"] = c->type;
    row["harvest"] = harvests[c->index];
    row["cover"] = covers[c->index];
    row["accounts"] = members[c->index];
    campaigns.push_back(std::move(row));
  }
  Json totals;
  totals["accounts"] = active;
  totals["campaign_accounts"] = in_campaigns;
  totals["requests"] = requests;
  totals["harvest"] = harvest;
  totals["prevalence"] = active == 0 ? 0.0 : static_cast<double>(in_campaigns) / static_cast<double>(active);
  totals["share"] = requests == 0 ? 0.0 : static_cast<double>(harvest) / static_cast<double>(requests);
  totals["cover"] = harvest == 0 ? 0.0 : static_cast<double>(on_campaign_accounts - harvest) / static_cast<double>(harvest);
  truth["totals"] = std::move(totals);
  truth["campaigns"] = std::move(campaigns);
  truth["accounts"] = std::move(accounts);
  return truth;
}

Status WriteTruth(const std::string& path, const nlohmann::ordered_json& truth) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  // One account a line: readable, and grep works.
  nlohmann::ordered_json rest = truth;
  const auto accounts = rest["accounts"];
  rest.erase("accounts");
  std::string text = rest.dump(1);
  text.erase(text.rfind('}'));
  while (text.back() == '\n') text.pop_back();
  file << text << ",\n \"accounts\": [";
  for (size_t i = 0; i < accounts.size(); ++i) file << (i == 0 ? "\n  " : ",\n  ") << accounts[i].dump();
  file << "\n ]\n}\n";
  file.close();
  if (!file) return Error{path + ": " + std::strerror(errno)};
  return {};
}

}  // namespace stillwatch::stillgen
