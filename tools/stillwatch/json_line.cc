#include "tools/stillwatch/json_line.h"

namespace stillwatch {
namespace {

// Length of the well-formed UTF-8 sequence at the front (Unicode 15, table 3-7), 0 when there is none.
size_t SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const auto tail = [&](size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (!tail(1)) return 0;
  const uint8_t second = byte(1);
  if (first >= 0xe0 && first <= 0xef) {
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
    return tail(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
    return tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

void AppendJsonText(std::string_view text, std::string* out) {
  static constexpr char kDigits[] = "0123456789abcdef";
  *out += '"';
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    const auto first = static_cast<uint8_t>(text[0]);
    if (first == '"' || first == '\\') {
      *out += '\\';
      *out += text[0];
    } else if (length == 0 || first < 0x20 || first == 0x7f) {
      *out += "\\u00";
      *out += kDigits[first >> 4];
      *out += kDigits[first & 15];
    } else {
      *out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  *out += '"';
}

}  // namespace stillwatch
