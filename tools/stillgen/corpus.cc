#include "tools/stillgen/corpus.h"

#include <nlohmann/json.hpp>

#include "base/check.h"

namespace stillwatch::stillgen {
namespace {

constexpr int kMadeEach = 400;          // questions from a section of the grammar
constexpr int kItemsALanguage = 160;
constexpr uint64_t kMakerSeed = 20260105;  // made questions belong to the split, not to the run

template <typename Visit>
void EachRow(std::string_view lines, Visit visit) {
  while (!lines.empty()) {
    const size_t end = lines.find('\n');
    const auto row = nlohmann::json::parse(lines.substr(0, end), nullptr, false);
    CHECK(row.is_object() && row.contains("text"));
    visit(row);
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 1);
  }
}

}  // namespace

const std::vector<std::string>& Corpus::Languages() {
  static const std::vector<std::string> languages = {"german",  "french",  "spanish", "portuguese",
                                                     "italian", "turkish", "russian", "chinese"};
  return languages;
}

Corpus::Corpus(Split split, const Grammar& grammar, const Prose& prose) : by_language_(Languages().size()) {
  Load(split, SeedFile::kMaths, Subject::kMaths);
  Load(split, SeedFile::kCode, Subject::kCode);
  Load(split, SeedFile::kSupport, Subject::kSupport);
  Load(split, SeedFile::kTask, Subject::kTask);
  Load(split, SeedFile::kRolePlay, Subject::kRolePlay);
  Load(split, SeedFile::kPersona, Subject::kPersona);
  Load(split, SeedFile::kSmallTalk, Subject::kSmallTalk);
  EachRow(SeedData(split, SeedFile::kJailbreak), [this](const auto& row) {
    std::string text = row["text"];
    constexpr std::string_view kSlot = "{{ prompt }}";
    for (size_t at; (at = text.find(kSlot)) != std::string::npos;) text.replace(at, kSlot.size(), "{question}");
    jailbreaks_.push_back(std::move(text));
  });
  Make("seed.code", kMadeEach, Subject::kCode, grammar, prose);
  Make("seed.task", kMadeEach, Subject::kTask, grammar, prose);
  for (const std::string& language : Languages()) MakeItems(language, grammar);
}

const std::vector<int>& Corpus::In(std::string_view language) const {
  const auto& names = Languages();
  const auto found = std::find(names.begin(), names.end(), language);
  CHECK(found != names.end());
  return by_language_[static_cast<size_t>(found - names.begin())];
}

void Corpus::Add(std::string text, Subject subject, std::string language) {
  const int index = static_cast<int>(questions_.size());
  const auto& names = Languages();
  const auto found = std::find(names.begin(), names.end(), language);
  if (found != names.end()) by_language_[static_cast<size_t>(found - names.begin())].push_back(index);
  if (found == names.end() || subject == Subject::kSmallTalk) by_subject_[static_cast<int>(subject)].push_back(index);
  questions_.push_back({std::move(text), subject, std::move(language)});
}

void Corpus::Load(Split split, SeedFile file, Subject subject) {
  EachRow(SeedData(split, file), [&](const auto& row) { Add(row["text"], subject, row.value("lang", "english")); });
}

void Corpus::Make(std::string_view section, int count, Subject subject, const Grammar& grammar, const Prose& prose) {
  Rng rng = Rng(kMakerSeed).Fork(section);
  for (int i = 0; i < count; ++i) Add(prose.Dress(grammar.Say(section, rng), rng), subject, "english");
}

// Word problems whose numbers, and the order of the sentences, are what a translation keeps.
void Corpus::MakeItems(const std::string& language, const Grammar& grammar) {
  Rng rng = Rng(kMakerSeed).Fork("items");  // the same items in every language
  const auto& forms = grammar.Of("lang." + language + ".item");
  const auto& things = grammar.Of("lang." + language + ".thing");
  for (int i = 0; i < kItemsALanguage; ++i) {
    const std::string& form = forms[rng.Below(forms.size())];
    const std::string& thing = things[rng.Below(things.size())];
    const std::string& name = grammar.Word("first_name", rng);
    const std::string a = std::to_string(rng.Range(12, 980)), b = std::to_string(rng.Range(2, 60)), c = std::to_string(rng.Range(3, 11));
    Add(Fill(form, {{"name", name}, {"thing", thing}, {"a", a}, {"b", b}, {"c", c}}), Subject::kMaths, language);
  }
}

}  // namespace stillwatch::stillgen
