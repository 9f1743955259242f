// Writes JSON the way a given client library does: separators, escaping and key order differ between
// libraries, and a decoder has to stand all of them. Append only; the caller keeps the nesting right.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace stillwatch::stillgen {

struct JsonStyle {
  bool spaced = false;       // ", " and ": " (Python's json.dumps) instead of "," and ":"
  bool ascii_only = false;   // \u escapes for everything above 0x7e
  bool html_escape = false;  // Go's encoding/json: < > & as \u003c ...
};

class JsonText {
 public:
  explicit JsonText(JsonStyle style = {}) : style_(style) {}

  JsonText& Open(char bracket) {  // '{' or '['
    Separate();
    out_.push_back(bracket);
    fresh_ = true;
    return *this;
  }
  JsonText& Close(char bracket) {
    out_.push_back(bracket);
    fresh_ = false;
    return *this;
  }
  JsonText& Key(std::string_view name) {
    Separate();
    Quote(name);
    out_.append(style_.spaced ? ": " : ":");
    fresh_ = true;
    return *this;
  }
  JsonText& Text(std::string_view value) {
    Separate();
    Quote(value);
    return *this;
  }
  JsonText& Number(int64_t value) { return Raw(std::to_string(value)); }
  JsonText& Milli(int64_t thousandths);  // 700 -> 0.7, 1000 -> 1.0
  JsonText& Bool(bool value) { return Raw(value ? "true" : "false"); }
  JsonText& Null() { return Raw("null"); }
  JsonText& Raw(std::string_view json) {  // one complete JSON value
    Separate();
    out_.append(json);
    return *this;
  }

  std::string& text() { return out_; }

 private:
  void Separate() {
    if (!fresh_ && !out_.empty()) out_.append(style_.spaced ? ", " : ",");
    fresh_ = false;
  }
  void Quote(std::string_view text);

  JsonStyle style_;
  bool fresh_ = true;  // no separator before the next value
  std::string out_;
};

}  // namespace stillwatch::stillgen
