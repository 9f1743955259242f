#include "tools/stillgen/options.h"

#include <cstdio>
#include <cstdlib>

namespace stillwatch::stillgen {

Result<Options> Options::Parse(int argc, char** argv, std::vector<std::string_view> known) {
  Options options;
  for (int i = 0; i < argc; ++i) {
    std::string_view word = argv[i];
    if (!word.starts_with("--")) return Error{"'" + std::string(word) + "' is not an option; options start with --"};
    word.remove_prefix(2);
    const size_t equals = word.find('=');
    const std::string name(word.substr(0, equals));
    bool value_known = false, flag_known = false;
    for (std::string_view candidate : known) {
      value_known |= candidate == name;
      flag_known |= candidate.ends_with('!') && candidate.substr(0, candidate.size() - 1) == name;
    }
    if (!value_known && !flag_known) return Error{"no option --" + name + " here; see stillgen help"};
    if (flag_known) {
      options.values_[name] = "";
    } else if (equals != std::string_view::npos) {
      options.values_[name] = word.substr(equals + 1);
    } else if (i + 1 < argc) {
      options.values_[name] = argv[++i];
    } else {
      return Error{"--" + name + " needs a value"};
    }
  }
  return options;
}

std::string Options::Text(const std::string& name, std::string fallback) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::move(fallback) : found->second;
}

double Options::Number(const std::string& name, double fallback, double low, double high) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return fallback;
  char* end = nullptr;
  const double value = std::strtod(found->second.c_str(), &end);
  if (end == found->second.c_str() || *end != '\0' || !(value >= low && value <= high)) {
    std::fprintf(stderr, "stillgen: --%s is '%s'; give a number from %g to %g\n", name.c_str(), found->second.c_str(), low, high);
    std::exit(64);
  }
  return value;
}

}  // namespace stillwatch::stillgen
