// The seed questions that attack and benign traffic share, so that topic is no shortcut to the label.
// Texts of public data sets (data/NOTICE.md), compiled into the program. Built once, then read only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

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
  Corpus();

  const std::vector<Question>& all() const { return questions_; }
  // Indices into all(). English only, except for small talk.
  const std::vector<int>& Of(Subject subject) const { return by_subject_[static_cast<int>(subject)]; }

 private:
  void Load(std::string_view lines, Subject subject);

  std::vector<Question> questions_;
  std::vector<int> by_subject_[kSubjects];
};

}  // namespace stillwatch::stillgen
