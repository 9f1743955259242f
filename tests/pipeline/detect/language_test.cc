// Languages by their function words: each list tells its own language and no other, ordinary sentences are told, and what is
// mixed, short or of no listed language stays unknown.
#include "pipeline/evidence/language.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/text/tokenizer.h"

namespace stillwatch::pipeline {
namespace {

const Salt kFleet = SaltFromSecret("languages");

std::string_view Told(std::string_view text) {
  static const LanguageExpert expert(kFleet);
  return LanguageExpert::Name(expert.Of(text::HashesOf(text, text::TokenHasher(kFleet))));
}

struct Words {
  std::string_view language;
  std::string_view words;
};
constexpr Words kWords[] = {
#include "pipeline/evidence/language_words.inc"
};

// After folding, which drops accents and takes one letter for another: two languages with a word in common would tell each other.
TEST(Language, EveryListedWordIsOfOneLanguage) {
  std::map<uint32_t, std::string_view> language_of;
  for (const Words& list : kWords) {
    size_t words = 0;
    for (size_t begin = 0; begin < list.words.size(); ++words) {
      const size_t end = std::min(list.words.find(' ', begin), list.words.size());
      const std::string_view word = list.words.substr(begin, end - begin);
      for (uint32_t token : text::HashesOf(word, text::TokenHasher(kFleet))) {
        const auto [at, fresh] = language_of.try_emplace(token, list.language);
        EXPECT_EQ(at->second, list.language) << word;
      }
      begin = end + 1;
    }
    EXPECT_GE(words, 10u) << list.language;
  }
  EXPECT_EQ(LanguageExpert::Languages(), std::size(kWords));
}

TEST(Language, OrdinarySentencesAreTold) {
  const std::pair<std::string_view, std::string_view> sentences[] = {
      {"arabic", "ما هي عاصمة البلاد التي تقع في شمال القارة وكيف أصل إليها من هنا؟"},
      {"chinese", "为什么水会在一百度沸腾？请用简单的话解释，以及在高山上有什么不同。"},
      {"dutch", "Hoe komt het dat water niet overal bij honderd graden kookt, en wat is het verschil in de bergen?"},
      {"english", "Why does water not boil at a hundred degrees on a mountain, and how would you explain that to a child?"},
      {"french", "Quelle est la capitale de ce pays et quels sont les monuments que vous me conseillez dans cette ville ?"},
      {"german", "Warum kocht Wasser nicht überall bei hundert Grad, und wie wird das auf einem Berg anders? Bitte kurz."},
      {"indonesian", "Bagaimana cara memasak nasi yang baik dan apa yang tidak boleh dilakukan dengan air itu?"},
      {"italian", "Perché l'acqua non bolle sempre a cento gradi e quali sono le differenze nel caso della montagna?"},
      {"japanese", "水はなぜ百度で沸騰するのですか。山の上ではどのように変わるのか説明してください。"},
      {"korean", "물이 끓는 온도는 왜 산에서 다른가요? 이것에 대해 쉽게 설명할 수 있는 방법은 무엇인가요?"},
      {"polish", "Dlaczego woda nie zawsze wrze w stu stopniach i jak to jest w górach, oraz czy można to łatwo wyjaśnić?"},
      {"portuguese", "Por que a água não ferve sempre a cem graus e quais são as diferenças quando você está em uma montanha?"},
      {"russian", "Почему вода кипит при разной температуре и как это объяснить ребёнку, если он никогда не был в горах?"},
      {"spanish", "¿Cuál es la capital del país y cuales son los monumentos donde hay que ir cuando llueve?"},
      {"turkish", "Su neden her yerde yüz derecede kaynamaz ve bu bir çocuk için nasıl anlatılır?"},
      {"ukrainian", "Чому вода кипить не завжди при ста градусах, що це означає та як пояснити це дитині?"},
      {"vietnamese", "Tại sao nước không phải lúc nào cũng sôi ở một trăm độ và những người ở núi được gì?"},
  };
  for (const auto& [language, sentence] : sentences) EXPECT_EQ(Told(sentence), language) << sentence;
}

TEST(Language, UnknownWhereTooLittleTells) {
  EXPECT_EQ(Told(""), "");
  EXPECT_EQ(Told("ping"), "");
  EXPECT_EQ(Told("the"), "");
  EXPECT_EQ(Told("bonjour vous"), "");
  EXPECT_EQ(Told("say und then ist into the microphone, der operator"), "");  // three of each
  EXPECT_EQ(Told("int main() { return 0; }"), "");
  EXPECT_EQ(Told("Translate this for the guests, so that they know how to ask: wo ist der Bahnhof"), "english");
}

TEST(Language, ASetCountsLanguagesThatAreKnown) {
  LanguageSet set;
  EXPECT_EQ(set.size(), 0u);
  for (uint8_t language : {0, 3, 3, 0, 7}) set.Add(language);
  EXPECT_EQ(set.size(), 2u);
  for (size_t language = 1; language <= LanguageExpert::Languages(); ++language) set.Add(static_cast<uint8_t>(language));
  EXPECT_EQ(set.size(), LanguageExpert::Languages());
}

}  // namespace
}  // namespace stillwatch::pipeline
