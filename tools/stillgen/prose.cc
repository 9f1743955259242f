#include "tools/stillgen/prose.h"

namespace stillwatch::stillgen {
namespace {

// "a early" -> "an early". (The first A of a pattern is its article and stays.)
std::string WithArticles(std::string text) {
  for (size_t i = 0; i + 2 < text.size(); ++i) {
    const bool article = (text[i] == 'a' || text[i] == 'A') && text[i + 1] == ' ' && (i == 0 || text[i - 1] == ' ');
    if (article && std::string_view("aeiou").find(text[i + 2]) != std::string_view::npos) text.insert(i + 1, "n");
  }
  return text;
}

}  // namespace

Prose::Prose(Rng rng, const Grammar* grammar)
    : grammar_(grammar), nouns_(&grammar->Of("noun")), adjectives_(&grammar->Of("adjective")), verbs_(&grammar->Of("verb")) {
  for (int i = 0; i < 6000; ++i) sentences_.push_back(WithArticles(Instance(grammar->Word("pattern", rng), rng)));
}

std::string Prose::Instance(std::string_view pattern, Rng& rng) const {
  std::string out, form = Expand(pattern, rng);
  for (size_t i = 0; i < form.size(); ++i) {
    const bool alone = (i == 0 || form[i - 1] == ' ') &&
                       (i + 1 == form.size() || form[i + 1] == ' ' || form[i + 1] == '.' || form[i + 1] == ',');
    if (alone && form[i] == 'N') out += rng.Pick(*nouns_);
    else if (alone && form[i] == 'V') out += rng.Pick(*verbs_);
    else if (alone && form[i] == 'A' && i != 0) out += rng.Pick(*adjectives_);
    else out.push_back(form[i]);
  }
  return out;
}

std::string_view Prose::Sentence(Rng& rng) const { return sentences_[rng.Below(sentences_.size())]; }

std::string Prose::Text(Rng& rng, size_t bytes) const {
  std::string out;
  out.reserve(bytes + 160);
  while (out.size() < bytes) {
    if (!out.empty()) {
      const uint64_t draw = rng.Below(16);
      out.append(draw == 0 ? "\n\n" : draw == 1 ? "\n- " : " ");
    }
    out.append(Sentence(rng));
  }
  return out;
}

std::string Prose::Name(Rng& rng) const {
  const std::string& first = grammar_->Word("first_name", rng);
  return first + " " + grammar_->Word("last_name", rng);
}

std::string Prose::Product(Rng& rng) const {
  const std::string name = grammar_->Say("product", rng);
  return name + " " + std::to_string(rng.Range(10, 99) * 10);
}

std::string Prose::Subject(Rng& rng) const {
  const std::string& level = grammar_->Word("subject_level", rng);
  return level + " " + grammar_->Word("subject_field", rng);
}

std::string Prose::Dress(std::string_view pattern, Rng& rng) const {
  std::string out;
  while (!pattern.empty()) {
    const size_t open = std::min(pattern.find('{'), pattern.size());
    out.append(pattern.substr(0, open));
    pattern.remove_prefix(open);
    if (pattern.empty()) break;
    const size_t close = std::min(pattern.find('}'), pattern.size() - 1);
    const std::string_view name = pattern.substr(1, close - 1);
    if (name == "noun") out += Word(rng);
    else if (name == "adjective") out += Adjective(rng);
    else if (name == "subject") out += Subject(rng);
    else if (name == "product") out += Product(rng);
    else if (name == "k") out += std::to_string(rng.Range(3, 12));
    else out.append(pattern.substr(0, close + 1));
    pattern.remove_prefix(close + 1);
  }
  return out;
}

}  // namespace stillwatch::stillgen
