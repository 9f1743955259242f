#include "pipeline/sharing/pattern.h"

#include <charconv>

#include "base/bytes.h"

namespace stillwatch::pipeline {

namespace {

constexpr std::string_view kName = "stillwatch-fragments/1 ";
constexpr size_t kKeyDigits = 16, kFragmentDigits = 8;

// Takes `text` off the front of *rest; false: it is not there.
bool Take(std::string_view text, std::string_view* rest) {
  if (!rest->starts_with(text)) return false;
  rest->remove_prefix(text.size());
  return true;
}

template <typename Number>
bool TakeNumber(int base, size_t digits_min, size_t digits_max, Number* out, std::string_view* rest) {
  const size_t end = std::min(rest->find_first_not_of("0123456789abcdef"), rest->size());
  if (end < digits_min || end > digits_max) return false;
  const auto [at, error] = std::from_chars(rest->data(), rest->data() + end, *out, base);
  if (error != std::errc() || at != rest->data() + end) return false;
  rest->remove_prefix(end);
  return true;
}

std::string Hex32(uint32_t value) { return HexOf(uint64_t{value}).substr(kKeyDigits - kFragmentDigits); }

Error AtCore(size_t core, const char* what) { return Error{"core " + std::to_string(core) + " of the pattern " + what}; }

}  // namespace

std::string PatternText(const ClaimPattern& pattern) {
  std::string text(kName);
  text += HexOf(pattern.key_id) + ":";
  const char* separator = " ";
  for (const ClaimedCore& core : pattern.cores) {
    text += separator + std::to_string(core.needed) + " of";
    for (uint32_t fragment : core.fragments) text += " " + Hex32(fragment);
    separator = "; ";
  }
  return text;
}

Result<ClaimPattern> ParsePattern(std::string_view text) {
  ClaimPattern pattern;
  if (!Take(kName, &text)) return Error{"the pattern is of another kind than '" + std::string(kName.substr(0, kName.size() - 1)) + "'"};
  if (!TakeNumber(16, kKeyDigits, kKeyDigits, &pattern.key_id, &text) || !Take(":", &text)) return Error{"the pattern does not say which key it is under"};
  do {
    const size_t number = pattern.cores.size() + 1;
    if (number > ClaimPattern::kCoresMax) return Error{"the pattern has more than " + std::to_string(ClaimPattern::kCoresMax) + " cores"};
    ClaimedCore core;
    if (!Take(" ", &text) || !TakeNumber(10, 1, 2, &core.needed, &text) || !Take(" of", &text)) return AtCore(number, "does not begin with 'N of'");
    while (Take(" ", &text)) {
      uint32_t fragment = 0;
      if (!TakeNumber(16, kFragmentDigits, kFragmentDigits, &fragment, &text)) return AtCore(number, "has a fragment that is no 8 hex digits");
      if (!core.fragments.empty() && fragment <= core.fragments.back()) return AtCore(number, "has fragments that do not ascend");
      if (core.fragments.size() == ClaimPattern::kFragmentsMax) return AtCore(number, "has too many fragments");
      core.fragments.push_back(fragment);
    }
    if (core.needed < 2) return AtCore(number, "would be held by two words alone");
    if (core.needed > core.fragments.size()) return AtCore(number, "needs more fragments than it has");
    pattern.cores.push_back(std::move(core));
  } while (Take(";", &text));
  if (!text.empty()) return Error{"the pattern goes on after its last core"};
  return pattern;
}

}  // namespace stillwatch::pipeline
