// What each kind promises, read from the questions it asks and the answers it hears.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "tools/stillgen/drive.h"
#include "tools/stillgen/scenario.h"

namespace stillwatch::stillgen {
namespace {

struct Seen {
  uint32_t account, owner;
  std::string kind, system, text, first, previous, end_user, id;  // text: the last user turn; first: of the conversation
  std::vector<std::string> issued, returned;                      // ids of calls and responses
  std::vector<std::string> turns;                                 // all earlier texts
  std::vector<Message::Role> roles;
  Parameters parameters;
  Api api;
  int status;
  int64_t asked_ns;
  bool harvest;
};

std::vector<Seen> Played(const std::string& mix, uint64_t seed, double hours, WorldOptions options = {}, double rate_limited = 0.01) {
  options.seed = seed;
  options.duration_ns = static_cast<int64_t>(hours * static_cast<double>(kNsPerHour));
  World world(options);
  BuildWorld(ParseMix(mix).value(), &world);
  std::vector<Seen> all;
  Drive(&world, {.rate_limited = rate_limited, .answer_tokens = 40}, [&](const Exchanged& e) {
    Seen seen;
    seen.account = e.account->index;
    seen.owner = e.account->owner;
    seen.kind = e.account->kind;
    seen.system = e.prompt->system;
    seen.first = e.prompt->messages.front().text;
    for (const Message& m : e.prompt->messages) {
      if (m.role == Message::Role::kUser) seen.text = m.text;
      if (m.role == Message::Role::kTool) seen.returned.push_back(m.call_id);
      seen.turns.push_back(m.text);
    }
    seen.previous = e.prompt->previous_response_id;
    if (!seen.previous.empty()) seen.returned.push_back(seen.previous);
    seen.end_user = e.prompt->end_user;
    seen.id = e.answer->id;
    if (e.answer->status == 200) {
      seen.issued.push_back(e.answer->id);
      for (const ToolCall& call : e.answer->calls) seen.issued.push_back(call.id);
    }
    seen.parameters = e.prompt->parameters;
    seen.api = e.account->client.api;
    seen.status = e.answer->status;
    seen.asked_ns = e.asked_ns;
    seen.harvest = e.harvest;
    all.push_back(std::move(seen));
  });
  return all;
}

std::vector<Seen> Harvests(std::vector<Seen> all) {
  std::erase_if(all, [](const Seen& s) { return !s.harvest; });
  return all;
}

std::set<std::string> Shingles(const std::string& text) {
  std::vector<std::string> words(1);
  for (char c : text) {
    if (std::isalnum(static_cast<uint8_t>(c))) words.back().push_back(static_cast<char>(std::tolower(static_cast<uint8_t>(c))));
    else if (!words.back().empty()) words.emplace_back();
  }
  std::set<std::string> out;
  for (size_t i = 0; i + 3 < words.size(); ++i) out.insert(words[i] + " " + words[i + 1] + " " + words[i + 2]);
  return out;
}

// Share of request pairs of different accounts that have at least a fifth of their three-word runs in common.
double AlikeShare(const std::vector<Seen>& all) {
  std::vector<std::set<std::string>> shingles;
  for (size_t i = 0; i < std::min<size_t>(all.size(), 150); ++i) shingles.push_back(Shingles(all[i].text));
  double alike = 0, pairs = 0;
  for (size_t a = 0; a < shingles.size(); ++a) {
    for (size_t b = a + 1; b < shingles.size(); ++b) {
      std::vector<std::string> both;
      std::set_intersection(shingles[a].begin(), shingles[a].end(), shingles[b].begin(), shingles[b].end(), std::back_inserter(both));
      ++pairs;
      alike += 5 * both.size() > shingles[a].size() + shingles[b].size() - both.size();
    }
  }
  return pairs == 0 ? 0 : alike / pairs;
}

size_t Accounts(const std::vector<Seen>& all) {
  std::set<uint32_t> accounts;
  for (const Seen& s : all) accounts.insert(s.account);
  return accounts.size();
}

// Ids that came back from another account than the one they were given to.
size_t Migrated(const std::vector<Seen>& all) {
  std::map<std::string, uint32_t> given;
  size_t migrated = 0;
  for (const Seen& s : all) {
    for (const std::string& id : s.returned) {
      const auto at = given.find(id);
      migrated += at != given.end() && at->second != s.account;
    }
    for (const std::string& id : s.issued) given[id] = s.account;
  }
  return migrated;
}

// Questions refused on one account and asked word for word on another within three seconds.
size_t AskedElsewhere(const std::vector<Seen>& all) {
  size_t found = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].status != 429) continue;
    for (size_t k = i + 1; k < all.size() && all[k].asked_ns - all[i].asked_ns < 3 * kNsPerSecond; ++k) {
      if (all[k].turns == all[i].turns && all[k].account != all[i].account) {
        ++found;
        break;
      }
    }
  }
  return found;
}

TEST(CampaignKindTest, T2IsWordedAnewWhereT1Repeats) {
  const double t1 = AlikeShare(Harvests(Played("t1=1x20", 3, 24))), t2 = AlikeShare(Harvests(Played("t2=1x20", 3, 24)));
  std::printf("REPORT stillgen.alike pairs of harvesting requests: T1 %.3f, T2 %.3f\n", t1, t2);
  EXPECT_GT(t1, 0.1);
  EXPECT_LT(t2, t1 / 4);
}

TEST(CampaignKindTest, T3NeverGivesTwoAccountsTheSameWork) {
  const auto all = Harvests(Played("t3=1x40", 5, 48));
  ASSERT_GT(all.size(), 300u);
  std::set<std::string> texts;
  for (const Seen& s : all) {
    if (s.status != 200) continue;  // asked again after a 429
    EXPECT_TRUE(texts.insert(s.text).second) << s.text;
  }
}

TEST(CampaignKindTest, T5SharesAFewPrivateWraps) {
  const auto all = Harvests(Played("t5=1x30", 6, 24));
  ASSERT_GT(all.size(), 200u);
  std::map<std::string, std::set<uint32_t>> wraps;
  for (const Seen& s : all) {
    const std::string& wrap = s.system.empty() ? s.text : s.system;
    wraps[wrap.substr(0, wrap.find('\n'))].insert(s.account);
  }
  EXPECT_LE(wraps.size(), 4u);
  for (const auto& [wrap, accounts] : wraps) EXPECT_GT(accounts.size(), 10u) << wrap;
}

TEST(CampaignKindTest, T7LoopsOverToolsOnOneAccount) {
  const auto all = Harvests(Played("t7=1x20", 7, 24));
  const auto returning = std::count_if(all.begin(), all.end(), [](const Seen& s) { return !s.returned.empty(); });
  EXPECT_GT(2 * returning, static_cast<long>(all.size()));
  EXPECT_EQ(Migrated(all), 0u);
  std::set<std::string> systems;
  for (const Seen& s : all) systems.insert(s.system);
  EXPECT_LE(systems.size(), 2u);
}

TEST(CampaignKindTest, T8SendsTheSameNumbersInSeveralLanguages) {
  std::map<std::string, std::set<std::string>> by_digits;
  std::vector<Seen> all;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    for (Seen& s : Harvests(Played("t8=1x30", seed, 48))) all.push_back(std::move(s));
  }
  for (const Seen& s : all) {
    std::string digits, rest;
    for (char c : s.text) (std::isdigit(static_cast<uint8_t>(c)) ? digits : rest).push_back(c);
    if (digits.size() >= 5) by_digits[digits].insert(rest);
  }
  const auto shared = std::count_if(by_digits.begin(), by_digits.end(), [](const auto& d) { return d.second.size() >= 3; });
  EXPECT_GT(shared, 40);
}

TEST(CampaignKindTest, T9HidesUnderAboutTwentyTimesAsMuch) {
  const auto all = Played("t9=1x30", 9, 168);
  const double harvest = static_cast<double>(Harvests(all).size());
  const double cover = (static_cast<double>(all.size()) - harvest) / harvest;
  EXPECT_GT(cover, 12);
  EXPECT_LT(cover, 32);
  WorldOptions without;
  without.cover = 0;
  EXPECT_EQ(Harvests(Played("t9=1x10", 9, 168, without)).size(), Played("t9=1x10", 9, 168, without).size());
}

TEST(CampaignKindTest, T10WalksThroughTheTokenIds) {
  const auto all = Harvests(Played("t10=1x20", 10, 24));
  ASSERT_GT(all.size(), 200u);
  std::map<int, int> times;
  for (const Seen& s : all) {
    EXPECT_EQ(s.parameters.max_tokens, 1);
    EXPECT_GE(s.parameters.top_logprobs, 5);
    EXPECT_EQ(s.api, Api::kChat);
    for (const auto& [token, bias] : s.parameters.logit_bias) ++times[token];
  }
  EXPECT_GT(times.size(), 200u);
  const auto odds = Played("logprob=20", 10, 24);
  for (const Seen& s : odds) EXPECT_LE(s.parameters.logit_bias.size(), 4u);
}

TEST(CampaignKindTest, T11MigratesAndAsksElsewhereAfterA429) {
  size_t migrated = 0, elsewhere = 0, agentic = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const auto all = Played("t11=1x30", seed, 48, {}, 0.05);
    migrated += Migrated(all) > 0;
    elsewhere += AskedElsewhere(all);
    agentic += std::any_of(all.begin(), all.end(), [](const Seen& s) { return s.harvest && !s.returned.empty() && s.previous.empty(); });
    // Prefixes too: a conversation's earlier turns were seen on another account.
    std::map<std::string, std::set<uint32_t>> starts;
    for (const Seen& s : all) if (s.harvest && s.turns.size() >= 3) starts[s.first].insert(s.account);
    if (!starts.empty()) {
      EXPECT_TRUE(std::any_of(starts.begin(), starts.end(), [](const auto& one) { return one.second.size() > 1; })) << seed;
    }
  }
  EXPECT_GE(migrated, 2u);
  EXPECT_GT(elsewhere, 10u);
  EXPECT_GE(agentic, 1u);
  EXPECT_LT(agentic, 12u);
}

TEST(CampaignKindTest, T12IsATenthDistillation) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const auto all = Played("t12=1x40", seed, 48);
    const double share = static_cast<double>(Harvests(all).size()) / static_cast<double>(all.size());
    EXPECT_GT(share, 0.05) << seed;
    EXPECT_LT(share, 0.18) << seed;
    EXPECT_GT(Accounts(all), 30u);
  }
}

TEST(CampaignKindTest, DisguiseTakesAwayTheSharedParameters) {
  WorldOptions hidden;
  hidden.disguise = kHideParameters | kHideStack;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    std::set<std::tuple<int, int, int>> tuples;
    for (const Seen& s : Harvests(Played("t1=1x40", seed, 6, hidden))) {
      tuples.insert({s.parameters.temperature_milli, s.parameters.max_tokens, static_cast<int>(s.api)});
    }
    EXPECT_GT(tuples.size(), 15u) << seed;
  }
}

// Benign look-alikes: what separates each from a campaign is there.
TEST(BenignKindTest, NobodyHarvests) {
  for (const Seen& s : Played(std::string(FindScenario("everyone").value().mix), 2, 3)) ASSERT_FALSE(s.harvest) << s.kind;
}

TEST(BenignKindTest, OneOwnerHasManyKeys) {
  for (const char* kind : {"mill", "etl", "library", "balance", "study", "distiller"}) {
    std::set<uint32_t> owners;
    const auto all = Played(std::string(kind) + "=2x6", 4, 48);
    for (const Seen& s : all) owners.insert(s.owner);
    EXPECT_EQ(owners.size(), 2u) << kind;
    EXPECT_GT(Accounts(all), 8u) << kind;
  }
  for (const char* kind : {"byok", "pack", "viral", "exam", "course", "bench"}) {
    std::set<uint32_t> owners;
    const auto all = Played(std::string(kind) + "=1x12", 4, 48);
    for (const Seen& s : all) owners.insert(s.owner);
    EXPECT_EQ(owners.size(), Accounts(all)) << kind;
  }
}

TEST(BenignKindTest, ByokAppsShareATemplateButNotTheirPayloads) {
  const auto all = Played("byok=1x40", 5, 72);
  std::map<std::string, std::set<uint32_t>> texts, heads;
  for (const Seen& s : all) {
    texts[s.text].insert(s.account);
    heads[s.text.substr(0, 24)].insert(s.account);
  }
  EXPECT_TRUE(std::any_of(heads.begin(), heads.end(), [](const auto& head) { return head.second.size() >= 38; }));
  for (const auto& [text, accounts] : texts) {
    if (heads[text.substr(0, 24)].size() >= 20) {
      EXPECT_EQ(accounts.size(), 1u) << text;
    }
  }
}

TEST(BenignKindTest, ExamsAndSuitesOverlapWherePartitionsDoNot) {
  for (const char* kind : {"exam", "course", "bench", "classroom"}) {
    std::map<std::string, std::set<uint32_t>> texts;
    for (const Seen& s : Played(std::string(kind) + "=1x30", 6, 72)) texts[s.text].insert(s.account);
    EXPECT_TRUE(std::any_of(texts.begin(), texts.end(), [](const auto& t) { return t.second.size() >= 3; })) << kind;
  }
}

TEST(BenignKindTest, ResellersNameTheirEndUsersAndBalancersMoveBetweenOwnKeys) {
  std::set<std::string> users;
  for (const Seen& s : Played("reseller=1", 7, 48)) users.insert(s.end_user);
  EXPECT_GT(users.size(), 15u);
  const auto all = Played("balance=2x6", 7, 72, {}, 0.05);
  EXPECT_GT(AskedElsewhere(all), 0u);
}

TEST(BenignKindTest, HobbyistsUseFamousJailbreaksOnly) {
  World world({.seed = 8});
  size_t wrapped = 0;
  const auto all = Played("hobby=30", 8, 96);
  for (const Seen& s : all) {
    for (const std::string& famous : world.corpus.famous_jailbreaks()) {
      if (s.text.find(famous.substr(0, std::min<size_t>(famous.find('{'), 40))) == 0 && famous.find('{') > 10) {
        ++wrapped;
        break;
      }
    }
  }
  EXPECT_GT(4 * wrapped, all.size());
}

TEST(BenignKindTest, PolyglotsWriteInTheLanguagesThatT8Uses) {
  World world({.seed = 9});
  std::set<std::string> spoken;
  for (const Seen& s : Played("polyglot=60", 9, 48)) {
    for (const Question& q : world.corpus.all()) {
      if (q.language != "english" && q.text == s.text) spoken.insert(q.language);
    }
  }
  EXPECT_GE(spoken.size(), 8u);
}

TEST(KindsTest, SameSeedSameQuestionsOtherSplitOtherQuestions) {
  const std::string mix = "chat=20,byok=1x10,t2=1x10,t11=1x10,t12=1x10";
  const auto a = Played(mix, 11, 24), b = Played(mix, 11, 24);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) ASSERT_TRUE(a[i].turns == b[i].turns && a[i].account == b[i].account && a[i].asked_ns == b[i].asked_ns);
  WorldOptions test;
  test.split = Split::kTest;
  const auto c = Played(mix, 11, 24, test);
  std::set<std::string> texts;
  for (const Seen& s : a) texts.insert(s.text);
  for (const Seen& s : c) EXPECT_FALSE(texts.contains(s.text)) << s.text;
}

TEST(KindsTest, EveryoneAndEveryCampaign) {
  World world({.seed = 12, .duration_ns = 12 * kNsPerHour});
  auto mix = ParseMix(FindScenario("eval-all").value().mix).value();
  DrawRanges(&mix, 12);
  BuildWorld(mix, &world);
  struct Row {
    std::set<uint32_t> accounts, owners;
    uint64_t exchanges = 0, harvest = 0;
  };
  std::map<std::string, Row> rows;
  Drive(&world, {.answer_tokens = 40}, [&](const Exchanged& e) {
    Row& row = rows[e.account->kind];
    row.accounts.insert(e.account->index);
    row.owners.insert(e.account->owner);
    ++row.exchanges;
    row.harvest += e.harvest;
  });
  for (const auto& [kind, row] : rows) {
    std::printf("REPORT stillgen.kinds %-10s %6zu accounts %6zu owners %7llu exchanges %6llu harvest\n", kind.c_str(), row.accounts.size(),
                row.owners.size(), static_cast<unsigned long long>(row.exchanges), static_cast<unsigned long long>(row.harvest));
  }
  for (const KindEntry& kind : Kinds()) {
    EXPECT_TRUE(rows.contains(std::string(kind.name))) << kind.name;
    EXPECT_EQ(rows[std::string(kind.name)].harvest > 0, kind.campaign) << kind.name;
  }
}

}  // namespace
}  // namespace stillwatch::stillgen
