#include "pipeline/evidence/language.h"

#include <algorithm>
#include <bit>

#include "base/text/tokenizer.h"

namespace stillwatch::pipeline {

namespace {

struct Words {
  std::string_view name, words;
};
// The commonest function words of each language, as any grammar lists them. Split and folded as the dataplane does.
constexpr Words kWords[kLanguages] = {
    {"unlisted", ""},
    {"english", "the of and to a in is that for it with as on are this be what how you from or which can do not have"},
    {"german", "der die und das ist von den mit zu ein eine nicht wie auf im für des dem sich auch als wird einen was ich sie es bei"},
    {"french", "le la les de des et est un une du que en pour dans qui sur pas au avec ce il je par plus sont quel quelle comment"},
    {"spanish", "el la los las de y en que un una es para por con del se no su al lo como más qué cómo cuál son sus este esta"},
    {"portuguese", "o a os as de do da em um uma que é para com não no na por se dos das como mais ao qual são você"},
    {"italian", "il lo la gli di che è un una per con non del della in sono si come le dei delle al nel più questo quale cosa"},
    {"dutch", "de het een en van is dat op te voor met niet zijn aan er ook als bij om door wat hoe naar uit wordt deze"},
    {"polish", "w i na z się nie to jest do że jak o od za po dla przez co ale czy są jego być który która jakie"},
    {"turkish", "ve bir bu için ile da de ne gibi daha çok olan olarak nasıl en mi var nedir değil kadar sonra bana hangi"},
    {"russian", "и в на не что с по как это для из к от о за у он но так же или какие какой есть быть его если мне"},
    {"arabic", "في من على إلى أن ما هو هي عن مع هذا هذه لا التي الذي كيف كان أو بين هل ثم كل قد ذلك"},
    {"hindi", "के का की में है और से को पर यह कि एक हैं नहीं ने भी लिए क्या जो कैसे या तो करें"},
    {"chinese", "的 是 了 在 我 有 和 不 请 什么 如何 一个 可以 我们 这个 怎么 以及 中的 为什 没有 哪些 使用 的是"},
    {"japanese", "の は を に が で です ます して した する から こと ない ください って いる れる とは よう この てく まし"},
    {"korean", "은 는 이 가 을 를 의 에 에서 수 있는 및 그 것 등 대해 어떻게 무엇 있습니다 하는 이 대한 설명해 무엇인가요"},
};

class Hashes final : public text::TokenSink {
 public:
  void Append(std::span<const uint32_t> hashes) override { all.insert(all.end(), hashes.begin(), hashes.end()); }
  std::vector<uint32_t> all;
};

}  // namespace

LanguageExpert::LanguageExpert(Salt salt) : table_(1024) {
  for (uint8_t language = 1; language < kLanguages; ++language) {
    Hashes words;
    text::Tokenizer tokenizer{text::TokenHasher(salt)};
    tokenizer.Feed(kWords[language].words, &words);
    tokenizer.Finish(&words);
    for (uint32_t hash : words.all) {
      size_t at = hash & (table_.size() - 1);
      while (table_[at].languages != 0 && table_[at].hash != hash) at = (at + 1) & (table_.size() - 1);
      table_[at].hash = hash;
      table_[at].languages = static_cast<uint16_t>(table_[at].languages | 1u << language);
    }
  }
}

uint8_t LanguageExpert::Of(std::span<const uint32_t> tokens) const {
  uint32_t found[kLanguages] = {};
  for (uint32_t token : tokens.first(std::min<size_t>(tokens.size(), 256))) {
    size_t at = token & (table_.size() - 1);
    while (table_[at].languages != 0 && table_[at].hash != token) at = (at + 1) & (table_.size() - 1);
    for (uint32_t languages = table_[at].languages; languages != 0; languages &= languages - 1) ++found[std::countr_zero(languages)];
  }
  const auto most = std::max_element(found, found + kLanguages);
  return *most == 0 ? kUnlisted : static_cast<uint8_t>(most - found);
}

LanguageSet LanguageCounts::Common() const {
  LanguageSet set = 0;
  for (uint8_t language = 0; language < kLanguages; ++language) {
    if (counts_[language] * 10ull >= all_) set = static_cast<LanguageSet>(set | 1u << language);
  }
  return set;
}

LanguageSet LanguageCounts::AllButLargest() const {
  const auto largest = std::max_element(counts_, counts_ + kLanguages) - counts_;
  return static_cast<LanguageSet>(kEveryLanguage & ~(1u << largest));
}

std::string_view LanguageName(uint8_t language) { return kWords[language < kLanguages ? language : kUnlisted].name; }

}  // namespace stillwatch::pipeline
