#include "tools/stillgen/grammar.h"

#include "base/check.h"

namespace stillwatch::stillgen {
namespace {

// Cuts at '|' outside brackets and turns "\n" into a line break.
void AddPhrases(std::string_view line, std::vector<std::string>* phrases) {
  std::string phrase;
  int depth = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '\\' && i + 1 < line.size() && line[i + 1] == 'n') {
      phrase.push_back('\n');
      ++i;
    } else if (c == '|' && depth == 0) {
      phrases->push_back(std::move(phrase));
      phrase.clear();
    } else {
      depth += c == '[' ? 1 : c == ']' ? -1 : 0;
      phrase.push_back(c);
    }
  }
  CHECK(depth == 0 && !phrase.empty());
  phrases->push_back(std::move(phrase));
}

bool IsHeading(std::string_view line) {
  return line.front() == '[' && line.back() == ']' &&
         line.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.", 1) == line.size() - 1;
}

}  // namespace

Grammar::Grammar(Split split) {
  std::string_view text = SeedData(split, SeedFile::kGrammar);
  std::vector<std::string>* section = nullptr;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with("# ")) continue;
    if (IsHeading(line)) {
      section = &sections_[std::string(line.substr(1, line.size() - 2))];
      CHECK(section->empty());
      continue;
    }
    CHECK(section != nullptr);
    AddPhrases(line, section);
  }
}

const std::vector<std::string>& Grammar::Of(std::string_view section) const {
  const auto found = sections_.find(section);
  CHECK(found != sections_.end() && !found->second.empty());
  return found->second;
}

std::vector<std::string_view> Grammar::Sections() const {
  std::vector<std::string_view> names;
  for (const auto& [name, phrases] : sections_) names.push_back(name);
  return names;
}

const std::string& Grammar::Word(std::string_view section, Rng& rng) const { return rng.Pick(Of(section)); }

std::string Grammar::Say(std::string_view section, Rng& rng) const { return Expand(Word(section, rng), rng); }

std::string Grammar::Say(std::string_view section, Rng& rng, std::initializer_list<Slot> slots) const {
  return Fill(Say(section, rng), slots);
}

std::vector<std::string> Grammar::Some(std::string_view section, size_t count, Rng& rng) const {
  std::vector<std::string> all = Of(section);
  rng.Shuffle(all);
  if (all.size() > count) all.resize(count);
  return all;
}

}  // namespace stillwatch::stillgen
