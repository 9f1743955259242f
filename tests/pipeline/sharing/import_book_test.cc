// Which requests hold what a partner names, held against a slow count; what is refused; every bound.
#include "pipeline/sharing/import_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "dataplane/llm/exchange_builder.h"
#include "pipeline/evidence/instruction.h"

namespace stillwatch::pipeline {
namespace {

using dataplane::Part;
using ::testing::HasSubstr;

const std::string kTheirs = "6f1c0b7a92d84e33a5510c9ce07b4d18";

AccountId IdOf(uint32_t number) {
  AccountId id;
  std::memcpy(id.bytes, &number, sizeof number);
  return id;
}

dataplane::ExchangeView Exchange(const std::vector<std::vector<uint32_t>>& partner_tokens, dataplane::ExchangeBuilder* builder) {
  builder->Reset();
  std::vector<uint32_t> all;
  for (const auto& tokens : partner_tokens) all.insert(all.end(), tokens.begin(), tokens.end());
  builder->SetTokens(Part::kInstruction, partner_tokens.empty() ? std::vector<uint32_t>{1, 2, 3} : partner_tokens[0]);
  builder->SetPartnerTokens(static_cast<uint32_t>(partner_tokens.size()), all);
  return builder->Finish();
}

ClaimedCore CoreOf(const std::vector<uint32_t>& words, uint32_t needed) {
  ClaimedCore core;
  for (size_t i = 0; i + 1 < words.size(); ++i) core.fragments.push_back(ShingleHash(words[i], words[i + 1]));
  std::sort(core.fragments.begin(), core.fragments.end());
  core.fragments.erase(std::unique(core.fragments.begin(), core.fragments.end()), core.fragments.end());
  core.needed = needed;
  return core;
}

Claim ClaimOf(std::vector<ClaimedCore> cores, uint64_t key = 1) { return {kTheirs, "confirmed", 90, 60'000, 1'000, {key, std::move(cores)}}; }

TEST(ImportBookTest, MatchesWhatASlowCountMatches) {
  std::mt19937_64 random(7);
  const auto word = [&] { return static_cast<uint32_t>(random() % 9); };
  const auto text = [&](size_t length) {
    std::vector<uint32_t> words;
    while (words.size() < length) words.push_back(word());
    return words;
  };
  ImportBook book({{"x", 1}, {"y", 2}}, Salt{});
  std::vector<ClaimedCore> cores[2];
  for (int p = 0; p < 2; ++p) {
    for (int c = 0; c < 20; ++c) cores[p].push_back(CoreOf(text(5 + random() % 6), 2 + random() % 2));
  }
  const std::string first = book.Take("x", ClaimOf(cores[0], 1), 1).value()->id, second = book.Take("y", ClaimOf(cores[1], 2), 1).value()->id;
  ASSERT_NE(first, second) << "one campaign id of two partners";
  dataplane::ExchangeBuilder builder;
  uint64_t matched = 0;
  for (uint32_t n = 0; n < 3'000; ++n) {
    const auto length = random() % 30;
    const std::vector<std::vector<uint32_t>> tokens{text(length), text(length)};
    const uint32_t cut = static_cast<uint32_t>(length / 2);
    book.Note(Exchange(tokens, &builder), n % 2 == 0 ? 0 : cut, IdOf(n), n);
    for (int p = 0; p < 2; ++p) {
      size_t fragments = 0;
      for (const ClaimedCore& core : cores[p]) {
        std::set<uint32_t> held;
        for (size_t i = 0; i + 1 < length; ++i) {
          const uint32_t hash = ShingleHash(tokens[p][i], tokens[p][i + 1]);
          if ((n % 2 == 0 || i + 1 != cut) && std::binary_search(core.fragments.begin(), core.fragments.end(), hash)) held.insert(hash);
        }
        if (held.size() >= core.needed) fragments += held.size();
      }
      const bool should = fragments >= ImportBook::kFragmentsToMatch;
      const auto& matches = book.Find(p == 0 ? first : second)->matches;
      const bool did = std::any_of(matches.begin(), matches.end(), [&](const ImportMatch& m) { return m.id == IdOf(n); });
      if (matches.size() < ImportBook::kAccountsMax) ASSERT_EQ(did, should) << n << " partner " << p;
      matched += should;
    }
  }
  EXPECT_GT(matched, 100u) << "too easy";
  EXPECT_EQ(book.counters().Get(ImportCounter::kMatches), matched);
}

TEST(ImportBookTest, OneWhoHasLessThanACoreIsNobody) {
  const std::vector<uint32_t> words{10, 11, 12, 13, 14, 15};
  ImportBook book({{"x", 1}}, Salt{});
  const std::string id = book.Take("x", ClaimOf({CoreOf(words, 4)}), 1).value()->id;
  dataplane::ExchangeBuilder builder;
  book.Note(Exchange({{10, 11, 12, 13, 99}}, &builder), 0, IdOf(1), 1);  // three of its five fragments
  EXPECT_TRUE(book.Find(id)->matches.empty());
  book.Note(Exchange({{10, 11, 12, 13, 14}}, &builder), 0, IdOf(1), 1);
  EXPECT_EQ(book.Find(id)->matches.size(), 1u);
}

TEST(ImportBookTest, RefusesInWords) {
  ImportBook book({{"x", 1}}, Salt{});
  const std::vector<ClaimedCore> cores{CoreOf({1, 2, 3, 4, 5, 6}, 2)};
  EXPECT_THAT(book.Take("z", ClaimOf(cores), 1).message(), HasSubstr("no partner 'z'"));
  EXPECT_THAT(book.Take("x", ClaimOf(cores, 9), 1).message(), HasSubstr("not under the key"));
  EXPECT_THAT(book.Take("x", ClaimOf(cores), 1'000).message(), HasSubstr("which is over"));
  const std::string id = book.Take("x", ClaimOf(cores), 1).value()->id;
  EXPECT_EQ(book.Take("x", ClaimOf(cores), 1).value()->id, id) << "a newer word of the same campaign takes its place";
  EXPECT_EQ(book.imports().size(), 1u);
  EXPECT_TRUE(book.Reject(id));
  EXPECT_FALSE(book.active());
  EXPECT_THAT(book.Take("x", ClaimOf(cores), 1).message(), HasSubstr("a person rejected"));
  EXPECT_EQ(book.counters().Get(ImportCounter::kTaken), 2u);
  EXPECT_EQ(book.counters().Get(ImportCounter::kRefused), 4u);
}

TEST(ImportBookTest, IsBounded) {
  ImportBook book({{"x", 1}}, Salt{});
  const std::vector<uint32_t> words{1, 2, 3, 4, 5, 6};
  for (size_t i = 0; i < ImportBook::kImportsMax; ++i) {
    Claim claim = ClaimOf({CoreOf(words, 2)});
    claim.campaign_id = std::to_string(i);
    ASSERT_TRUE(book.Take("x", claim, 1).ok());
  }
  EXPECT_THAT(book.Take("x", ClaimOf({CoreOf(words, 2)}), 1).message(), HasSubstr("256 claims"));
  dataplane::ExchangeBuilder builder;
  const auto exchange = Exchange({words}, &builder);
  for (uint32_t n = 0; n < ImportBook::kAccountsMax + 5; ++n) book.Note(exchange, 0, IdOf(n), n);
  EXPECT_EQ(book.imports().front().matches.size(), ImportBook::kAccountsMax);
  EXPECT_EQ(book.counters().Get(ImportCounter::kAccountsLeftOut), 5 * ImportBook::kImportsMax);
  EXPECT_EQ(book.TakeExpired(1'001).size(), ImportBook::kImportsMax);
  EXPECT_FALSE(book.active());
}

// Recorded without the partners' keys, or with fewer.
TEST(ImportBookTest, ExchangesWithoutTokensOfThePartnersAreCounted) {
  ImportBook book({{"x", 1}, {"y", 2}}, Salt{});
  ASSERT_TRUE(book.Take("x", ClaimOf({CoreOf({1, 2, 3, 4, 5, 6}, 2)}), 1).ok());
  dataplane::ExchangeBuilder builder;
  book.Note(Exchange({}, &builder), 0, IdOf(1), 1);
  book.Note(Exchange({{1, 2, 3, 4, 5, 6}}, &builder), 0, IdOf(1), 1);
  EXPECT_EQ(book.counters().Get(ImportCounter::kNoPartnerTokens), 2u);
  EXPECT_TRUE(book.imports()[0].matches.empty());
}

}  // namespace
}  // namespace stillwatch::pipeline
