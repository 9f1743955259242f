// Layer 2 alone: against a slow oracle that keeps everything, and the look-alikes that must leave no edge.
#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include "base/hash.h"
#include "dataplane/llm/exchange_builder.h"
#include "pipeline/evidence/migration_layer.h"

namespace stillwatch::pipeline {
namespace {

constexpr uint32_t kDay = 86'400;
constexpr uint32_t kStart = 20'000 * kDay;

// What one account sent, in words.
struct Said {
  uint32_t account = 0, asked_s = 0;
  std::vector<std::string> messages = {"hello"};
  std::vector<std::string> returned, issued;
  uint16_t status = 200;
  std::string body;  // "": of its messages
};

class World {
 public:
  explicit World(Tunables tunables = {}) : tunables_(tunables), profiles_(64), layer_(tunables) {}

  uint32_t Account(uint64_t owner) {
    AccountId id;
    const uint32_t index = profiles_.size();
    for (size_t i = 0; i < sizeof id.bytes; ++i) id.bytes[i] = static_cast<uint8_t>(Mix64(index + 1) >> 8 * (i % 8));
    profiles_.FindOrCreate(id)->owner = owner;
    return index;
  }
  void SetOwner(uint32_t account, uint64_t owner) { profiles_.all()[account].owner = owner; }
  const AccountId& IdOf(uint32_t account) const { return profiles_.all()[account].id; }

  void Say(const Said& said) {
    builder_.Reset();
    dataplane::ExchangeHeader& h = builder_.header();
    h.request_start_ns = int64_t{said.asked_s} * 1'000'000'000;
    h.response_end_ns = h.request_start_ns + 2'000'000'000;
    h.status = said.status;
    std::string all;
    for (const std::string& message : said.messages) {
      all += message + '\n';
      builder_.AddPrefixChain(Hash(all));
    }
    h.prefix_deep_from = said.messages.size() >= 3 ? 3 : 0;
    h.body_hash = Hash("body " + (said.body.empty() ? all : said.body));
    for (const std::string& id : said.returned) builder_.AddIdReturned(Hash(id));
    for (const std::string& id : said.issued) builder_.AddIdIssued(Hash(id));
    layer_.Note(builder_.Finish(), profiles_.all()[said.account], profiles_);
  }
  std::vector<EdgeRecord> Edges() const { return layer_.FindEdges(profiles_, tunables_); }
  uint64_t Count(MigrationCounter counter) const { return layer_.counters().Get(counter); }
  MigrationLayer& layer() { return layer_; }
  // As `stillctl erase` does.
  size_t Erase(uint32_t account) {
    const AccountId id = IdOf(account);
    uint32_t moved = 0;
    EXPECT_TRUE(profiles_.Erase(id, &moved));
    EXPECT_EQ(profiles_.Find(id), nullptr);
    return layer_.Erase(id, account, moved);
  }

 private:
  static uint64_t Hash(std::string_view text) { return KeyedHash64(text, Salt{}); }
  const Tunables tunables_;
  ProfileTable profiles_;
  MigrationLayer layer_;
  dataplane::ExchangeBuilder builder_;
};

std::vector<std::string> Talk(const std::string& about, size_t messages) {
  std::vector<std::string> talk;
  for (size_t i = 0; i < messages; ++i) talk.push_back(about + " " + std::to_string(i));
  return talk;
}

// --- What makes an edge -------------------------------------------------------------------------------

TEST(MigrationLayer, TwoConversationsThatMovedMakeAnEdge) {
  World world;
  const uint32_t a = world.Account(1), b = world.Account(2);
  world.Say({a, kStart, {"one"}, {}, {"id-1"}});
  world.Say({b, kStart + 60, {"one", "more"}, {"id-1"}, {}});
  EXPECT_TRUE(world.Edges().empty()) << "one may be a person who changed keys";
  world.Say({a, kStart + 100, {"two"}, {}, {"id-2"}});
  world.Say({b, kStart + 160, {"two", "more"}, {"id-2"}, {}});
  const std::vector<EdgeRecord> edges = world.Edges();
  ASSERT_EQ(edges.size(), 1u);
  EXPECT_EQ(std::minmax(edges[0].a, edges[0].b), std::minmax(world.IdOf(a), world.IdOf(b)));
  EXPECT_LT(edges[0].a, edges[0].b);
  EXPECT_EQ(edges[0].layer, Layer::kMigration);
  EXPECT_EQ(edges[0].weight, 2 * Tunables{}.migration_nats);
  EXPECT_EQ(edges[0].count, 2u);
  EXPECT_EQ(edges[0].first_s, kStart + 60);
  EXPECT_EQ(edges[0].last_s, kStart + 160);
  EXPECT_EQ(world.Count(MigrationCounter::kIdEvents), 2u);
}

TEST(MigrationLayer, AnErasedAccountLeavesNothingAndItsPlaceGoesToAnother) {
  World world;
  const uint32_t a = world.Account(1), b = world.Account(2), c = world.Account(3);
  for (const char* id : {"id-1", "id-2"}) {
    world.Say({a, kStart, {id}, {}, {id}});
    world.Say({b, kStart + 60, {id, "more"}, {id}, {}});
  }
  for (const char* id : {"id-3", "id-4"}) world.Say({c, kStart, {id}, {}, {id}});
  for (const char* id : {"id-5", "id-6"}) world.Say({a, kStart, {id}, {}, {id}});
  ASSERT_EQ(world.Edges().size(), 1u);
  const AccountId id_of_c = world.IdOf(c);
  EXPECT_EQ(world.Erase(a), 1u);
  EXPECT_TRUE(world.Edges().empty());
  ASSERT_EQ(world.IdOf(a), id_of_c) << "the last profile takes the place";
  // What was issued to the erased one is nobody's; what was issued to the one that moved is still its own.
  for (const char* id : {"id-5", "id-6"}) world.Say({b, kStart + 60, {id, "more"}, {id}, {}});
  EXPECT_TRUE(world.Edges().empty());
  for (const char* id : {"id-3", "id-4"}) world.Say({b, kStart + 60, {id, "more"}, {id}, {}});
  const std::vector<EdgeRecord> edges = world.Edges();
  ASSERT_EQ(edges.size(), 1u);
  EXPECT_EQ(std::minmax(edges[0].a, edges[0].b), std::minmax(world.IdOf(b), id_of_c));
}

// Each of `accounts` goes on with one conversation of each one before it.
void MoveOneEach(World* world, const std::vector<uint32_t>& accounts, const std::string& about = "") {
  for (size_t i = 0; i < accounts.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const std::string id = about.empty() ? std::to_string(accounts[j]) + " to " + std::to_string(accounts[i]) : about;
      const std::string answer = id + " " + std::to_string(i) + " " + std::to_string(j);
      world->Say({accounts[j], kStart, {id}, {}, {answer}});
      world->Say({accounts[i], kStart + 60, {id, "more"}, {answer}, {}});
    }
  }
}

TEST(MigrationLayer, OneConversationIsEnoughAmongThoseWhoAllMoveSome) {
  World world;
  std::vector<uint32_t> relay;
  for (uint32_t i = 0; i < 4; ++i) relay.push_back(world.Account(1 + i));
  const uint32_t friend_of_one = world.Account(9);
  world.Say({relay[0], kStart, {"shared"}, {}, {"shared"}});
  world.Say({friend_of_one, kStart + 60, {"shared", "more"}, {"shared"}, {}});
  EXPECT_TRUE(world.Edges().empty());
  MoveOneEach(&world, relay);
  const std::vector<EdgeRecord> edges = world.Edges();
  EXPECT_EQ(edges.size(), 6u) << "and none with the friend";
  for (const EdgeRecord& edge : edges) EXPECT_EQ(edge.weight, Tunables{}.migration_nats);
}

TEST(MigrationLayer, ThreeAccountsOrTwoOwnersOrOneConversationAreNoRelay) {
  World three, owners, talk;
  MoveOneEach(&three, {three.Account(1), three.Account(2), three.Account(3)});
  EXPECT_TRUE(three.Edges().empty());
  MoveOneEach(&owners, {owners.Account(1), owners.Account(2), owners.Account(1), owners.Account(2), owners.Account(1), owners.Account(2)});
  EXPECT_TRUE(owners.Edges().empty()) << "two customers behind one gateway";
  MoveOneEach(&talk, {talk.Account(1), talk.Account(2), talk.Account(3), talk.Account(4)}, "one talk");
  EXPECT_TRUE(talk.Edges().empty()) << "passed from hand to hand";
}

TEST(MigrationLayer, GoesOnWithWhatWasIssued) {
  World world;
  const uint32_t a = world.Account(1);
  world.Say({a, kStart, {"one"}, {}, {"id-1"}});
  const auto goes_on = [&](uint64_t id) {
    dataplane::ExchangeBuilder builder;
    builder.Reset();
    if (id != 0) builder.AddIdReturned(id);
    return world.layer().GoesOn(builder.Finish());
  };
  EXPECT_TRUE(goes_on(KeyedHash64("id-1", Salt{})));
  EXPECT_FALSE(goes_on(KeyedHash64("invented", Salt{})));
  EXPECT_FALSE(goes_on(0));
}

TEST(MigrationLayer, ManyIdsOfOneConversationAreOneEvent) {
  World world;
  const uint32_t a = world.Account(1), b = world.Account(2);
  world.Say({a, kStart, {"task"}, {}, {"r-1", "call-1", "call-2"}});
  for (uint32_t turn = 0; turn < 5; ++turn) {
    world.Say({b, kStart + 60 + turn, Talk("task", 3 + turn), {"r-1", "call-1", "call-2"}, {}});
  }
  EXPECT_TRUE(world.Edges().empty());
}

TEST(MigrationLayer, AConversationThatGoesOnElsewhereCountsWithoutAnyId) {
  World world;
  const uint32_t a = world.Account(1), b = world.Account(2);
  for (const char* about : {"x", "y"}) {
    world.Say({a, kStart, Talk(about, 3), {}, {}});
    world.Say({b, kStart + 60, Talk(about, 5), {}, {}});
  }
  EXPECT_EQ(world.Edges().size(), 1u);
  EXPECT_EQ(world.Count(MigrationCounter::kPrefixEvents), 2u);
}

TEST(MigrationLayer, ShortConversationsAndRepetitionsDoNot) {
  World world;
  const uint32_t a = world.Account(1), b = world.Account(2);
  for (const char* about : {"x", "y", "z"}) {
    world.Say({a, kStart, Talk(about, 1), {}, {}});  // too short
    world.Say({b, kStart + 60, Talk(about, 3), {}, {}});
    world.Say({a, kStart + 200, Talk(std::string("same ") + about, 3), {}, {}});
    world.Say({b, kStart + 400, Talk(std::string("same ") + about, 3), {}, {}});  // again, not further
  }
  EXPECT_TRUE(world.Edges().empty());
  EXPECT_EQ(world.Count(MigrationCounter::kPrefixEvents), 0u);
}

TEST(MigrationLayer, AnIdAndARetryMakeAnEdgeButRetriesAloneDoNot) {
  World world;
  const uint32_t a = world.Account(1), b = world.Account(2), c = world.Account(3), d = world.Account(4);
  // An outage while two run the same benchmark: many bodies meet.
  for (uint32_t item = 0; item < 10; ++item) {
    const std::string question = "item " + std::to_string(item);
    world.Say({c, kStart + item * 10, {question}, {}, {}, 503});
    world.Say({d, kStart + item * 10 + 5, {question}, {}, {}});
  }
  EXPECT_TRUE(world.Edges().empty());
  EXPECT_EQ(world.Count(MigrationCounter::kRetryEvents), 10u);
  world.Say({a, kStart + 200, {"q"}, {}, {}, 429});
  world.Say({b, kStart + 203, {"q"}, {}, {"id-q"}});
  world.Say({a, kStart + 300, {"q", "answer", "more"}, {"id-q"}, {}});
  EXPECT_EQ(world.Edges().size(), 1u);
}

TEST(MigrationLayer, ARetryIsOneWithinTwoMinutesAfterAFailureOnly) {
  for (const auto& [status, later, events] : {std::tuple{429, 100u, 1u}, {500, 100u, 1u}, {429, 130u, 0u}, {200, 10u, 0u}, {400, 10u, 0u}}) {
    World world;
    const uint32_t a = world.Account(1), b = world.Account(2);
    world.Say({a, kStart, {"q"}, {}, {}, static_cast<uint16_t>(status)});
    world.Say({b, kStart + later, {"q"}, {}, {}});
    EXPECT_EQ(world.Count(MigrationCounter::kRetryEvents), events) << status << " " << later;
  }
}

// --- Look-alikes --------------------------------------------------------------------------------------

TEST(MigrationLayer, KeysOfOneOrganisationMakeNoEvent) {  // rotation; a gateway that balances a customer's keys
  World world;
  const uint32_t a = world.Account(7), b = world.Account(7);
  for (uint32_t i = 0; i < 20; ++i) {
    const std::string id = "id-" + std::to_string(i);
    world.Say({i % 2 ? a : b, kStart + i * 100, Talk(id, 3), {}, {id}});
    world.Say({i % 2 ? b : a, kStart + i * 100 + 50, Talk(id, 5), {id}, {}});
  }
  EXPECT_TRUE(world.Edges().empty());
  EXPECT_EQ(world.Count(MigrationCounter::kIdEvents), 0u);
  EXPECT_EQ(world.Count(MigrationCounter::kSameOwner), 40u);
}

TEST(MigrationLayer, AnEdgeFallsWhenItsEndsTurnOutToBeOne) {
  World world;
  const uint32_t a = world.Account(1), b = world.Account(2);
  for (const char* id : {"id-1", "id-2"}) {
    world.Say({a, kStart, {id}, {}, {id}});
    world.Say({b, kStart + 60, {id}, {id}, {}});
  }
  ASSERT_EQ(world.Edges().size(), 1u);
  world.SetOwner(b, 1);
  EXPECT_TRUE(world.Edges().empty());
}

TEST(MigrationLayer, ASharedConversationSaysNothing) {
  World world;
  const uint32_t author = world.Account(1);
  std::vector<uint32_t> readers;
  for (uint32_t i = 0; i < 20; ++i) readers.push_back(world.Account(10 + i));
  for (const char* about : {"famous", "also famous"}) {
    world.Say({author, kStart, Talk(about, 3), {}, {std::string("id ") + about}});
    for (uint32_t i = 0; i < 20; ++i) {
      std::vector<std::string> on = Talk(about, 3);
      on.push_back("answer"), on.push_back("a question of my own, " + std::to_string(i));
      world.Say({readers[i], kStart + 60 + i, on, {std::string("id ") + about}, {}});
    }
  }
  EXPECT_TRUE(world.Edges().empty()) << "the first readers' events fall too";
  EXPECT_EQ(world.Count(MigrationCounter::kShared), 4u);
}

TEST(MigrationLayer, WhatServersGiveToManyIsNoId) {
  World world;
  std::vector<uint32_t> accounts;
  for (uint32_t i = 0; i < 6; ++i) accounts.push_back(world.Account(i + 1));
  for (uint32_t i = 0; i < 60; ++i) {
    const std::string constant = "call_" + std::to_string(i / 6 % 2);
    world.Say({accounts[i % 6], kStart + i * 10, {"own " + std::to_string(i)}, {}, {constant}});
    world.Say({accounts[i % 6], kStart + i * 10 + 5, {"own " + std::to_string(i), "on"}, {constant}, {}});
  }
  EXPECT_TRUE(world.Edges().empty());
  EXPECT_EQ(world.Count(MigrationCounter::kIdEvents), 0u);
}

// --- Bounds -------------------------------------------------------------------------------------------

TEST(MigrationLayer, ForgetsAfterItsTime) {
  World world;
  const uint32_t a = world.Account(1), b = world.Account(2);
  for (const char* id : {"id-1", "id-2", "id-3"}) world.Say({a, kStart, {id}, {}, {id}});
  for (const char* id : {"id-1", "id-2"}) world.Say({b, kStart + 60, {id}, {id}, {}});
  ASSERT_EQ(world.Edges().size(), 1u);
  world.layer().ExpireBefore(kStart + kDay);
  EXPECT_TRUE(world.Edges().empty());
  world.Say({b, kStart + kDay + 60, {"id-3"}, {"id-3"}, {}});
  EXPECT_EQ(world.Count(MigrationCounter::kIdEvents), 2u) << "an id of before";
}

TEST(MigrationLayer, AFloodOfIdsCostsTheOldestAndIsCounted) {
  World world({.migration_rows_max = 64});
  const uint32_t a = world.Account(1), b = world.Account(2), flood = world.Account(3);
  const uint64_t before = world.layer().memory_bytes();
  for (uint32_t i = 0; i < 10'000; ++i) {
    world.Say({flood, kStart + i / 100, {"m" + std::to_string(i)}, {}, {"f-" + std::to_string(i)}});
  }
  EXPECT_EQ(world.layer().memory_bytes(), before);
  EXPECT_GE(world.Count(MigrationCounter::kRowsReplaced), 9'900u);
  for (const char* id : {"id-1", "id-2"}) {
    world.Say({a, kStart + 200, {id}, {}, {id}});
    world.Say({b, kStart + 201, {id}, {id}, {}});
  }
  EXPECT_EQ(world.Edges().size(), 1u);
}

TEST(MigrationLayer, AFloodOfPairsCostsThoseThatWereQuietLongest) {
  World world({.migration_rows_max = 256});  // 16 pairs
  std::vector<uint32_t> accounts;
  for (uint32_t i = 0; i < 40; ++i) accounts.push_back(world.Account(i + 1));
  for (uint32_t i = 0; i < 38; ++i) {
    for (const char* part : {"x", "y"}) {
      const std::string id = part + std::to_string(i);
      world.Say({accounts[i], kStart + i * 100, {id}, {}, {id}});
      world.Say({accounts[i + 1], kStart + i * 100 + 50, {id}, {id}, {}});
    }
  }
  const std::vector<EdgeRecord> edges = world.Edges();
  EXPECT_LE(edges.size(), 16u);
  EXPECT_GE(edges.size(), 13u);
  EXPECT_GE(world.Count(MigrationCounter::kPairsDropped), 22u);
  for (const EdgeRecord& edge : edges) EXPECT_GE(edge.first_s, kStart + 20 * 100);
}

TEST(MigrationLayer, InventedIdsLeaveNothing) {
  World world;
  const uint32_t a = world.Account(1), b = world.Account(2);
  world.Say({a, kStart, {"m"}, {}, {"real"}});
  for (uint32_t i = 0; i < 1'000; ++i) world.Say({b, kStart + 1 + i, {"n"}, {"made up " + std::to_string(i)}, {}});
  EXPECT_TRUE(world.Edges().empty());
  EXPECT_EQ(world.Count(MigrationCounter::kIdEvents), 0u);
}

// --- Against an oracle that keeps everything -----------------------------------------------------------

// By the words themselves: lists of what was given to whom, read from end to end each time.
class Oracle {
 public:
  explicit Oracle(std::vector<uint64_t> owner_of) : owner_of_(std::move(owner_of)) {}

  void Say(const Said& said) {
    std::string conversation = said.messages.front();
    bool inherited = false;
    const auto back = [&](int kind, const std::string& what) {
      const Given* from = nullptr;
      for (const Given& given : given_) {
        if (given.kind == kind && given.what == what) from = &given;
      }
      if (from == nullptr || public_.contains({kind, what})) return;
      if (!inherited) conversation = from->conversation, inherited = true;
      const uint64_t owner = owner_of_[said.account];
      if (owner_of_[from->account] == owner) return;
      auto& that_day = had_[{kind, what}][said.asked_s / kDay];
      that_day.insert(owner);
      if (that_day.size() > 2) {
        public_.insert({kind, what});
        return;
      }
      events_[{std::minmax(from->account, said.account), kind, conversation}] = what;  // it rests on what came back last
    };
    for (const std::string& id : said.returned) back(0, id);
    for (size_t k = 3; k < said.messages.size(); ++k) back(1, Joined(said.messages, k));
    const auto give = [&](int kind, const std::string& what) {
      for (const Given& given : given_) {
        if (given.kind == kind && given.what == what && owner_of_[given.account] != owner_of_[said.account]) public_.insert({kind, what});
      }
      given_.push_back({kind, what, said.account, conversation});
    };
    for (const std::string& id : said.issued) give(0, id);
    if (said.messages.size() >= 3) give(1, Joined(said.messages, said.messages.size()));
  }

  std::set<std::pair<uint32_t, uint32_t>> Edges() const {
    std::map<std::pair<uint32_t, uint32_t>, std::set<std::string>> moved;
    for (const auto& [event, what] : events_) {
      const auto& [ends, kind, conversation] = event;
      if (!public_.contains({kind, what})) moved[ends].insert(conversation);
    }
    std::set<std::pair<uint32_t, uint32_t>> edges;
    for (const auto& [ends, conversations] : moved) {
      if (conversations.size() >= 2) edges.insert(ends);
    }
    std::set<uint32_t> pooled;
    for (uint32_t i = 0; i < owner_of_.size(); ++i) pooled.insert(i);
    const auto has_few = [&](uint32_t account) {
      std::set<uint64_t> owners;
      std::set<std::string> conversations;
      for (const auto& [ends, some] : moved) {
        if ((ends.first != account && ends.second != account) || !pooled.contains(ends.first) || !pooled.contains(ends.second)) continue;
        owners.insert(owner_of_[ends.first == account ? ends.second : ends.first]);
        conversations.insert(some.begin(), some.end());
      }
      return owners.size() < 3 || conversations.size() < 3;
    };
    for (bool changed = true; changed;) {  // one at a time
      const auto out = std::find_if(pooled.begin(), pooled.end(), has_few);
      changed = out != pooled.end();
      if (changed) pooled.erase(out);
    }
    for (const auto& [ends, conversations] : moved) {
      if (pooled.contains(ends.first) && pooled.contains(ends.second)) edges.insert(ends);
    }
    return edges;
  }

 private:
  struct Given {
    int kind;
    std::string what;
    uint32_t account;
    std::string conversation;
  };
  static std::string Joined(const std::vector<std::string>& messages, size_t count) {
    std::string all;
    for (size_t i = 0; i < count; ++i) all += messages[i] + "|";
    return all;
  }
  const std::vector<uint64_t> owner_of_;
  std::vector<Given> given_;
  std::map<std::tuple<std::pair<uint32_t, uint32_t>, int, std::string>, std::string> events_;  // ends, kind, conversation
  std::map<std::pair<int, std::string>, std::map<uint32_t, std::set<uint64_t>>> had_;
  std::set<std::pair<int, std::string>> public_;
};

TEST(MigrationLayer, IsWhatASlowOracleFinds) {
  size_t edges_seen = 0, worlds_without = 0;
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](uint32_t n) { return random() % n; };
    World world;
    std::vector<uint64_t> owner_of;
    for (uint32_t i = 0; i < 12; ++i) {
      owner_of.push_back(1 + below(9));
      world.Account(owner_of.back());
    }
    Oracle oracle(owner_of);
    const uint32_t moves_one_in = 3 + below(200);
    struct Open {
      uint32_t account;
      std::vector<std::string> messages;
      std::string id;
    };
    std::vector<Open> open;
    uint32_t serial = 0;
    for (uint32_t i = 0; i < 400; ++i) {
      Said said;
      said.asked_s = kStart + i * 700;
      if (open.empty() || below(4) == 0) {
        open.push_back({below(12), {"begin " + std::to_string(below(60))}, ""});
      } else {
        Open& on = open[below(static_cast<uint32_t>(open.size()))];
        on.messages.push_back("answer " + std::to_string(below(2)));
        on.messages.push_back("next " + std::to_string(below(3)));
        std::swap(on, open.back());
        if (below(moves_one_in) == 0) open.back().account = below(12);
      }
      Open& now = open.back();
      said.account = now.account;
      said.messages = now.messages;
      said.body = "only mine " + std::to_string(i);
      if (!now.id.empty() && below(2) != 0) said.returned.push_back(now.id);
      now.id = below(30) == 0 ? "constant" : "id " + std::to_string(serial++);
      said.issued.push_back(now.id);
      world.Say(said);
      oracle.Say(said);
    }
    std::set<std::pair<uint32_t, uint32_t>> found;
    for (const EdgeRecord& edge : world.Edges()) {
      std::optional<uint32_t> a, b;
      for (uint32_t i = 0; i < 12; ++i) {
        if (world.IdOf(i) == edge.a) a = i;
        if (world.IdOf(i) == edge.b) b = i;
      }
      ASSERT_TRUE(a && b);
      found.insert(std::minmax(*a, *b));
    }
    EXPECT_EQ(found, oracle.Edges()) << "seed " << seed;
    edges_seen += found.size();
    worlds_without += found.empty();
  }
  EXPECT_GT(edges_seen, 20u);
  EXPECT_GT(worlds_without, 3u);
}

}  // namespace
}  // namespace stillwatch::pipeline
