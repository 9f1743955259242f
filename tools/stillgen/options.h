// Command line words of stillgen: --name value and --name=value, in any order.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stillwatch::stillgen {

class Options {
 public:
  // Refuses words that are not among `known` ("seed", "out", ...; a trailing '!' marks a flag without value).
  static Result<Options> Parse(int argc, char** argv, std::vector<std::string_view> known);

  bool Has(const std::string& name) const { return values_.contains(name); }
  std::string Text(const std::string& name, std::string fallback = "") const;
  // Aborts the program with a message and status 64 when the value is no number in [low, high].
  double Number(const std::string& name, double fallback, double low, double high) const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace stillwatch::stillgen
