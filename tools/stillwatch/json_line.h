// Writes one flat JSON object, field by field, into a string. For inspect's lines.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace stillwatch {

// Appends `text` with its quotes; bytes that are not well-formed UTF-8 become \u00NN.
void AppendJsonText(std::string_view text, std::string* out);

class JsonLine {
 public:
  JsonLine& Text(std::string_view name, std::string_view value) {
    Name(name);
    AppendJsonText(value, &line_);
    return *this;
  }
  JsonLine& Number(std::string_view name, uint64_t value) {
    return Raw(name, std::to_string(value));
  }
  JsonLine& Bool(std::string_view name, bool value) { return Raw(name, value ? "true" : "false"); }
  JsonLine& Null(std::string_view name) { return Raw(name, "null"); }
  // `json` is JSON already.
  JsonLine& Raw(std::string_view name, std::string_view json) {
    Name(name);
    line_ += json;
    return *this;
  }
  void Print(std::FILE* file) {
    line_ += line_.empty() ? "{}\n" : "}\n";
    std::fwrite(line_.data(), 1, line_.size(), file);
    line_.clear();
  }

 private:
  void Name(std::string_view name) {
    line_ += line_.empty() ? '{' : ',';
    AppendJsonText(name, &line_);
    line_ += ':';
  }
  std::string line_;
};

}  // namespace stillwatch
