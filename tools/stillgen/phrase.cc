#include "tools/stillgen/phrase.h"

#include <vector>

#include "base/check.h"

namespace stillwatch::stillgen {
namespace {

// Reads alternatives from *at (just behind '[') to the matching ']' and leaves *at behind it.
std::vector<std::string_view> Alternatives(std::string_view pattern, size_t* at) {
  std::vector<std::string_view> found;
  size_t begin = *at;
  int depth = 0;
  for (; *at < pattern.size(); ++*at) {
    const char c = pattern[*at];
    if (c == '[') ++depth;
    if ((c == '|' || c == ']') && depth == 0) {
      found.push_back(pattern.substr(begin, *at - begin));
      begin = *at + 1;
      if (c == ']') {
        ++*at;
        return found;
      }
    }
    if (c == ']') --depth;
  }
  CHECK(false && "phrase without its closing bracket");
  return found;
}

void ExpandInto(std::string_view pattern, Rng& rng, std::string* out) {
  for (size_t at = 0; at < pattern.size();) {
    const size_t open = pattern.find('[', at);
    out->append(pattern.substr(at, open == std::string_view::npos ? open : open - at));
    if (open == std::string_view::npos) return;
    at = open + 1;
    const auto alternatives = Alternatives(pattern, &at);
    ExpandInto(rng.Pick(alternatives), rng, out);
  }
}

}  // namespace

std::string Expand(std::string_view pattern, Rng& rng) {
  std::string out;
  ExpandInto(pattern, rng, &out);
  return out;
}

std::string Fill(std::string_view pattern, std::span<const Slot> slots) {
  std::string out;
  for (size_t at = 0; at < pattern.size();) {
    const size_t open = pattern.find('{', at);
    out.append(pattern.substr(at, open == std::string_view::npos ? open : open - at));
    if (open == std::string_view::npos) break;
    const size_t close = pattern.find('}', open);
    const std::string_view name =
        close == std::string_view::npos ? "" : pattern.substr(open + 1, close - open - 1);
    at = open + 1;
    const Slot* filled = nullptr;
    for (const Slot& slot : slots) {
      if (slot.name == name) filled = &slot;
    }
    if (filled == nullptr) {
      out.push_back('{');
    } else {
      out.append(filled->text);
      at = close + 1;
    }
  }
  return out;
}

}  // namespace stillwatch::stillgen
