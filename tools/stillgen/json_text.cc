#include "tools/stillgen/json_text.h"

#include <cstdio>

namespace stillwatch::stillgen {
namespace {

void AppendUnit(uint32_t unit, std::string* out) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, "\\u%04x", unit);
  out->append(buffer);
}

// Reads one UTF-8 character at *at; our texts are valid UTF-8.
uint32_t ReadCharacter(std::string_view text, size_t* at) {
  const uint8_t lead = static_cast<uint8_t>(text[*at]);
  const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
  uint32_t point = more == 3 ? lead & 7u : more == 2 ? lead & 15u : more == 1 ? lead & 31u : lead;
  ++*at;
  for (int i = 0; i < more && *at < text.size(); ++i, ++*at) {
    point = point << 6 | (static_cast<uint8_t>(text[*at]) & 63u);
  }
  return point;
}

}  // namespace

JsonText& JsonText::Milli(int64_t thousandths) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%lld.%03lld", static_cast<long long>(thousandths / 1000),
                static_cast<long long>(thousandths % 1000));
  std::string_view text(buffer);
  while (text.ends_with('0') && !text.ends_with(".0")) text.remove_suffix(1);
  return Raw(text);
}

void JsonText::Quote(std::string_view text) {
  out_.push_back('"');
  size_t plain = 0;  // start of the run that needs no escape
  for (size_t at = 0; at < text.size();) {
    const uint8_t c = static_cast<uint8_t>(text[at]);
    const bool html = style_.html_escape && (c == '<' || c == '>' || c == '&');
    if (c >= 0x20 && c != '"' && c != '\\' && !html && (c < 0x7f || !style_.ascii_only)) {
      ++at;
      continue;
    }
    out_.append(text.substr(plain, at - plain));
    if (c >= 0x7f) {
      const uint32_t point = ReadCharacter(text, &at);
      if (point >= 0x10000) {
        AppendUnit(0xd800 + ((point - 0x10000) >> 10), &out_);
        AppendUnit(0xdc00 + ((point - 0x10000) & 0x3ff), &out_);
      } else {
        AppendUnit(point, &out_);
      }
    } else {
      ++at;
      if (c == '"') out_.append("\\\"");
      else if (c == '\\') out_.append("\\\\");
      else if (c == '\n') out_.append("\\n");
      else if (c == '\t') out_.append("\\t");
      else if (c == '\r') out_.append("\\r");
      else AppendUnit(c, &out_);
    }
    plain = at;
  }
  out_.append(text.substr(plain));
  out_.push_back('"');
}

}  // namespace stillwatch::stillgen
