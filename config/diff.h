// What a reload would change.
#pragma once

#include <string>
#include <vector>

#include "config/schema.h"

namespace stillwatch::config {

struct Change {
  const Key* key;
  std::string from, to;  // as TOML; secrets print as "(secret)"
};

std::vector<Change> Diff(const Config& from, const Config& to);

// "" when every change is hot; else one line that names the restart-only keys.
std::string RefusalOf(const std::vector<Change>& changes);

}  // namespace stillwatch::config
