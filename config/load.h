// Reads a configuration. All mistakes of a file are reported at once, each as
// "FILE:LINE:COLUMN: what; mend". Called at start, by `stillctl check` and by reload.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace stillwatch::config {

// Defaults, then the file (path "" for none), then each "KEY=VALUE". VALUE is TOML; text that is no TOML
// value is taken as a string.
Result<Config> LoadConfig(const std::string& path, std::span<const std::string> sets);

// The text of a configuration file; the error names it.
Result<std::string> ReadConfigFile(const std::string& path);

// The same as LoadConfig from memory; `name` stands for the file in messages.
Result<Config> ParseConfig(std::string_view text, const std::string& name,
                           std::span<const std::string> sets);

struct Problem {
  std::string_view key;
  std::string what, mend;
};
std::string TextOf(const Problem& problem);  // "KEY WHAT; MEND"

// What a live box needs beyond valid values: ports named, secrets that can be read and are long enough. None in
// replay mode.
std::vector<Problem> LiveProblems(const Config& config);

// Bytes named by "hex:..." or "file:PATH" (the file holds hex or raw bytes).
Result<std::string> ReadSecret(const std::string& key, const std::string& value);

}  // namespace stillwatch::config
