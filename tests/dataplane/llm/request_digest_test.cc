#include "dataplane/llm/request_digest.h"

#include <gmock/gmock.h>

#include <random>
#include <string>
#include <utility>

namespace stillwatch::dataplane {
namespace {

class Collect final : public text::TokenSink {
 public:
  void Append(std::span<const uint32_t> hashes) override {
    tokens.insert(tokens.end(), hashes.begin(), hashes.end());
  }
  std::vector<uint32_t> tokens;
};

std::vector<uint32_t> TokensOf(const std::vector<std::string>& texts) {
  Collect collect;
  for (const auto& text : texts) {
    text::Tokenizer tokenizer{text::TokenHasher(Salt{5})};
    tokenizer.Feed(text, &collect);
    tokenizer.Finish(&collect);
  }
  return collect.tokens;
}

void Add(RequestView* view, std::string_view role, std::string_view text,
         PieceKind kind = PieceKind::kText) {
  view->BeginMessage();
  view->AddPiece(kind, text);
  view->EndMessage(role);
}

std::vector<uint32_t> Tokens(const RequestDigest& digest, Part part) {
  const auto span = digest.tokens(part);
  return {span.begin(), span.end()};
}

// From which message on the conversation is told from others: three turns and 64 words, whatever the system prompt says.
TEST(RequestDigest, APrefixIsDeepByTurnsAndWordsOutsideTheSystemPrompt) {
  const auto words = [](int n) {
    std::string text;
    for (int i = 0; i < n; ++i) text += "word" + std::string(1, static_cast<char>('a' + i % 26)) + " ";
    return text;
  };
  const auto deep_from = [&](const std::string& system, std::initializer_list<int> turns) {
    static RequestDigest digest(Salt{5});
    static RequestView view;
    view.Clear();
    if (!system.empty()) Add(&view, "system", system);
    bool user = true;
    std::vector<std::string> texts;  // views point into it
    for (int n : turns) texts.push_back(words(n));
    for (const std::string& text : texts) Add(&view, std::exchange(user, !user) ? "user" : "assistant", text);
    ExchangeHeader h;
    digest.Digest(view, &h);
    EXPECT_EQ(h.prefix_chain_count, texts.size() + !system.empty());
    return h.prefix_deep_from;
  };
  EXPECT_EQ(deep_from("", {100}), 0);
  EXPECT_EQ(deep_from("", {100, 100}), 0);
  EXPECT_EQ(deep_from("", {100, 100, 1}), 3);
  EXPECT_EQ(deep_from("", {1, 1, 61}), 0);
  EXPECT_EQ(deep_from("", {1, 1, 62}), 3);
  EXPECT_EQ(deep_from("", {1, 1, 1, 1, 70, 1}), 5);
  EXPECT_EQ(deep_from(words(500), {1, 1, 1}), 0);
  EXPECT_EQ(deep_from(words(500), {30, 30, 30}), 4);
}

TEST(RequestDigest, WeakIdsAreLeftOutAndCounted) {
  RequestView view;
  Add(&view, "user", "go on");
  view.AddIdReturned("call_1");
  view.AddIdReturned("call_lYp3GfQ9sK1mZc7RtVb2Hd5X");
  RequestDigest digest(Salt{5});
  ExchangeHeader h;
  digest.Digest(view, &h);
  EXPECT_EQ(h.ids_returned_count, 1u);
  EXPECT_EQ(digest.ids_returned().size(), 1u);
  EXPECT_EQ(digest.ids_weak(), 1u);
}

TEST(RequestDigest, InstructionIsTheLastUserTextThatIsNoToolResult) {
  RequestView view;
  view.AddSystem("be brief");
  Add(&view, "developer", "be kind");
  Add(&view, "user", "first question");
  Add(&view, "assistant", "an answer");
  Add(&view, "user", "second question");
  Add(&view, "assistant", "calling");
  Add(&view, "user", "tool says so", PieceKind::kToolResult);
  Add(&view, "tool", "and so");
  RequestDigest digest(Salt{5});
  ExchangeHeader h;
  digest.Digest(view, &h);
  EXPECT_EQ(Tokens(digest, Part::kSystem), TokensOf({"be brief", "be kind"}));
  EXPECT_EQ(Tokens(digest, Part::kInstruction), TokensOf({"second question"}));
  EXPECT_EQ(Tokens(digest, Part::kTail),
            TokensOf({"first question", "an answer", "calling", "tool says so", "and so"}));
  EXPECT_EQ(h.turns, 7);
  EXPECT_EQ(digest.prefix_chain().size(), 7u);
}

TEST(RequestDigest, PrefixChainFollowsAConversation) {
  RequestDigest digest(Salt{5});
  ExchangeHeader h;
  RequestView view;
  view.AddSystem("s");
  Add(&view, "user", "a");
  Add(&view, "assistant", "b");
  Add(&view, "user", "c");
  digest.Digest(view, &h);
  const std::vector<uint64_t> first(digest.prefix_chain().begin(), digest.prefix_chain().end());
  Add(&view, "assistant", "d");
  Add(&view, "user", "e");
  digest.Digest(view, &h);
  ASSERT_EQ(digest.prefix_chain().size(), 5u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(digest.prefix_chain()[i], first[i]);

  RequestView other;  // another system text is another conversation
  other.AddSystem("t");
  Add(&other, "user", "a");
  digest.Digest(other, &h);
  EXPECT_NE(digest.prefix_chain()[0], first[0]);
  RequestView role;  // and so is the same text in another role
  role.AddSystem("s");
  Add(&role, "assistant", "a");
  digest.Digest(role, &h);
  EXPECT_NE(digest.prefix_chain()[0], first[0]);
}

TEST(RequestDigest, ALongConversationKeepsTheFirst64OfTheChain) {
  RequestView view;
  for (int i = 0; i < 200; ++i) Add(&view, i % 2 == 0 ? "user" : "assistant", "message");
  RequestDigest digest(Salt{5});
  ExchangeHeader h;
  digest.Digest(view, &h);
  EXPECT_EQ(digest.prefix_chain().size(), kPrefixChainMax);
  EXPECT_EQ(h.turns, 200);
}

// Tokenising only the ends of a long part keeps exactly what tokenising all of it keeps.
TEST(RequestDigest, LongPartsKeepTheirEnds) {
  std::mt19937_64 rng(6);
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> texts;
    size_t bytes = 0;
    const size_t total = 20'000 + rng() % 400'000;
    while (bytes < total) {
      std::string text;
      const size_t size = rng() % 3 == 0 ? rng() % 100'000 : rng() % 3'000;
      while (text.size() < size) {
        switch (rng() % 12) {
          case 0:
            text += "日本語のテキスト";
            break;
          case 1:
            text += "\n\n";
            break;
          case 2:
            text += std::string(rng() % (round % 10 == 0 ? 9'000 : 30), 'x');
            break;
          case 3:
            text += "... (so) ";
            break;
          default:
            text += "word" + std::to_string(rng() % 1000) + " é ";
            break;
        }
      }
      bytes += text.size();
      texts.push_back(std::move(text));
    }
    RequestView view;
    for (const auto& text : texts) Add(&view, "assistant", text);
    RequestDigest digest(Salt{5});
    ExchangeHeader h;
    digest.Digest(view, &h);
    const auto all = TokensOf(texts);
    auto expected = all;
    if (all.size() > kPartTokensMax) {
      expected.assign(all.begin(), all.begin() + kPartTokensMax / 2);
      expected.insert(expected.end(), all.end() - kPartTokensMax / 2, all.end());
    }
    ASSERT_EQ(Tokens(digest, Part::kTail), expected) << round;
    EXPECT_EQ((h.flags >> (kPartTruncatedShift + 2) & 1) != 0, all.size() > kPartTokensMax);
    EXPECT_EQ(h.part_tokens[2], expected.size());
  }
}

// Also of a text that is cut: what one box calls its third word is the third word under a partner's key.
TEST(RequestDigest, PartnersGetTheInstructionUnderTheirKeysPlaceByPlace) {
  const Salt partners[] = {{11}, {12}};
  std::string cut;
  while (cut.size() < 300'000) cut += "word" + std::to_string(cut.size() * 7919 % 1000) + ", ";
  for (const std::string& text : {std::string("Explain the tides to a child"), std::string(), cut}) {
    RequestView view;
    Add(&view, "system", "You are terse");
    Add(&view, "user", text);
    RequestDigest digest(Salt{5}, partners);
    ExchangeHeader h;
    digest.Digest(view, &h);
    ASSERT_EQ(h.partners, 2u);
    for (uint32_t p = 0; p < 2; ++p) {
      RequestDigest alone(partners[p]);
      ExchangeHeader other;
      alone.Digest(view, &other);
      const auto tokens = digest.partner_tokens(p);
      ASSERT_EQ(std::vector<uint32_t>(tokens.begin(), tokens.end()), Tokens(alone, Part::kInstruction));
      ASSERT_EQ(tokens.size(), digest.tokens(Part::kInstruction).size());
    }
  }
}

TEST(RequestDigest, PartHashesAreExact) {
  RequestDigest digest(Salt{5});
  const auto hash_of = [&](std::string_view text) {
    RequestView view;
    Add(&view, "user", text);
    ExchangeHeader h;
    digest.Digest(view, &h);
    return h.part_hash[1];
  };
  EXPECT_EQ(hash_of("Same text"), hash_of("Same text"));
  EXPECT_NE(hash_of("Same text"), hash_of("same text"));  // before normalisation
  RequestView empty;
  ExchangeHeader h;
  digest.Digest(empty, &h);
  for (size_t p = 0; p < 3; ++p) EXPECT_EQ(h.part_hash[p], 0u);
}

TEST(RequestDigest, BiasedTokensCountInAnyOrder) {
  RequestDigest digest(Salt{5});
  RequestView a, b;
  for (const char* id : {"50256", "12", "7"}) a.AddBiasedToken(id);
  for (const char* id : {"7", "50256", "12"}) b.AddBiasedToken(id);
  ExchangeHeader ha, hb;
  digest.Digest(a, &ha);
  digest.Digest(b, &hb);
  EXPECT_EQ(ha.logit_bias_count, 3);
  EXPECT_NE(ha.logit_bias_hash, 0u);
  EXPECT_EQ(ha.logit_bias_hash, hb.logit_bias_hash);
}

}  // namespace
}  // namespace stillwatch::dataplane
