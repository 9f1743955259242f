// Which language a text is in, told from its token hashes, and which languages of a group are common.
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "base/text/tokenizer.h"
#include "pipeline/evidence/language.h"

namespace stillwatch::pipeline {
namespace {

class Tokens final : public text::TokenSink {
 public:
  void Append(std::span<const uint32_t> hashes) override { all.insert(all.end(), hashes.begin(), hashes.end()); }
  std::vector<uint32_t> all;
};

std::string_view LanguageOf(const LanguageExpert& expert, Salt salt, std::string_view text) {
  Tokens tokens;
  text::Tokenizer tokenizer{text::TokenHasher(salt)};
  tokenizer.Feed(text, &tokens);
  tokenizer.Finish(&tokens);
  return LanguageName(expert.Of(tokens.all));
}

// First sentences of the Universal Declaration of Human Rights, article 1, and its like.
TEST(Language, KnowsTheSentenceOfEachUnderAnySalt) {
  for (uint64_t value : {0ull, 77ull}) {
    const Salt salt{value};
    const LanguageExpert expert(salt);
    const auto of = [&](std::string_view text) { return LanguageOf(expert, salt, text); };
    EXPECT_EQ(of("All human beings are born free and equal in dignity and rights."), "english");
    EXPECT_EQ(of("Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft begabt."), "german");
    EXPECT_EQ(of("Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison."), "french");
    EXPECT_EQ(of("Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón"), "spanish");
    EXPECT_EQ(of("Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и"), "russian");
    EXPECT_EQ(of("人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。请说明什么是"), "chinese");
    EXPECT_EQ(of("すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"), "japanese");
  }
}

TEST(Language, WhatNobodyListedIsUnlisted) {
  const LanguageExpert expert(Salt{1});
  EXPECT_EQ(LanguageOf(expert, Salt{1}, ""), "unlisted");
  EXPECT_EQ(LanguageOf(expert, Salt{1}, "0x41 == 42 ; {} []"), "unlisted");
}

TEST(Language, ATenthOfAGroupIsCommonAndTheLargestIsLeftOut) {
  LanguageCounts counts;
  for (int i = 0; i < 80; ++i) counts.Note(1);
  for (int i = 0; i < 15; ++i) counts.Note(2);
  for (int i = 0; i < 5; ++i) counts.Note(3);
  EXPECT_EQ(counts.Common(), 1u << 1 | 1u << 2);
  EXPECT_FALSE(Holds(counts.AllButLargest(), 1));
  EXPECT_TRUE(Holds(counts.AllButLargest(), 2));
  EXPECT_TRUE(Holds(counts.AllButLargest(), 0));
}

}  // namespace
}  // namespace stillwatch::pipeline
