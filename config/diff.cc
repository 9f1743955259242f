#include "config/diff.h"

namespace stillwatch::config {

std::vector<Change> Diff(const Config& from, const Config& to) {
  std::vector<Change> changes;
  for (const Key& key : Schema()) {
    Change change{&key, Print(key, from), Print(key, to)};
    if (change.from == change.to) continue;
    if (key.path == "privacy.account_key" || key.path == "privacy.salt" || key.path == "sharing.partners") {
      change.from = change.to = "(secret)";
    }
    changes.push_back(std::move(change));
  }
  return changes;
}

std::string RefusalOf(const std::vector<Change>& changes) {
  std::string keys;
  for (const Change& change : changes) {
    if (change.key->reload == Reload::kHot) continue;
    keys += (keys.empty() ? "" : ", ") + std::string(change.key->path) + " (" + change.from +
            " -> " + change.to + ")";
  }
  if (keys.empty()) return "";
  return "needs a restart with --accept-config: " + keys;
}

}  // namespace stillwatch::config
