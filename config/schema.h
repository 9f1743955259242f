// One row a configuration key: what it is, its bounds, and whether a reload may change it. The loader,
// the reference page (docs/config.md) and the diff all read this table and nothing else.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"

namespace stillwatch::config {

using Field = std::variant<bool*, int64_t*, std::string*, std::vector<std::string>*>;

enum class Reload : uint8_t {
  kHot,      // takes effect at the next reload, without losing a packet
  kRestart,  // a reload that changes it is refused whole
};

struct Key {
  std::string_view path;           // "flow.idle_timeout_s"
  Field (*field)(Config&);
  std::string_view default_value;  // as TOML
  std::string_view unit;           // "" when it has none
  int64_t min = 0, max = 0;        // of integers
  std::span<const std::string_view> choices;  // of strings; empty: free
  Reload reload = Reload::kRestart;
  std::string_view meaning;
};

std::span<const Key> Schema();

// nullptr when there is no such key.
const Key* FindKey(std::string_view path);
// The key nearest in spelling, for "did you mean"; "" when none is near.
std::string_view NearestKey(std::string_view path);

// The present value as TOML.
std::string Print(const Key& key, const Config& config);

// docs/config.md, whole.
std::string SchemaMarkdown();

}  // namespace stillwatch::config
