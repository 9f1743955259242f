// The seed questions that attack and benign traffic share, so that topic is no shortcut to the label.
// Texts of public data sets (data/NOTICE.md) and questions made from the split's grammar, compiled into
// the program. Built once, then read only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/stillgen/prose.h"
#include "tools/stillgen/split.h"

namespace stillwatch::stillgen {

enum class Subject { kMaths, kCode, kSupport, kTask, kRolePlay, kPersona, kSmallTalk };
inline constexpr int kSubjects = 7;

struct Question {
  std::string text;
  Subject subject;
  std::string language;  // "english", ... ; English where the source does not say
};

class Corpus {
 public:
  // Aborts when the compiled-in data cannot be read: that is a build fault.
  Corpus(Split split, const Grammar& grammar, const Prose& prose);

  const std::vector<Question>& all() const { return questions_; }
  // Indices into all(). English only, except for small talk.
  const std::vector<int>& Of(Subject subject) const { return by_subject_[static_cast<int>(subject)]; }
  const std::string& Any(Subject subject, Rng& rng) const { return questions_[static_cast<size_t>(rng.Pick(Of(subject)))].text; }

  // Languages other than English that have questions, and those (small talk and made items).
  static const std::vector<std::string>& Languages();
  const std::vector<int>& In(std::string_view language) const;

  // Jailbreaks that the public knows, with {question} where the request goes.
  const std::vector<std::string>& famous_jailbreaks() const { return jailbreaks_; }

 private:
  void Load(Split split, SeedFile file, Subject subject);
  void Make(std::string_view section, int count, Subject subject, const Grammar& grammar, const Prose& prose);
  void MakeItems(const std::string& language, const Grammar& grammar);
  void Add(std::string text, Subject subject, std::string language);

  std::vector<Question> questions_;
  std::vector<int> by_subject_[kSubjects];
  std::vector<std::vector<int>> by_language_;
  std::vector<std::string> jailbreaks_;
};

}  // namespace stillwatch::stillgen
