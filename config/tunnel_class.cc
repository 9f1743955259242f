#include "config/tunnel_class.h"

#include <charconv>
#include <sstream>
#include <string_view>

namespace stillwatch::config {

namespace {

// The largest id of a kind; 0: there is no such kind.
uint32_t IdMax(std::string_view kind) {
  if (kind == "vlan") return 4'094;
  if (kind == "vni") return (1u << 24) - 1;
  return kind == "teid" || kind == "gre" ? UINT32_MAX : 0;
}

bool ParseId(std::string_view text, uint32_t max, uint32_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() && *out <= max;
}

}  // namespace

Result<TunnelClassText> ParseTunnelClass(const std::string& text) {
  std::istringstream words(text);
  TunnelClassText out;
  words >> out.kind;
  const uint32_t max = IdMax(out.kind);
  if (max == 0) return Error{"begins with none of vlan, vni, teid and gre"};
  for (std::string word; words >> word;) {
    if (out.each) return Error{"has something behind \"each\""};
    if (word == "each") {
      out.each = true;
      continue;
    }
    const std::string_view range = word;
    const size_t dash = range.find('-');
    uint32_t first = 0, last = 0;
    if (!ParseId(range.substr(0, dash), max, &first) ||
        !ParseId(dash == std::string_view::npos ? range : range.substr(dash + 1), max, &last) || first > last) {
      return Error{"'" + word + "' is no " + out.kind + " and no range of them, up to " + std::to_string(max)};
    }
    out.ranges.emplace_back(first, last);
  }
  if (out.ranges.empty()) return Error{"names no " + out.kind};
  return out;
}

}  // namespace stillwatch::config
