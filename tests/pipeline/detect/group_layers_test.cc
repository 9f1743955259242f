// The layers that judge a whole group, each alone: against a slow oracle where it counts, and on people who look alike for
// ordinary reasons.
#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "base/hash.h"
#include "pipeline/campaign/group_layers.h"
#include "pipeline/campaign/judge.h"
#include "pipeline/campaign/synchrony.h"
#include "pipeline/evidence/concentration.h"
#include "pipeline/evidence/fixed_point.h"

namespace stillwatch::pipeline {
namespace {

constexpr int64_t kStart = 1'767'571'200;  // a Monday, midnight
constexpr uint32_t kHour = 3'600;
constexpr int32_t kFamily = Nats(46);

// Accounts made by hand; some of them are a group, with some of their requests as its hits.
class Town {
 public:
  explicit Town(uint32_t seed) : random(seed) {}

  // An account, one owner; `member`: of the group.
  Profile& Add(bool member) {
    Profile& profile = profiles.emplace_back();
    for (uint8_t& byte : profile.id.bytes) byte = static_cast<uint8_t>(random());
    profile.owner = profiles.size();
    profile.dialects = 2;
    profile.exchanges = 20;
    profile.first_ns = kStart * 1'000'000'000;
    profile.last_ns = profile.first_ns;
    members.push_back(member);
    return profile;
  }
  // Of the newest account.
  RememberedRequest& Ask(bool hit, int64_t time_s = kStart) {
    Profile& profile = profiles.back();
    RememberedRequest request{};
    request.time_s = static_cast<uint32_t>(time_s);
    request.flags = kAnswered;
    profile.requests[profile.requests_count] = request;
    if (hit) hits[static_cast<uint32_t>(profiles.size() - 1)].push_back(profile.requests_count);
    return profile.requests[profile.requests_count++];
  }
  void Active(int64_t time_s) {
    Profile& profile = profiles.back();
    profile.hours.Note(time_s);
    profile.last_ns = std::max(profile.last_ns, time_s * 1'000'000'000);
  }
  GroupView View() {
    population = MakePopulation(profiles, ReadRequests(profiles, {}), {});
    group = Group{};
    for (uint32_t i = 0; i < profiles.size(); ++i) {
      if (!members[i]) continue;
      GroupMember& member = group.members.emplace_back();
      member.account = i, member.owner = population.owner_of[i], member.id = profiles[i].id;
      for (uint32_t request : hits[i]) member.hits.push_back({.request = request, .core = 0, .content_nats = 0, .tuple_nats = 0, .time_s = 0, .text_hash = 0});
    }
    everyone = MakeEveryone(population.profiles, population.requests, {});
    return MakeGroupView(everyone, group);
  }
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(random() % n); }

  std::mt19937 random;
  std::vector<Profile> profiles;
  std::vector<bool> members;
  std::map<uint32_t, std::vector<uint32_t>> hits;
  void Measure() {
    CohortContinuity cohort(population.requests, population.owners);
    MeasureGroup(population, everyone, &cohort, Tunables{}, &group);
  }

  Population population;
  Everyone everyone;
  Group group;
};

// --- What a profile remembers -----------------------------------------------------------------------------

TEST(ActiveHours, EqualsASetOfTheLastHours) {
  std::mt19937 random(1);
  ActiveHours hours{};
  std::set<uint32_t> oracle;
  uint32_t now = 490'000;
  for (int i = 0; i < 20'000; ++i) {
    now += static_cast<uint32_t>(random() % 500 == 0 ? random() % 3'000 : random() % 3);
    const uint32_t hour = now - static_cast<uint32_t>(random() % 2'000);  // late ones too
    hours.Note(int64_t{hour} * kHour + random() % kHour);
    oracle.insert(hour);
    const uint32_t newest = *oracle.rbegin();
    ASSERT_EQ(hours.newest, newest);
    while (*oracle.begin() + ActiveHours::kHours <= newest) oracle.erase(oracle.begin());
    if (i % 20 != 0) continue;
    std::vector<uint32_t> listed;
    hours.List(&listed);
    std::sort(listed.begin(), listed.end());
    ASSERT_EQ(listed, std::vector<uint32_t>(oracle.begin(), oracle.end()));
  }
  hours.Note(INT64_MAX), hours.Note(INT64_MIN);  // bounded, whatever a recording says
}

TEST(HomeNetworks, KeepsTheNetworkOfMostUse) {
  std::mt19937 random(2);
  for (int round = 0; round < 50; ++round) {
    HomeNetworks home{};
    EXPECT_EQ(home.Most(), 0);
    for (int i = 0; i < 120; ++i) home.Note(random() % 10 < 7 ? 77 : static_cast<uint16_t>(1 + random() % 1000));
    EXPECT_EQ(home.Most(), 77);
  }
}

// --- The cohort -------------------------------------------------------------------------------------------

TEST(GroupView, TheCohortIsMatchedAndDisjointAndIndependentOfArrival) {
  Town town(3);
  for (int i = 0; i < 300; ++i) {
    Profile& profile = town.Add(i % 10 == 0);
    profile.dialects = 2u << town.Below(2);
    profile.exchanges = 1 + town.Below(200);
    town.Ask(i % 10 == 0);
  }
  const auto ids = [](Town* t) {
    const GroupView view = t->View();
    std::vector<std::set<AccountId>> drawn;
    for (const auto& draw : view.draws) {
      for (uint32_t i : draw) {
        if (drawn.size() < view.draws.size()) drawn.resize(view.draws.size());
        drawn[static_cast<size_t>(&draw - view.draws.data())].insert(view.everyone->profiles[view.everyone->owners[i].requests.front().account].id);
      }
    }
    return drawn;
  };
  const GroupView view = town.View();
  ASSERT_EQ(view.members.size(), 30u);
  ASSERT_EQ(view.draws.size(), 4u);
  std::map<uint32_t, int> members_by_dialect;
  for (const OwnerView& member : view.members) ++members_by_dialect[town.profiles[member.requests.front().account].dialects];
  std::set<uint32_t> seen;
  for (const auto& draw : view.draws) {
    EXPECT_GE(draw.size() * 8, view.members.size() * 7);
    std::map<uint32_t, int> by_dialect;
    for (uint32_t i : draw) {
      EXPECT_TRUE(seen.insert(i).second) << "an owner in two draws";
      ++by_dialect[town.profiles[view.everyone->owners[i].requests.front().account].dialects];
    }
    for (const auto& [dialect, n] : by_dialect) EXPECT_LE(n, members_by_dialect[dialect]);
  }
  // The same accounts, arrived in another order.
  const auto drawn = ids(&town);
  Town other(4);
  for (size_t i = town.profiles.size(); i-- > 0;) {
    other.profiles.push_back(town.profiles[i]), other.members.push_back(town.members[i]);
    if (town.members[i]) other.hits[static_cast<uint32_t>(other.profiles.size() - 1)] = {0};
  }
  std::set<AccountId> one, two;
  for (const auto& draw : drawn) one.insert(draw.begin(), draw.end());
  for (const auto& draw : ids(&other)) two.insert(draw.begin(), draw.end());
  EXPECT_EQ(one, two);
}

TEST(Everyone, LessTheGroupIsWhoIsOutside) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    Town town(seed);
    for (int i = 0; i < 60; ++i) {
      const bool member = town.Below(4) == 0;
      Profile& profile = town.Add(member);
      profile.owner = 1 + town.Below(40);  // some have two accounts
      profile.created_s = town.Below(3) == 0 ? 0 : kStart - 86'400 * town.Below(30);
      profile.home.Note(static_cast<uint16_t>(town.Below(5)));
      for (uint32_t n = member ? 2 : town.Below(5); n > 0; --n) {
        RememberedRequest& request = town.Ask(member);
        request.model = static_cast<uint16_t>(town.Below(2)), request.parameters = static_cast<uint16_t>(town.Below(3));
        request.client = static_cast<uint16_t>(town.Below(3)), request.transport = static_cast<uint16_t>(town.Below(3));
        request.elicitation = static_cast<uint8_t>(town.Below(200));
      }
    }
    const GroupView view = town.View();
    std::set<uint32_t> inside;
    for (uint32_t i = 0; i < town.profiles.size(); ++i) {
      if (town.members[i]) inside.insert(town.population.owner_of[i]);
    }
    std::vector<RequestRef> others;  // the same without the group's owners
    for (const RequestRef& ref : town.population.requests) {
      if (!inside.contains(ref.owner)) others.push_back(ref);
    }
    const Everyone outside = MakeEveryone(town.profiles, others, {});
    EXPECT_EQ(view.outside(), outside.owners.size());
    uint64_t requests = town.everyone.requests, asking = town.everyone.asking, networks = town.everyone.networks.known, signups = town.everyone.signups.known;
    ChoicesOutside parameters{town.everyone.parameters}, clients{town.everyone.clients}, transports{town.everyone.transports};
    ChoicesOutside network{town.everyone.networks.sums}, signup{town.everyone.signups.sums};
    for (uint32_t place : view.inside) {
      const Everyone::Owner& owner = town.everyone.owners[place];
      requests -= owner.requests.size(), asking -= owner.asking;
      parameters.left_out.Add(owner.stack.parameters), clients.left_out.Add({0, owner.stack.client});
      if (owner.stack.transport.second != 0) transports.left_out.Add(owner.stack.transport);
      if (const auto& choice = town.everyone.networks.of[place]; choice.second != 0) --networks, network.left_out.Add(choice);
      if (const auto& choice = town.everyone.signups.of[place]; choice.second != 0) --signups, signup.left_out.Add(choice);
    }
    EXPECT_EQ(requests, outside.requests);
    EXPECT_EQ(asking, outside.asking);
    EXPECT_EQ(networks, outside.networks.known);
    EXPECT_EQ(signups, outside.signups.known);
    const auto equal = [](const ChoicesOutside& some, const ChoiceSums& oracle) {
      for (const auto& [choice, n] : some.all.counts) {
        EXPECT_EQ(some.Of(choice), oracle.Of(choice));
        EXPECT_EQ(some.OfGiven(choice.first), oracle.OfGiven(choice.first));
      }
    };
    equal(parameters, outside.parameters), equal(clients, outside.clients), equal(transports, outside.transports);
    equal(network, outside.networks.sums), equal(signup, outside.signups.sums);
  }
}

TEST(GroupView, NoCohortWhereNobodyIsLikeTheMembers) {
  Town town(5);
  for (int i = 0; i < 100; ++i) town.Add(i < 40).dialects = i < 40 ? 2 : 4, town.Ask(i < 40);
  EXPECT_TRUE(town.View().draws.empty());
  EXPECT_FALSE(MeasureSynchrony(town.View(), {}).known);
  EXPECT_FALSE(MeasureResidual(town.View(), {}).known);
}

// --- Layer 6: synchrony -----------------------------------------------------------------------------------

// By the words of synchrony.h, hour by hour and day by day.
double SlowExpectation(const HourCounts& counts, uint32_t i) {
  const auto day = [&](uint32_t j) { return (counts.first + j) / 24; };
  const auto weekend = [&](uint32_t j) { return (day(j) + 3) % 7 >= 5; };
  const auto of_day = [&](uint32_t j) { return (counts.first + j) % 24; };
  double others = 0, days = 0, kind = 0, today = 0, weeks = 0, in_weeks = 0;
  for (uint32_t j = 0; j < counts.active.size(); ++j) {
    const double n = counts.active[j];
    if (day(j) == day(i) && j != i) today += n;
    if (day(j) != day(i) && weekend(j) == weekend(i)) {
      kind += n;
      if (of_day(j) == of_day(i)) others += n, ++days;
    }
    if (j != i && (j > i ? j - i : i - j) % 168 == 0) ++weeks, in_weeks += n;
  }
  if (days == 0) return 0;
  double most = (others + 0.5) / days;
  if (kind > others) most = std::max(most, today * others / (kind - others));
  most = std::max(most, today / 23);
  if (weeks > 0) most = std::max(most, in_weeks / weeks);
  return most;
}

TEST(Synchrony, ExpectationsEqualTheSlowOracle) {
  std::mt19937 random(6);
  for (int round = 0; round < 20; ++round) {
    HourCounts counts;
    counts.first = 491'000 + random() % 200;
    for (uint32_t n = 30 + random() % 600; n > 0; --n) counts.active.push_back(random() % 4 == 0 ? random() % 40 : 0);
    const std::vector<uint32_t> fast = ExpectedHours(counts);
    for (uint32_t i = 0; i < fast.size(); ++i) {
      const double slow = SlowExpectation(counts, i);
      ASSERT_LE(fast[i] / 256.0, slow + 0.01) << i;
      ASSERT_GE(fast[i] / 256.0, slow - 0.01) << i;
    }
  }
}

// 40 members and 200 others; `when` says the hours of the life of one account, from 0.
struct Clock {
  static constexpr uint32_t kDays = 21;
  using When = std::function<void(std::mt19937*, std::vector<uint32_t>*)>;

  static Finding Measure(uint32_t seed, const When& members, const When& others, const Tunables& tunables = {}) {
    Town town(seed);
    std::vector<uint32_t> hours;
    for (int i = 0; i < 240; ++i) {
      const bool member = i < 40;
      town.Add(member), town.Ask(member);
      hours.clear();
      (member ? members : others)(&town.random, &hours);
      for (uint32_t hour : hours) town.Active(kStart + int64_t{hour} * kHour + town.Below(kHour));
    }
    const Finding finding = MeasureSynchrony(town.View(), tunables);
    EXPECT_TRUE(finding.known);
    return finding;
  }
  // On working days, around nine hours from `from` (UTC).
  static When Working(uint32_t from) {
    return [from](std::mt19937* random, std::vector<uint32_t>* hours) {
      for (uint32_t day = 0; day < kDays; ++day) {
        if (day % 7 >= 5 || (*random)() % 3 == 0) continue;
        for (uint32_t n = 1 + (*random)() % 3; n > 0; --n) hours->push_back(day * 24 + (from + (*random)() % 9) % 24);
      }
    };
  }
  static void AtAnyHour(std::mt19937* random, std::vector<uint32_t>* hours) {
    for (uint32_t n = 20 + (*random)() % 20; n > 0; --n) hours->push_back((*random)() % (kDays * 24));
  }
};

TEST(Synchrony, AFleetThatWorksInTheSameHoursIsSeen) {
  // Every other day, in one hour that nobody could guess.
  const auto fleet = [](std::mt19937* random, std::vector<uint32_t>* hours) {
    for (uint32_t day = 0; day < Clock::kDays; day += 2) {
      if ((*random)() % 10 < 7) hours->push_back(day * 24 + Mix32(day + 1) % 24);
    }
    for (int n = 0; n < 10; ++n) hours->push_back((*random)() % (Clock::kDays * 24));
  };
  EXPECT_GE(Clock::Measure(7, fleet, Clock::Working(8)).nats, kFamily);
  EXPECT_GE(Clock::Measure(7, fleet, Clock::AtAnyHour).nats, kFamily);
}

TEST(Synchrony, WhatADayExplainsIsNoEvidence) {
  const auto everybody = Clock::Working(8);
  for (uint32_t seed = 10; seed < 15; ++seed) {
    EXPECT_LT(Clock::Measure(seed, everybody, everybody).nats, 256) << "people like the others";
    EXPECT_LT(Clock::Measure(seed, Clock::Working(0), everybody).nats, 256) << "another time zone";
    EXPECT_LT(Clock::Measure(seed, Clock::AtAnyHour, everybody).nats, 256) << "a flat curve";
    // Jobs at the hour: every hour, every night, every Monday night.
    EXPECT_LT(Clock::Measure(seed, [](std::mt19937*, std::vector<uint32_t>* hours) {
      for (uint32_t h = 0; h < Clock::kDays * 24; ++h) hours->push_back(h);
    }, everybody).nats, 256) << "hourly";
    EXPECT_LT(Clock::Measure(seed, [](std::mt19937*, std::vector<uint32_t>* hours) {
      for (uint32_t day = 0; day < Clock::kDays; ++day) hours->push_back(day * 24 + 2);
    }, everybody).nats, 256) << "nightly";
    EXPECT_LT(Clock::Measure(seed, [](std::mt19937* random, std::vector<uint32_t>* hours) {
      for (uint32_t day = 0; day < Clock::kDays; day += 7) hours->push_back(day * 24 + 2);
      Clock::Working(8)(random, hours);
    }, everybody).nats, 256) << "weekly";
    // An exam week: much more on those days, at the usual hours.
    EXPECT_LT(Clock::Measure(seed, [](std::mt19937* random, std::vector<uint32_t>* hours) {
      Clock::Working(8)(random, hours);
      for (uint32_t day = 7; day < 12; ++day) {
        for (int n = 0; n < 6; ++n) hours->push_back(day * 24 + 8 + (*random)() % 9);
      }
    }, everybody).nats, kFamily) << "exams";
  }
}

TEST(Synchrony, AnHourThatEverybodySharesIsNoEvidence) {
  // Every other night, as after an outage.
  const auto awake = [](std::mt19937* random, std::vector<uint32_t>* hours) {
    Clock::Working(8)(random, hours);
    for (uint32_t day = 1; day < Clock::kDays; day += 2) {
      if ((*random)() % 10 < 8) hours->push_back(day * 24 + Mix32(day + 1) % 6);
    }
  };
  EXPECT_LT(Clock::Measure(16, awake, awake).nats, 256);
  EXPECT_GE(Clock::Measure(16, awake, Clock::Working(8)).nats, kFamily);
}

TEST(Synchrony, ALessonOrALaunchIsOneEvent) {
  // All of a class in two hours of one day, and of another.
  const auto lesson = [](std::mt19937* random, std::vector<uint32_t>* hours) {
    Clock::Working(8)(random, hours);
    hours->insert(hours->end(), {15 * 24 + 10, 15 * 24 + 11, 18 * 24 + 14});
  };
  const Finding finding = Clock::Measure(18, lesson, Clock::Working(8));
  EXPECT_GT(finding.nats, 0);
  EXPECT_LT(finding.nats, kFamily);
}

TEST(Synchrony, DecaysByItsHalfLife) {
  const auto burst_on = [](uint32_t burst_day) {
    return [burst_day](std::mt19937* random, std::vector<uint32_t>* hours) {
      Clock::AtAnyHour(random, hours);
      for (uint32_t day = burst_day; day < burst_day + 3; ++day) hours->push_back(day * 24 + Mix32(day + 1) % 24);
    };
  };
  const Tunables uncapped{.stack_nats_max = INT32_MAX};
  const int32_t fresh = Clock::Measure(17, burst_on(18), Clock::AtAnyHour, uncapped).nats;
  const int32_t old = Clock::Measure(17, burst_on(4), Clock::AtAnyHour, uncapped).nats;
  EXPECT_GE(fresh, 3 * old);
  EXPECT_GT(old, 0);
}

TEST(Synchrony, DealtToAccountsAtRandomItIsGone) {
  // Permutation oracle: a fleet's hours, moved within their day.
  const auto moved = [](std::mt19937* random, std::vector<uint32_t>* hours) {
    for (uint32_t day = 0; day < Clock::kDays; day += 2) {
      if ((*random)() % 10 < 7) hours->push_back(day * 24 + (*random)() % 24);
    }
    for (int n = 0; n < 10; ++n) hours->push_back((*random)() % (Clock::kDays * 24));
  };
  for (uint32_t seed = 20; seed < 40; ++seed) EXPECT_LT(Clock::Measure(seed, moved, Clock::AtAnyHour).nats, 2 * 256);
}

TEST(Synchrony, AfterA429AnotherAccountGoesOn) {
  // Each member: one hit that meets the limit, answered by another member's ten seconds later, or a minute away from any.
  const auto town_of = [](uint32_t seed, uint32_t pause_s, uint32_t busy_every_s) {
    Town town(seed);
    for (uint32_t i = 0; i < 40; ++i) {
      town.Add(true);
      town.Ask(true, kStart + i * 600).flags = kLimited;
      town.Add(true);
      town.Ask(true, kStart + i * 600 + pause_s);
      for (uint32_t t = 0; busy_every_s != 0 && t < 25; ++t) town.Ask(true, kStart + i * 600 + t * busy_every_s - 90);
    }
    const Finding finding = MeasureSynchrony(town.View(), {});
    EXPECT_EQ(finding.counts[5], 40u);
    return finding.nats;
  };
  EXPECT_GE(town_of(26, 10, 0), kFamily);
  EXPECT_EQ(town_of(26, 90, 0), 0);
  EXPECT_LT(town_of(26, 10, 7), 256) << "a group that asks all the time comes after every 429, and before it";
}

// --- Layer 7: stack ---------------------------------------------------------------------------------------

TEST(Concentration, EqualsTheFormulaInFloatingPoint) {
  std::mt19937 random(30);
  for (int round = 0; round < 100; ++round) {
    ChoiceCounts inside, outside;
    const uint32_t kinds = 1 + random() % 12;
    for (int n = 0; n < 60; ++n) ++inside[{random() % 2, random() % (1 + random() % kinds)}];
    for (int n = 0; n < 500; ++n) ++outside[{random() % 2, random() % kinds}];
    double slow = 0, total = 0;
    for (const auto& [key, n] : inside) total += n;
    for (const auto& [key, n] : inside) {
      double of = 0, out_of = 0, seen = 0;
      for (const auto& [other, m] : inside) of += other.first == key.first ? m : 0;
      for (const auto& [other, m] : outside) out_of += other.first == key.first ? m : 0, seen += other == key ? m : 0;
      slow += n * (std::log(n / of) - std::log((2 * seen + 1) / (2 * out_of + 2)) - std::log(2.0)) - std::log(total + 1);
    }
    ChoiceSums all;  // those outside and some who are left out
    ChoicesOutside sums{all};
    for (const auto& [choice, n] : outside) {
      for (uint32_t i = 0; i < n; ++i) all.Add(choice);
    }
    for (const auto& [choice, n] : inside) {
      for (uint32_t i = 0; i < n / 2; ++i) all.Add(choice), sums.left_out.Add(choice);
    }
    EXPECT_NEAR(ConcentrationNats(inside, sums) / 256.0, std::max(slow, 0.0), 0.02 * total);
  }
}

struct Choices {
  uint16_t model, parameters, client, transport;
};

Finding MeasureClients(uint32_t seed, const std::function<Choices(Town*)>& member, const std::function<Choices(Town*)>& other) {
  Town town(seed);
  for (int i = 0; i < 240; ++i) {
    const bool mine = i < 40;
    town.Add(mine);
    const Choices c = (mine ? member : other)(&town);
    for (int n = 0; n < 3; ++n) {
      RememberedRequest& r = town.Ask(mine);
      r.model = c.model, r.parameters = c.parameters, r.client = c.client, r.transport = c.transport;
    }
  }
  return MeasureStack(town.View(), {});
}

// Clients 1..4, each with one or two TLS hellos of its own; half of all use the most popular one with its defaults.
Choices Anybody(Town* town) {
  const auto client = static_cast<uint16_t>(town->Below(2) == 0 ? 1 : 1 + town->Below(4));
  return {static_cast<uint16_t>(town->Below(3)), static_cast<uint16_t>(client == 1 ? 0 : town->Below(12)), client,
          static_cast<uint16_t>(10 * client + town->Below(2) + 1)};
}

TEST(Stack, OnePopularLibraryIsNoEvidence) {
  EXPECT_LT(MeasureClients(31, Anybody, Anybody).nats, 256);
  const auto popular = [](Town*) { return Choices{1, 0, 1, 11}; };
  EXPECT_LT(MeasureClients(32, popular, Anybody).nats, 256) << "its defaults, as half of all have them";
}

TEST(Stack, OwnParametersOrOneHelloAreEvidence) {
  const auto tuned = [](Town* town) { Choices c = Anybody(town); c.model = 1, c.parameters = 777; return c; };
  EXPECT_GE(MeasureClients(33, tuned, Anybody).nats, kFamily);
  const auto one_build = [](Town* town) { Choices c = Anybody(town); c.client = 1, c.transport = 99; return c; };
  EXPECT_GE(MeasureClients(34, one_build, Anybody).nats, kFamily);
}

TEST(Stack, AClientThatIsNotWhatItSaysIsCounted) {
  // All kinds of names, and a hello for each account that no such client has.
  const auto false_names = [](Town* town) {
    Choices c = Anybody(town);
    c.transport = static_cast<uint16_t>(1000 + town->Below(60'000));
    return c;
  };
  const Finding lie = MeasureClients(35, false_names, Anybody);
  EXPECT_GE(lie.nats, kFamily);
  EXPECT_GE(lie.counts[4], 25u);
  EXPECT_GE(lie.counts[5] * 10, lie.counts[4] * 9);
  // A company's box in between changes the hello of everybody here.
  EXPECT_LT(MeasureClients(36, false_names, false_names).nats, 256);
  const auto unseen = [](Town* town) { Choices c = Anybody(town); c.transport = 0; return c; };
  EXPECT_LT(MeasureClients(37, unseen, unseen).nats, 256);
}

// --- Layer 9: residual traffic ----------------------------------------------------------------------------

// `draw`: one residual request of an account.
Finding MeasureOthers(uint32_t seed, const std::function<void(Town*, RememberedRequest*)>& member,
                      const std::function<void(Town*, RememberedRequest*)>& other, Town* out = nullptr) {
  Town town(seed);
  for (int i = 0; i < 240; ++i) {
    const bool mine = i < 40;
    town.Add(mine);
    if (mine) town.Ask(true).tokens = 9'999;  // a hit: not looked at
    for (int n = 0; n < 6; ++n) (mine ? member : other)(&town, &town.Ask(false));
  }
  Tunables tunables;
  tunables.hint_nats_max = Nats(1'000);
  const Finding finding = MeasureResidual(town.View(), tunables);
  if (out != nullptr) *out = std::move(town);
  return finding;
}

void AnyRequest(Town* town, RememberedRequest* r) {
  r->tokens = static_cast<uint16_t>(1 + town->Below(1u << (1 + town->Below(10))));
  r->tokens_out = static_cast<uint16_t>(1 + town->Below(1u << (1 + town->Below(10))));
  if (town->Below(3) == 0) r->flags |= kConversation;
}

TEST(Residual, LikenessEqualsAllPairs) {
  Town town(40);
  const Finding finding = MeasureOthers(40, AnyRequest, AnyRequest, &town);
  ASSERT_TRUE(finding.known);
  const auto alike = [&](const std::vector<uint32_t>& accounts) {
    double sum = 0, pairs = 0;
    for (uint32_t a : accounts) {
      for (uint32_t b : accounts) {
        if (a == b) continue;
        for (const RememberedRequest& x : town.profiles[a].remembered()) {
          for (const RememberedRequest& y : town.profiles[b].remembered()) {
            if (x.tokens == 9'999 || y.tokens == 9'999) continue;
            const auto bin = [](uint32_t tokens) { return std::min(static_cast<int>(std::log2(tokens)) + 1, 11); };
            sum += (bin(x.tokens) == bin(y.tokens)) + (bin(x.tokens_out) == bin(y.tokens_out)) + (x.flags == y.flags);
            pairs += 3;
          }
        }
      }
    }
    return sum / pairs * 1'000;
  };
  std::vector<uint32_t> members;
  for (uint32_t i = 0; i < 40; ++i) members.push_back(i);
  EXPECT_NEAR(static_cast<double>(finding.counts[2]), alike(members), 5);
}

TEST(Residual, TellsOneGeneratorFromPeopleAndNothingFromNothing) {
  const auto generator = [](Town* town, RememberedRequest* r) {
    r->tokens = static_cast<uint16_t>(40 + town->Below(20)), r->tokens_out = static_cast<uint16_t>(300 + town->Below(100));
  };
  EXPECT_GE(MeasureOthers(41, generator, AnyRequest).nats, kFamily);
  EXPECT_EQ(MeasureOthers(41, generator, generator).nats > kFamily, false);
  int strong = 0;
  for (uint32_t seed = 50; seed < 70; ++seed) strong += MeasureOthers(seed, AnyRequest, AnyRequest).nats >= kFamily;
  EXPECT_LE(strong, 1) << "of twenty groups of ordinary people";
}

// --- Layers 8 and 11: shared for ordinary reasons ---------------------------------------------------------

TEST(Signups, ADayIsEvidenceAndBeingNewIsNot) {
  const auto nats = [](uint32_t seed, const std::function<int64_t(Town*, bool)>& age_days) {
    Town town(seed);
    for (int i = 0; i < 240; ++i) {
      const bool mine = i < 40;
      Profile& profile = town.Add(mine);
      profile.created_s = kStart - age_days(&town, mine) * 86'400 - town.Below(3'600);
      town.Ask(mine);
    }
    const Finding finding = MeasureSignups(town.View(), {});
    EXPECT_TRUE(finding.known);
    return finding.nats;
  };
  EXPECT_EQ(nats(70, [](Town* town, bool) { return int64_t{town->Below(700)}; }), 0);
  EXPECT_EQ(nats(71, [](Town* town, bool mine) { return int64_t{mine ? 8 + town->Below(7) : town->Below(700)}; }), 0) << "new alone";
  EXPECT_GT(nats(72, [](Town* town, bool mine) { return int64_t{mine ? 33 : town->Below(700)}; }), 0);
  Town unknown(73);
  for (int i = 0; i < 60; ++i) unknown.Add(i < 20), unknown.Ask(i < 20);
  EXPECT_FALSE(MeasureSignups(unknown.View(), {}).known);
}

TEST(Network, ACampusIsNoEvidenceAndNothingMakesItAFamily) {
  const auto nats = [](uint32_t seed, uint32_t members_in_ten, uint32_t others_in_ten, int members = 40) {
    Town town(seed);
    for (int i = 0; i < 240; ++i) {
      const bool mine = i < members;
      Profile& profile = town.Add(mine);
      const bool campus = town.Below(10) < (mine ? members_in_ten : others_in_ten);
      for (int n = 0; n < 5; ++n) profile.home.Note(campus ? 7 : static_cast<uint16_t>(100 + i));
      town.Ask(mine);
    }
    return MeasureNetwork(town.View(), {}).nats;
  };
  EXPECT_EQ(nats(80, 10, 6), 0) << "most people here are behind the same address";
  EXPECT_EQ(nats(81, 0, 0), 0);
  EXPECT_EQ(nats(83, 0, 0, 8), 0) << "few, each from where nobody else comes from";
  const Tunables tunables;
  EXPECT_EQ(nats(82, 10, 0), tunables.hint_nats_max);
}

// --- In the judgement -------------------------------------------------------------------------------------

// A group that no look-alike check explains, with all that people share at its most.
Group Bare() {
  Group group;
  group.members.resize(60);
  for (GroupMember& member : group.members) member.score = Nats(200);
  group.counts.owners = group.counts.mixing_owners = 60;
  group.counts.templates = 4;
  group.counts.hits = 600;
  group.counts.hit_pairs = group.counts.payload_pairs = 180'000;
  for (size_t i = 0; i < kGroupLayers; ++i) {
    const EvidenceFamily family = GroupLayers()[i].family;
    if (family == EvidenceFamily::kCohort || family == EvidenceFamily::kNetwork) group.findings[i].nats = Nats(900);
  }
  CountFindings(&group);
  group.evidence.elicitation = Tunables{}.elicitation_nats_max;
  return group;
}

TEST(TwoFamilies, WhatPeopleShareIsNeitherOneNorCounted) {
  const Tunables tunables;
  const Judgement alone = JudgeGroup(Bare(), tunables);
  EXPECT_EQ(alone.families, 0u) << "a shared address, a small language, a day of sign-up";
  EXPECT_LT(alone.pooled, 65u);
  for (int32_t GroupEvidence::*family : {&GroupEvidence::content, &GroupEvidence::stack, &GroupEvidence::timing}) {
    Group group = Bare();
    group.evidence.*family = Nats(60);
    EXPECT_EQ(JudgeGroup(group, tunables).families, 1u);
    EXPECT_LE(JudgeGroup(group, tunables).distillation_like, 32'768u);
    Group bare = group;
    bare.findings = {};
    EXPECT_EQ(JudgeGroup(group, tunables).pooled, JudgeGroup(bare, tunables).pooled);
  }
  Group both = Bare();
  both.evidence.content = both.evidence.timing = Nats(60);
  EXPECT_EQ(JudgeGroup(both, tunables).families, 2u) << "hours in step are one";
}

TEST(TwoFamilies, AClassExplainsItsHours) {
  const Tunables tunables;
  Group group = Bare();
  group.evidence.content = Nats(100), group.evidence.timing = Nats(60);
  group.counts.equal_pairs = group.counts.hit_pairs / 10;
  const Judgement j = JudgeGroup(group, tunables);
  EXPECT_TRUE(j.explained);
  EXPECT_EQ(j.evidence.timing, 0);
  EXPECT_EQ(j.families, 0u);
}

// Accounts that ask three things of their own each, and go on with the same words.
void AskOn(Town* town) {
  uint32_t own = 1'000;
  for (int i = 0; i < 8; ++i) {
    town->Add(true);
    for (int j = 0; j < 3; ++j) town->Ask(true).text_hash = own++;
    for (int j = 0; j < 3; ++j) {
      RememberedRequest& on = town->Ask(true);
      on.text_hash = 7;
      on.flags |= kConversation;
    }
  }
}

TEST(MovedConversations, TheirDemandsToGoOnAreNoClass) {
  const Tunables tunables;
  for (bool moved : {false, true}) {
    Town town(1);
    AskOn(&town);
    town.View();
    town.group.evidence.identity = moved ? kFamily : kFamily - 1;
    town.Measure();
    EXPECT_EQ(town.group.counts.hits, 48u);
    EXPECT_EQ(town.group.counts.conversation_hits, 24u);
    EXPECT_EQ(town.group.counts.hit_pairs, moved ? 28u * 9 : 28u * 36);
    EXPECT_EQ(town.group.counts.equal_pairs, moved ? 0u : 28u * 9) << "people who ask on stay as alike as they are";
  }
}

TEST(MovedConversations, FewBeginningsTellNothing) {
  Town town(1);
  for (int i = 0; i < 8; ++i) {
    town.Add(true);
    town.Ask(true).text_hash = static_cast<uint32_t>(1'000 + i);
    RememberedRequest& on = town.Ask(true);
    on.text_hash = 7;
    on.flags |= kConversation;
  }
  town.View();
  town.group.evidence.identity = kFamily;
  town.Measure();
  EXPECT_EQ(town.group.counts.equal_pairs, 28u) << "one beginning an account: all hits tell";
}

TEST(MovedConversations, AreNoFramework) {
  const Tunables tunables;
  Group group = Bare();
  group.evidence.content = Nats(100);
  group.counts.conversation_hits = group.counts.hits;
  EXPECT_TRUE(JudgeGroup(group, tunables).explained);
  group.evidence.identity = kFamily - 1;
  EXPECT_TRUE(JudgeGroup(group, tunables).explained);
  group.evidence.identity = kFamily;
  EXPECT_FALSE(JudgeGroup(group, tunables).explained);
}

// Companies whose pipelines send one public prompt: the records come back no more often than a dealer's items do.
TEST(SharedApp, AFewPromptsAndDealtWorkAloneAreAPublicPrompt) {
  const auto explained = [](uint32_t templates, int32_t GroupEvidence::*alike, int32_t nats, uint32_t owners = 30) {
    Group group = Bare();  // of 60 accounts
    group.counts.owners = group.counts.mixing_owners = owners;
    group.counts.templates = templates;
    group.evidence.content = Nats(100), group.evidence.work = Nats(70), group.evidence.elicitation = 0;
    group.evidence.*alike = nats;
    return JudgeGroup(group, Tunables{}).explained;
  };
  EXPECT_TRUE(explained(2, &GroupEvidence::stack, 0));
  EXPECT_TRUE(explained(3, &GroupEvidence::stack, kFamily - 1));
  EXPECT_FALSE(explained(2, &GroupEvidence::stack, 0, 60)) << "an account each: not companies";
  EXPECT_FALSE(explained(4, &GroupEvidence::stack, 0)) << "more prompts than companies share by chance";
  for (auto alike : {&GroupEvidence::stack, &GroupEvidence::timing, &GroupEvidence::identity}) EXPECT_FALSE(explained(2, alike, kFamily));
  EXPECT_FALSE(explained(2, &GroupEvidence::elicitation, Tunables{}.harvest_nats));
}

// Of one class: near the bar of equal texts and near that of equal payloads.
TEST(Classroom, SharesOfItsTwoBarsAreAdded) {
  const auto explained = [](uint64_t equal_texts, uint64_t equal_payloads) {
    Group group = Bare();
    group.counts.hit_pairs = 12'800, group.counts.equal_pairs = equal_texts;            // 100 are the bar
    group.counts.payload_pairs = 6'400, group.counts.collisions = equal_payloads;
    group.evidence.stack = kFamily;                                                     // so 100 here, too
    return JudgeGroup(group, Tunables{}).explained;
  };
  EXPECT_FALSE(explained(100, 0));
  EXPECT_FALSE(explained(0, 100));
  EXPECT_TRUE(explained(102, 0));
  EXPECT_TRUE(explained(0, 102));
  EXPECT_FALSE(explained(40, 55)) << "a grid that wraps around";
  EXPECT_TRUE(explained(60, 90));
}

// Twelve accounts that ask in so many languages each, and one in a single language; outside, people with one or many. The texts of
// the group are its accounts' own, or out of `texts`; their payloads are out of `payloads`.
struct Asked {
  uint8_t languages, outside = 1;
  uint32_t payloads = 32, texts = UINT32_MAX;
};

Judgement JudgeLanguages(const Asked& asked, Group* measured) {
  Town town(1);
  for (uint8_t i = 0; i < 60; ++i) {
    town.Add(false);
    for (uint8_t j = 0; j < 6; ++j) town.Ask(false).language = static_cast<uint8_t>(1 + (i + j % asked.outside) % 6);
  }
  for (uint8_t i = 0; i < 13; ++i) {
    town.Add(true);
    for (uint8_t j = 0; j < 12; ++j) {
      RememberedRequest& request = town.Ask(true);
      request.text_hash = town.Below(asked.texts);
      request.language = i == 12 ? 1 : static_cast<uint8_t>(1 + j % asked.languages);
      const uint32_t payload = town.Below(asked.payloads);
      for (uint32_t k = 0; k < 3; ++k) request.fragments[request.fragments_count++] = 3 * payload + k;
    }
  }
  town.View();
  town.group.counts.owners = 13;
  town.group.borrowers = {town.group.members.back(), town.group.members.front()};
  town.Measure();
  *measured = town.group;
  return JudgeGroup(town.group, {});
}

Verdict Classroom(const Judgement& judgement) {
  return std::ranges::find(judgement.checks, "classroom", &LookAlike::name)->verdict;
}

TEST(Languages, OneWorkInManyOnEveryAccountIsNoClass) {
  Group group;
  EXPECT_EQ(Classroom(JudgeLanguages({.languages = 4}, &group)), Verdict::kPassed);
  EXPECT_EQ(group.counts.multilingual, 12u);
  EXPECT_EQ(group.members.size(), 12u) << "who asks in one language goes";
  EXPECT_EQ(group.borrowers.size(), 1u);
  EXPECT_EQ(group.counts.owners, 12u);
}

TEST(Languages, AClassAsksInItsOwn) {
  Group group;
  EXPECT_EQ(Classroom(JudgeLanguages({.languages = 2}, &group)), Verdict::kFailed);
  EXPECT_EQ(group.members.size(), 13u);
}

TEST(Languages, WhereEverybodyAsksInManyTheyTellNothing) {
  Group group;
  EXPECT_EQ(Classroom(JudgeLanguages({.languages = 4, .outside = 4}, &group)), Verdict::kFailed);
  EXPECT_EQ(group.members.size(), 13u);
  EXPECT_EQ(group.counts.outside_multilingual, 60u);
}

// Back ends whose customers ask the same questions in many languages.
TEST(Languages, EqualTextsAreAClassInAnyLanguage) {
  Group group;
  EXPECT_EQ(Classroom(JudgeLanguages({.languages = 4, .texts = 40}, &group)), Verdict::kFailed);
  EXPECT_EQ(Classroom(JudgeLanguages({.languages = 4, .payloads = 4}, &group)), Verdict::kFailed);
}

TEST(GroupLayers, EachSaysWhatItIs) {
  std::set<std::string_view> kinds;
  for (const GroupLayer& layer : GroupLayers()) {
    EXPECT_TRUE(kinds.insert(layer.kind).second);
    EXPECT_FALSE(layer.counts.empty() || layer.memory.empty() || layer.expiry.empty());
    EXPECT_FALSE(layer.sentence(Finding{}).empty());
  }
  EXPECT_EQ(kinds.size(), kGroupLayers);
}

}  // namespace
}  // namespace stillwatch::pipeline
