#include "tests/ptx/text.h"

#include <algorithm>

namespace stillwatch::ptx {
namespace {

struct Cursor {
  const std::string& text;
  size_t at = 0;
  uint32_t line = 1;

  bool end() const { return at >= text.size(); }
  void Advance() {
    if (text[at] == '\n') ++line;
    ++at;
  }
  void SkipSpace() {
    while (!end() && std::isspace(static_cast<unsigned char>(text[at]))) Advance();
  }
  // Up to and including the first of `stops` outside of brackets; which one it was.
  char ReadTo(const std::string& stops, std::string* out) {
    int depth = 0;
    while (!end()) {
      const char c = text[at];
      if (depth == 0 && stops.find(c) != std::string::npos) {
        Advance();
        return c;
      }
      if (c == '(' || c == '[' || c == '{') ++depth;
      if (c == ')' || c == ']' || c == '}') --depth;
      *out += std::isspace(static_cast<unsigned char>(c)) ? ' ' : c;
      Advance();
    }
    return 0;
  }
};

std::string WithoutComments(std::string text) {
  for (size_t at = 0; (at = text.find('/', at)) != std::string::npos;) {
    const bool line = text.compare(at, 2, "//") == 0;
    if (!line && text.compare(at, 2, "/*") != 0) {
      ++at;
      continue;
    }
    const size_t end = line ? text.find('\n', at) : text.find("*/", at);
    const size_t stop =
        std::min(end == std::string::npos ? text.size() : end + (line ? 0 : 2), text.size());
    for (; at < stop; ++at) {
      if (text[at] != '\n') text[at] = ' ';
    }
  }
  return text;
}

bool ReadBody(Cursor& cursor, std::vector<Statement>* body) {
  for (int depth = 1; depth > 0;) {
    cursor.SkipSpace();
    if (cursor.end()) return false;
    const uint32_t line = cursor.line;
    const char c = cursor.text[cursor.at];
    if (c == '{' || c == '}') {
      depth += c == '{' ? 1 : -1;
      body->push_back({line, std::string(1, c)});
      cursor.Advance();
      continue;
    }
    std::string text;
    const char stop = cursor.ReadTo(";:", &text);
    if (stop == 0) return false;
    body->push_back({line, Trimmed(text) + (stop == ':' ? ":" : "")});
  }
  return true;
}

}  // namespace

std::string Trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\n\r");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\n\r") - first + 1);
}

std::vector<std::string> Split(const std::string& text, char by) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    if (c == '[' || c == '{' || c == '(') ++depth;
    if (c == ']' || c == '}' || c == ')') --depth;
    if (c == by && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  for (std::string& part : parts) part = Trimmed(part);
  return parts;
}

Result<std::vector<EntryText>> EntriesOf(const std::string& ptx) {
  const std::string text = WithoutComments(ptx);
  if (text.find(".version") == std::string::npos) return Error{"not PTX: it has no .version"};
  std::vector<EntryText> entries;
  Cursor cursor{text};
  const auto fail = [&](const char* what) {
    return Error{"PTX line " + std::to_string(cursor.line) + ": " + what};
  };
  while (true) {
    const size_t found = text.find(".entry", cursor.at);
    if (found == std::string::npos) return entries;
    while (cursor.at < found + 6) cursor.Advance();
    EntryText entry;
    std::string word, parameters;
    if (cursor.ReadTo("(", &word) == 0) return fail("an entry without parameters");
    entry.name = Trimmed(word);
    if (cursor.ReadTo(")", &parameters) == 0) return fail("parameters without an end");
    for (std::string& parameter : Split(parameters, ',')) {
      if (!parameter.empty()) entry.parameters.push_back(std::move(parameter));
    }
    std::string directives;
    const uint32_t line = cursor.line;
    if (cursor.ReadTo("{", &directives) == 0) return fail("an entry without a body");
    entry.directives.push_back({line, Trimmed(directives)});
    if (!ReadBody(cursor, &entry.body)) return fail("a body without an end");
    entries.push_back(std::move(entry));
  }
}

}  // namespace stillwatch::ptx
