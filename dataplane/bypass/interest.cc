#include "dataplane/bypass/interest.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>
#include <string_view>
#include <tuple>

namespace stillwatch::dataplane {

namespace {

bool ParseNumber(std::string_view text, uint32_t max, uint32_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() && *out <= max;
}

bool ParsePrefix(const std::string& text, sw_prefix* out) {
  const size_t slash = text.find('/');
  const std::string address = text.substr(0, slash);
  const bool ipv4 = address.find(':') == std::string::npos;
  uint32_t bits = ipv4 ? 32 : 128;
  if (slash != std::string::npos &&
      !ParseNumber(std::string_view(text).substr(slash + 1), bits, &bits))
    return false;
  std::memset(out, 0, sizeof *out);
  if (!ipv4) {
    out->bits = bits;
    return inet_pton(AF_INET6, address.c_str(), out->address) == 1;
  }
  out->bits = 96 + bits;
  out->address[10] = out->address[11] = 0xff;
  return inet_pton(AF_INET, address.c_str(), out->address + 12) == 1;
}

Status ParsePorts(const char* key, std::span<const std::string> ports, std::vector<uint64_t>* words) {
  for (const std::string& text : ports) {
    const size_t dash = text.find('-');
    const std::string_view view = text;
    uint32_t first = 0, last = 0;
    const bool sound =
        ParseNumber(view.substr(0, dash), 65'535, &first) &&
        ParseNumber(dash == std::string::npos ? view : view.substr(dash + 1), 65'535, &last);
    if (!sound || first > last) {
      return Error{std::string(key) + ": \"" + text + "\" is no port; write it as 443 or 8000-8100"};
    }
    words->resize(kPortWords);
    for (uint32_t port = first; port <= last; ++port) (*words)[port / 64] |= uint64_t{1} << (port % 64);
  }
  return {};
}

}  // namespace

Result<Interest> ParseInterest(std::span<const std::string> prefixes,
                               std::span<const std::string> ports, std::span<const std::string> udp_ports) {
  Interest interest;
  if (prefixes.size() > SW_PREFIXES_MAX) {
    return Error{"fail_open.interest_prefixes: at most " + std::to_string(SW_PREFIXES_MAX) +
                 " prefixes"};
  }
  for (const std::string& text : prefixes) {
    sw_prefix prefix;
    if (!ParsePrefix(text, &prefix)) {
      return Error{"fail_open.interest_prefixes: \"" + text +
                   "\" is no prefix; write it as 10.0.0.0/8 or 2001:db8::/32"};
    }
    interest.prefixes.push_back(prefix);
  }
  for (const auto& [key, list, words] : {std::tuple("fail_open.interest_ports", ports, &interest.port_words),
                                         std::tuple("fail_open.interest_udp_ports", udp_ports, &interest.udp_port_words)}) {
    if (Status read = ParsePorts(key, list, words); !read.ok()) return Error{read.message()};
  }
  return interest;
}

}  // namespace stillwatch::dataplane
