#include "dataplane/llm/client_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "base/mutant.h"
#include "dataplane/http/text.h"

namespace stillwatch::dataplane {
namespace {

// The list element number `hops` from the right; false when there are fewer.
bool FromTheRight(std::string_view list, int hops, std::string_view* out) {
  if (MutantIs("llm.forwarded_from_the_left")) {
    *out = TrimBlanks(list.substr(0, list.find(',')));
    return true;
  }
  for (; hops > 1; --hops) {
    const size_t comma = list.rfind(',');
    if (comma == std::string_view::npos) return false;
    list = list.substr(0, comma);
  }
  const size_t comma = list.rfind(',');
  *out = TrimBlanks(comma == std::string_view::npos ? list : list.substr(comma + 1));
  return !out->empty();
}

// 0: no port.
uint16_t PortOf(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() ? port : uint16_t{0};
}

}  // namespace

bool ParseAddress(std::string_view text, ClientAddress* out, uint16_t* port) {
  std::string_view port_text;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    if (text.substr(close + 1).starts_with(':')) port_text = text.substr(close + 2);
    text = text.substr(1, close - 1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    port_text = text.substr(text.find(':') + 1);
    text = text.substr(0, text.find(':'));
  }
  char zero_ended[64];
  if (text.empty() || text.size() >= sizeof zero_ended) return false;
  *std::copy(text.begin(), text.end(), zero_ended) = '\0';
  ClientAddress address;
  if (inet_pton(AF_INET, zero_ended, address.bytes) == 1) {
    address.length = 4;
  } else if (inet_pton(AF_INET6, zero_ended, address.bytes) == 1) {
    address.length = 16;
    static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (std::equal(kMapped, kMapped + 12, address.bytes)) {
      ClientAddress four;
      std::copy(address.bytes + 12, address.bytes + 16, four.bytes);
      four.length = 4;
      address = four;
    }
  } else {
    return false;
  }
  *out = address;
  *port = PortOf(port_text);
  return true;
}

ForwardedResult FromXForwardedFor(std::string_view value, int trusted_hops, ClientAddress* out, uint16_t* port) {
  std::string_view entry;
  if (!FromTheRight(value, trusted_hops, &entry)) return ForwardedResult::kShort;
  return ParseAddress(entry, out, port) ? ForwardedResult::kFound : ForwardedResult::kUnreadable;
}

ForwardedResult FromForwarded(std::string_view value, int trusted_hops, ClientAddress* out, uint16_t* port) {
  std::string_view entry;
  if (!FromTheRight(value, trusted_hops, &entry)) return ForwardedResult::kShort;
  while (!entry.empty()) {
    const size_t semicolon = entry.find(';');
    const std::string_view pair = TrimBlanks(entry.substr(0, semicolon));
    entry = semicolon == std::string_view::npos ? std::string_view() : entry.substr(semicolon + 1);
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos || !EqualsNoCase(TrimBlanks(pair.substr(0, equals)), "for")) continue;
    std::string_view node = TrimBlanks(pair.substr(equals + 1));
    if (node.size() >= 2 && node.front() == '"' && node.back() == '"') {
      node = node.substr(1, node.size() - 2);
    }
    return ParseAddress(node, out, port) ? ForwardedResult::kFound : ForwardedResult::kUnreadable;
  }
  return ForwardedResult::kUnreadable;
}

}  // namespace stillwatch::dataplane
