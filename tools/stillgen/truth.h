// The answer key: what was sent, by whom, and which accounts belong to which campaign.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "tools/stillgen/world.h"

namespace stillwatch::stillgen {

// "hex:..." or "file:PATH" as in the configuration's privacy.account_key.
Result<std::string> ReadAccountKey(const std::string& text);

// The first 16 bytes of HMAC-SHA256(account_key, credential), 32 lower-case hex digits.
std::string KeyId(const std::string& account_key, const std::string& credential);

// Accounts that asked at least once, campaigns, and the three shares every run prints (prevalence,
// share, cover). An account's harvest_runs flags its exchanges in the order asked: how many in a row were
// not, were, were not ... harvest. `account_key` empty: no key_id fields. Numbers only, no floating point but the shares.
nlohmann::ordered_json TruthOf(const World& world, const std::string& mix, const std::string& account_key);

Status WriteTruth(const std::string& path, const nlohmann::ordered_json& truth);

}  // namespace stillwatch::stillgen
