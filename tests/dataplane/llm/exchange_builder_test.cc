#include "dataplane/llm/exchange_builder.h"

#include <gmock/gmock.h>

#include <numeric>
#include <vector>

namespace stillwatch::dataplane {
namespace {

using ::testing::ElementsAre;

TEST(ExchangeBuilder, LaysOutWhatTheViewReads) {
  ExchangeBuilder builder;
  builder.Reset();
  builder.header().status = 200;
  builder.header().flags = kRequestSeen | kStreamed;
  EXPECT_TRUE(builder.AddPrefixChain(11));
  EXPECT_TRUE(builder.AddIdIssued(21));
  EXPECT_TRUE(builder.AddIdIssued(22));
  EXPECT_TRUE(builder.AddIdReturned(31));
  const uint32_t system[] = {1, 2, 3};
  const uint32_t output[] = {7};
  builder.SetTokens(Part::kOutput, output);
  builder.SetTokens(Part::kSystem, system, true);
  builder.SetModel("gpt-4o");

  const ExchangeView view = builder.Finish();
  EXPECT_EQ(view.header().status, 200);
  EXPECT_TRUE(view.has(kStreamed));
  EXPECT_THAT(view.prefix_chain(), ElementsAre(11));
  EXPECT_THAT(view.ids_issued(), ElementsAre(21, 22));
  EXPECT_THAT(view.ids_returned(), ElementsAre(31));
  EXPECT_THAT(view.tokens(Part::kSystem), ElementsAre(1, 2, 3));
  EXPECT_TRUE(view.tokens(Part::kInstruction).empty());
  EXPECT_THAT(view.tokens(Part::kOutput), ElementsAre(7));
  EXPECT_TRUE(view.truncated(Part::kSystem));
  EXPECT_FALSE(view.truncated(Part::kOutput));
  EXPECT_EQ(view.model(), "gpt-4o");
  EXPECT_EQ(view.block().size(), ExchangeBytes(view.header()));
}

TEST(ExchangeBuilder, TokensUnderPartnersKeysStandBeforeTheModel) {
  ExchangeBuilder builder;
  builder.Reset();
  const uint32_t instruction[] = {1, 2, 3}, output[] = {7, 8}, theirs[] = {11, 12, 13, 21, 22, 23};
  builder.SetTokens(Part::kInstruction, instruction);
  builder.SetTokens(Part::kOutput, output);
  builder.SetPartnerTokens(2, theirs);
  builder.SetModel("m");
  const ExchangeView view = builder.Finish();
  EXPECT_THAT(view.tokens(Part::kInstruction), ElementsAre(1, 2, 3));
  EXPECT_THAT(view.tokens(Part::kOutput), ElementsAre(7, 8));
  EXPECT_THAT(view.partner_tokens(0), ElementsAre(11, 12, 13));
  EXPECT_THAT(view.partner_tokens(1), ElementsAre(21, 22, 23));
  EXPECT_EQ(view.model(), "m");
  builder.Reset();
  EXPECT_EQ(builder.Finish().header().partners, 0u);
}

TEST(ExchangeBuilder, CutsALongPartToItsEnds) {
  std::vector<uint32_t> tokens(kPartTokensMax + 5);
  std::iota(tokens.begin(), tokens.end(), 0u);
  ExchangeBuilder builder;
  builder.Reset();
  builder.SetTokens(Part::kTail, tokens);
  const ExchangeView view = builder.Finish();
  const auto kept = view.tokens(Part::kTail);
  ASSERT_EQ(kept.size(), kPartTokensMax);
  EXPECT_TRUE(view.truncated(Part::kTail));
  EXPECT_EQ(kept[kPartTokensMax / 2 - 1], kPartTokensMax / 2 - 1);
  EXPECT_EQ(kept[kPartTokensMax / 2], kPartTokensMax / 2 + 5);
  EXPECT_EQ(kept.back(), tokens.back());
}

TEST(ExchangeBuilder, FullArraysDropAndSaySo) {
  ExchangeBuilder builder;
  builder.Reset();
  for (uint32_t i = 0; i < kIdsMax; ++i) EXPECT_TRUE(builder.AddIdIssued(i));
  EXPECT_FALSE(builder.AddIdIssued(1));
  for (uint32_t i = 0; i < kPrefixChainMax; ++i) EXPECT_TRUE(builder.AddPrefixChain(i));
  EXPECT_FALSE(builder.AddPrefixChain(1));
  builder.SetModel(std::string(100, 'm'));
  const ExchangeView view = builder.Finish();
  EXPECT_EQ(view.ids_issued().size(), kIdsMax);
  EXPECT_EQ(view.model().size(), kModelLengthMax);
}

TEST(ExchangeBuilder, ResetForgets) {
  ExchangeBuilder builder;
  builder.Reset();
  builder.AddIdIssued(1);
  builder.SetModel("x");
  const uint32_t tokens[] = {1};
  builder.SetTokens(Part::kSystem, tokens, true);
  builder.Finish();
  builder.Reset();
  const ExchangeView view = builder.Finish();
  EXPECT_EQ(view.block().size(), sizeof(ExchangeHeader));
  EXPECT_EQ(view.header().flags, 0u);
}

}  // namespace
}  // namespace stillwatch::dataplane
