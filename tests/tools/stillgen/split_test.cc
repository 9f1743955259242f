// The splits are disjoint: no seed question, no phrase and hardly a run of words is in two of them, and
// every split has the same sections.
#include "tools/stillgen/split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <map>
#include <memory>
#include <set>

#include "tools/stillgen/corpus.h"

namespace stillwatch::stillgen {
namespace {

// Lower-case words without signs: what is left of a text when its form is taken away.
std::vector<std::string> WordsOf(std::string_view text) {
  std::vector<std::string> words(1);
  for (char c : text) {
    const bool part = static_cast<uint8_t>(c) >= 0x80 || std::isalnum(static_cast<uint8_t>(c));
    if (part) words.back().push_back(static_cast<char>(std::tolower(static_cast<uint8_t>(c))));
    else if (!words.back().empty()) words.emplace_back();
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::string Plain(std::string_view text) {
  std::string plain;
  for (const std::string& word : WordsOf(text)) plain += word + " ";
  return plain;
}

struct Built {
  explicit Built(Split split) : grammar(split), prose(Rng(3), &grammar), corpus(split, grammar, prose) {}
  Grammar grammar;
  Prose prose;
  Corpus corpus;
};

std::set<std::string> Runs(const Grammar& grammar, size_t length) {
  std::set<std::string> runs;
  Rng rng(17);
  for (std::string_view section : grammar.Sections()) {
    if (section == "pattern") continue;  // letters for kinds of words, not words
    for (const std::string& phrase : grammar.Of(section)) {
      for (int i = 0; i < 20; ++i) {
        const auto words = WordsOf(Expand(phrase, rng));
        for (size_t at = 0; at + length <= words.size(); ++at) {
          std::string run;
          for (size_t k = 0; k < length; ++k) run += words[at + k] + " ";
          runs.insert(std::move(run));
        }
      }
    }
  }
  return runs;
}

TEST(SplitTest, NamesAreReadBack) {
  for (Split split : kSplits) EXPECT_EQ(SplitOf(SplitName(split)), split);
  EXPECT_FALSE(SplitOf("tests").has_value());
}

TEST(SplitTest, NoSeedQuestionAndNoPhraseIsInTwoSplits) {
  std::map<std::string, Split> questions, jailbreaks, phrases;
  std::vector<std::vector<std::string_view>> sections;
  std::vector<std::unique_ptr<Built>> all;
  for (Split split : kSplits) {
    all.push_back(std::make_unique<Built>(split));
    const Built& built = *all.back();
    EXPECT_GT(built.corpus.all().size(), 4000u);
    for (const Question& question : built.corpus.all()) {
      const auto [at, added] = questions.emplace(Plain(question.text), split);
      EXPECT_TRUE(added || at->second == split) << question.text;
    }
    for (const std::string& text : built.corpus.famous_jailbreaks()) {
      const auto [at, added] = jailbreaks.emplace(Plain(text), split);
      EXPECT_TRUE(added || at->second == split) << text;
    }
    sections.push_back(built.grammar.Sections());
    for (std::string_view section : sections.back()) {
      for (const std::string& phrase : built.grammar.Of(section)) {
        const auto [at, added] = phrases.emplace(Plain(phrase), split);
        EXPECT_TRUE(added || at->second == split) << section << ": " << phrase;
      }
    }
  }
  EXPECT_EQ(sections[0], sections[1]);
  EXPECT_EQ(sections[0], sections[2]);
}

TEST(SplitTest, GrammarsShareHardlyARunOfFourWords) {
  std::set<std::string> runs[3];
  for (int i = 0; i < 3; ++i) runs[i] = Runs(Grammar(kSplits[i]), 4);
  for (int a = 0; a < 3; ++a) {
    for (int b = a + 1; b < 3; ++b) {
      std::vector<std::string> both;
      std::set_intersection(runs[a].begin(), runs[a].end(), runs[b].begin(), runs[b].end(), std::back_inserter(both));
      std::string shown;
      for (const std::string& run : both) shown += run + "| ";
      std::printf("REPORT stillgen.split %s and %s: %zu of %zu runs of four words in both: %s\n", SplitName(kSplits[a]).data(),
                  SplitName(kSplits[b]).data(), both.size(), runs[a].size(), shown.c_str());
      EXPECT_LT(both.size(), runs[a].size() / 400);
    }
  }
}

// Line n of a language's section says what line n of another's says.
TEST(SplitTest, LanguagesAreParallel) {
  for (Split split : kSplits) {
    const Grammar grammar(split);
    for (const std::string& language : Corpus::Languages()) {
      for (const char* part : {"thing", "item", "ask", "casual"}) {
        const auto& here = grammar.Of("lang." + language + "." + part);
        const auto& german = grammar.Of(std::string("lang.german.") + part);
        ASSERT_EQ(here.size(), german.size()) << language << " " << part;
        for (size_t i = 0; i < here.size(); ++i) {
          for (const char* slot : {"{a}", "{b}", "{c}", "{name}", "{thing}", "{question}"}) {
            EXPECT_EQ(here[i].find(slot) == std::string::npos, german[i].find(slot) == std::string::npos)
                << language << " " << part << " " << i << " " << slot;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace stillwatch::stillgen
