// The list of published prompts: which accounts it unlinks, whichever salt and slots, and every way for a file to be wrong. The
// shipped list is read here as it is on every box.
#include "pipeline/evidence/public_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "base/text/tokenizer.h"
#include "pipeline/evidence/core_look.h"
#include "pipeline/evidence/instruction.h"
#include "pipeline/policy/tunables.h"
#include "pipeline/profile/profile_table.h"

namespace stillwatch::pipeline {
namespace {

using ::testing::HasSubstr;

constexpr Salt kSalt{4711};
const std::string kHead = "[one]\nsource = here\nlicence = MIT\n";

struct Gather final : text::TokenSink {
  void Append(std::span<const uint32_t> hashes) override { tokens.insert(tokens.end(), hashes.begin(), hashes.end()); }
  std::vector<uint32_t> tokens;
};

std::vector<Fragment> FragmentsOfText(const std::string& text, Salt salt) {
  Gather gather;
  text::Tokenizer tokenizer{text::TokenHasher(salt)};
  tokenizer.Feed(text, &gather);
  tokenizer.Finish(&gather);
  std::vector<Fragment> fragments;
  FragmentsOf(gather.tokens, 0, &fragments);
  return fragments;
}

// `owners` accounts that each send the text with a word of their own in each slot.
CoreLook LookAt(const std::vector<std::string>& texts, uint32_t owners, const PublicList* list) {
  static std::vector<std::unique_ptr<ProfileTable>> tables;  // a look points into its own
  ProfileTable& profiles = *tables.emplace_back(std::make_unique<ProfileTable>(256));
  for (uint32_t n = 0; n < owners; ++n) {
    AccountId id;
    id.bytes[0] = static_cast<uint8_t>(n + 1);
    Profile* profile = profiles.FindOrCreate(id);
    profile->owner = n + 1;
    for (std::string text : texts) {
      for (size_t slot = text.find("{}"); slot != text.npos; slot = text.find("{}")) text.replace(slot, 2, "subject" + std::string(1, static_cast<char>('a' + n)));
      RememberedRequest request{};
      for (const Fragment& fragment : FragmentsOfText(text, kSalt)) {
        if (request.fragments_count < kRequestFragments) request.fragments[request.fragments_count++] = fragment.hash;
      }
      request.text_hash = n + 1;
      request.parameters = 7;  // alike: the live rule calls nothing here public
      profiles.Remember(profile, request);
    }
  }
  // Others, so that what is sent is not everyone's.
  for (uint32_t n = 0; n < 60; ++n) {
    AccountId id;
    id.bytes[1] = static_cast<uint8_t>(n + 1);
    Profile* profile = profiles.FindOrCreate(id);
    profile->owner = 1000 + n;
    RememberedRequest request{};
    request.parameters = static_cast<uint16_t>(n);
    request.fragments[request.fragments_count++] = 2'000'000 + n;
    profiles.Remember(profile, request);
  }
  return LookAtCores(profiles.all(), Tunables{}, list);
}

size_t PublicOf(const CoreLook& look) { return static_cast<size_t>(std::count(look.is_public.begin(), look.is_public.end(), true)); }

TEST(PublicListTest, AListedPromptLinksNobodyAndAnotherStillDoes) {
  const auto list = PublicList::Parse(kHead + "text = Given the context information and not prior knowledge, answer the query. Query: {} Answer:\n", "list", kSalt).value();
  const std::string listed = "Given the context information and not prior knowledge, answer the query. Query: {} Answer:";
  const std::string secret = "Walk along every quay of {} and name each crane that a harbour pilot sees.";
  const CoreLook without = LookAt({listed, secret}, 8, nullptr), with = LookAt({listed, secret}, 8, list.get());
  ASSERT_GE(without.cores.cores.size(), 2u);
  EXPECT_EQ(PublicOf(without), 0u) << "the live rule alone";
  for (const Fragment& fragment : FragmentsOfText("Given the context information and not prior knowledge, answer the query.", kSalt)) {
    const uint32_t core = with.cores.CoreOfFragment(fragment.hash);
    ASSERT_NE(core, UINT32_MAX);
    EXPECT_TRUE(with.is_public[core]);
  }
  const uint32_t theirs = with.cores.CoreOfFragment(FragmentsOfText("harbour pilot", kSalt)[0].hash);
  ASSERT_NE(theirs, UINT32_MAX);
  EXPECT_FALSE(with.is_public[theirs]);
  const auto foreign = PublicList::Parse(kHead + "text = " + listed + "\n", "list", Salt{1}).value();
  EXPECT_EQ(PublicOf(LookAt({listed, secret}, 8, foreign.get())), 0u) << "hashed under another salt";
}

TEST(PublicListTest, NoPairOfWordsCrossesASlot) {
  const auto cut = PublicList::Parse(kHead + "text = one two {} three four\n", "list", kSalt).value();
  EXPECT_EQ(cut->fragments().size(), 2u);
  const auto whole = PublicList::Parse(kHead + "text = ONE  two three four # no comment here\n", "list", kSalt).value();
  EXPECT_EQ(whole->fragments().size(), 7u);
  EXPECT_TRUE(std::includes(whole->fragments().begin(), whole->fragments().end(), cut->fragments().begin(), cut->fragments().end())) << "folded as prompts are";
}

TEST(PublicListTest, TheShippedListIsReadUnderAnySalt) {
  const auto list = PublicList::BuiltIn(kSalt);
  EXPECT_GE(list->entries(), 10u);
  EXPECT_GT(list->fragments().size(), 200u);
  EXPECT_NE(list->fragments(), PublicList::BuiltIn(Salt{1})->fragments());
  const auto file = PublicList::Load(STILLWATCH_SOURCE_DIR "/config/public_cores.txt", kSalt);
  ASSERT_TRUE(file.ok()) << file.message();
  EXPECT_EQ(file.value()->fragments(), list->fragments());
}

TEST(PublicListTest, SaysLineAndMend) {
  const auto why = [](const std::string& text) {
    const auto list = PublicList::Parse(text, "cores.txt", kSalt);
    return list.ok() ? "taken" : list.message();
  };
  EXPECT_EQ(why("# nothing\n\n"), "taken");
  EXPECT_EQ(why(kHead + "text = three words here"), "taken");
  EXPECT_THAT(why("text = three words here\n"), HasSubstr("cores.txt:1: write [name]"));
  EXPECT_THAT(why("[a b]\n"), HasSubstr("cores.txt:1: write an entry's name"));
  EXPECT_THAT(why("[\n"), HasSubstr("cores.txt:1: write an entry's name"));
  EXPECT_THAT(why("[]\n"), HasSubstr("cores.txt:1: write an entry's name"));
  EXPECT_THAT(why(kHead + "text = three words here\n" + kHead), HasSubstr("cores.txt:5: entry one stands twice"));
  EXPECT_THAT(why("[one]\nlicence = MIT\ntext = three words here\n"), HasSubstr("entry one has no source"));
  EXPECT_THAT(why("[one]\nsource = x\ntext = three words here\n[two]\n"), HasSubstr("cores.txt:4: entry one before this line has no licence"));
  EXPECT_THAT(why(kHead + "text = two words\n"), HasSubstr("no text of three words"));
  EXPECT_THAT(why(kHead + "text = one {} two {} three\n"), HasSubstr("no text of three words"));
  EXPECT_THAT(why(kHead + "author = me\n"), HasSubstr("cores.txt:4: unknown word 'author'"));
  EXPECT_THAT(why(kHead + "text =\n"), HasSubstr("cores.txt:4: text is empty"));
  EXPECT_THAT(why(std::string(PublicList::kTextBytesMax + 1, '\n')), HasSubstr("more than 4 MiB"));
  EXPECT_THAT(PublicList::Load("/nowhere/cores.txt", kSalt).message(), HasSubstr("detect.public_cores names it"));
}

}  // namespace
}  // namespace stillwatch::pipeline
